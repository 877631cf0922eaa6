/** What waits for one actor: its bounded mailbox, and before it the urgent lane that no limit refuses. */
import type { Mailbox } from '../actor.ts';
import { unpack } from '../transfer.ts';
import type { KindEntry } from './compiled.ts';
import { Ring } from './ring.ts';

/** A mailbox whose definition is not known yet. */
const EARLY: Mailbox = { limitMessages: 1_024, overflow: 'reject' };

export interface Taken {
  readonly kind: KindEntry;
  readonly payload: unknown;
  readonly meta: unknown;
}

export class Inbox {
  #mailbox: Ring | undefined = undefined;
  #urgent: Ring | undefined = undefined;

  /** Messages in the mailbox. */
  get size(): number {
    return this.#mailbox?.size ?? 0;
  }

  get hasMail(): boolean {
    return this.size > 0 || (this.#urgent?.size ?? 0) > 0;
  }

  isFull(limits: Mailbox = EARLY): boolean {
    return this.size >= limits.limitMessages;
  }

  /** It is taken, with the memory that moves with it. */
  put(kind: KindEntry, payload: unknown, meta: unknown): void {
    this.#mailbox ??= new Ring();
    this.#mailbox.push(kind, unpack(payload), meta);
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
    return this.#mailbox?.shift() === true ? this.#mailbox : undefined;
  }

  /** The oldest of the mailbox, given up. */
  dropOldest(): Taken | undefined {
    const ring = this.#mailbox;
    if (ring === undefined || !ring.shift() || ring.kind === undefined) return undefined;
    return { kind: ring.kind, payload: ring.payload, meta: ring.meta };
  }

  /** Outcomes and timers of an incarnation that is over. */
  dropUrgent(): number {
    const count = this.#urgent?.size ?? 0;
    this.#urgent = undefined;
    return count;
  }
}
