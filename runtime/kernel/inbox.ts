/** What waits for one actor: its bounded mailbox, and before it the urgent lane that no limit refuses. */
import { unpack } from '../transfer.ts';
import { ByteCount } from './byte-count.ts';
import type { KindEntry, Limits } from './compiled.ts';
import { Ring } from './ring.ts';
import type { RoomLine } from './room-line.ts';

/** Of a mailbox whose definition is not known yet. */
export const EARLY: Limits = {
  limitMessages: 1_024,
  limitBytes: 8 * 1_024 * 1_024,
  overflow: 'reject',
};

export interface Taken {
  readonly kind: KindEntry;
  readonly payload: unknown;
  readonly meta: unknown;
}

export class Inbox {
  #mailbox: Ring | undefined = undefined;
  #urgent: Ring | undefined = undefined;
  /** Of the mailbox, where its bytes are bounded. */
  #bytes: ByteCount | undefined = undefined;
  /** Who waits for room in the mailbox. */
  line: RoomLine | undefined = undefined;

  /** Messages in the mailbox. */
  get size(): number {
    return this.#mailbox?.size ?? 0;
  }

  /** What the messages in the mailbox count; 0 where its bytes are not bounded. */
  get bytes(): number {
    return this.#bytes?.total ?? 0;
  }

  get hasMail(): boolean {
    return this.size > 0 || (this.#urgent?.size ?? 0) > 0;
  }

  /** For one more message of so many bytes, 0 where they are not bounded. */
  hasRoom({ limitMessages, limitBytes }: Limits, bytes: number): boolean {
    return this.size < limitMessages && (bytes === 0 || this.bytes + bytes <= limitBytes);
  }

  /** A message of so many bytes did not fit, and would into an empty mailbox. */
  missed(bytes: number): void {
    this.#bytes?.missed(bytes);
  }

  /** For so many more messages it has room, each as large as any that came, and 0 where the largest that did not fit would not. */
  room({ limitMessages, limitBytes }: Limits): number {
    const places = limitMessages - this.size;
    return this.#bytes === undefined ? places : Math.min(places, this.#bytes.room(limitBytes));
  }

  /** It is taken, with the memory that moves with it. */
  put(kind: KindEntry, payload: unknown, meta: unknown, bytes: number): void {
    this.#mailbox ??= new Ring();
    this.#mailbox.push(kind, unpack(payload), meta);
    if (bytes > 0) {
      this.#bytes ??= new ByteCount();
      this.#bytes.add(bytes);
    } else if (this.#bytes !== undefined) {
      // They were bounded before the definition was known, and are not any more.
      this.#bytes = undefined;
    }
  }

  putUrgent(kind: KindEntry, payload: unknown, trace: string | undefined): void {
    this.#urgent ??= new Ring();
    this.#urgent.push(kind, payload, trace);
  }

  /** The ring whose `kind`, `payload` and `meta` are the next message's; undefined when there is none. */
  next(): Ring | undefined {
    if (this.#urgent !== undefined && this.#urgent.size > 0) {
      this.#urgent.shift();
      return this.#urgent;
    }
    if (this.#mailbox?.shift() !== true) return undefined;
    if (this.#bytes !== undefined) this.#bytes.takeOldest();
    return this.#mailbox;
  }

  /** The oldest of the mailbox, given up. */
  dropOldest(): Taken | undefined {
    const ring = this.#mailbox;
    if (ring === undefined || !ring.shift() || ring.kind === undefined) return undefined;
    this.#bytes?.takeOldest();
    return { kind: ring.kind, payload: ring.payload, meta: ring.meta };
  }

  /** Outcomes and timers of an incarnation that is over. */
  dropUrgent(): number {
    const count = this.#urgent?.size ?? 0;
    this.#urgent = undefined;
    return count;
  }
}
