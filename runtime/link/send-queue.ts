/** What waits to leave over one link: flat triples (route, meta, payload), in the order in which they were sent. */
import { READY } from '../kernel/room-line.ts';
import { Parcel } from '../transfer.ts';

/** Waiting for credit; beyond it a tell is refused. */
const LIMIT_MESSAGES = 8_192;
/** Who waits for room waits behind them. */
const LIMIT_WITH_READY = LIMIT_MESSAGES + 1_024;
/** Of memory that moves with what waits; a message that takes more along has to find none there. */
const LIMIT_MOVING_BYTES = 8 * 1_024 * 1_024;

export class SendQueue {
  #triples: unknown[] = [];
  /** Where the queue begins: what is before it has left. */
  #head = 0;
  #movingBytes = 0;

  /** In messages. */
  get length(): number {
    return (this.#triples.length - this.#head) / 3;
  }

  refuses(kind: string, payload: unknown): boolean {
    const limit = kind === READY ? LIMIT_WITH_READY : LIMIT_MESSAGES;
    if (this.#triples.length - this.#head >= limit * 3) return true;
    if (!(payload instanceof Parcel) || this.#movingBytes === 0) return false;
    return this.#movingBytes + payload.bytes > LIMIT_MOVING_BYTES;
  }

  push(route: unknown, meta: unknown, payload: unknown): void {
    if (payload instanceof Parcel) {
      payload.take();
      this.#movingBytes += payload.bytes;
    }
    this.#triples.push(route, meta, payload);
  }

  /** The first messages, `count` at most: one that takes memory along is the last of them. */
  take(count: number): unknown[] {
    if (this.#movingBytes === 0) return this.#takeOut(count * 3);
    const from = this.#head + 2;
    const end = Math.min(this.#triples.length, from + count * 3);
    for (let at = from; at < end; at += 3) {
      const payload = this.#triples[at];
      if (!(payload instanceof Parcel)) continue;
      this.#movingBytes -= payload.bytes;
      return this.#takeOut(at + 1 - this.#head);
    }
    return this.#takeOut(count * 3);
  }

  takeAll(): unknown[] {
    this.#movingBytes = 0;
    return this.#takeOut(this.#triples.length - this.#head);
  }

  #takeOut(length: number): unknown[] {
    const triples = this.#triples;
    if (length === triples.length - this.#head) {
      this.#triples = [];
      const from = this.#head;
      this.#head = 0;
      return from === 0 ? triples : triples.slice(from);
    }
    const taken = triples.slice(this.#head, this.#head + length);
    this.#head += length;
    // One that never runs empty would keep what has left.
    if (this.#head >= LIMIT_MESSAGES * 3) {
      this.#triples = triples.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }
}
