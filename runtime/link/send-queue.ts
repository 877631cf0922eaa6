/** What waits to leave over one link: flat triples (route, meta, payload), in the order in which they were sent. */
import { READY } from '../kernel/room-line.ts';
import { Parcel } from '../transfer.ts';

/** Waiting for credit; beyond it a tell is refused. */
const LIMIT_MESSAGES = 8_192;
/** Who waits for room waits behind them. */
const LIMIT_WITH_READY = LIMIT_MESSAGES + 1_024;
/** Of memory that moves with what waits; a message that takes more along has to find none there. */
const LIMIT_MOVING_BYTES = 8 * 1_024 * 1_024;
/** In messages, as many as go into a frame: one list of all that wait would be copied and paged in anew as it grows. */
const BATCH_MESSAGES = 256;

export class SendQueue {
  /** Only the last one grows. */
  readonly #batches: unknown[][] = [];
  #last: unknown[] | undefined = undefined;
  /** Where the first one begins: what is before it has left. */
  #head = 0;
  #movingBytes = 0;
  /** In messages. */
  length = 0;

  refuses(kind: string, payload: unknown): boolean {
    if (this.length >= (kind === READY ? LIMIT_WITH_READY : LIMIT_MESSAGES)) return true;
    if (!(payload instanceof Parcel) || this.#movingBytes === 0) return false;
    return this.#movingBytes + payload.bytes > LIMIT_MOVING_BYTES;
  }

  push(route: unknown, meta: unknown, payload: unknown): void {
    if (payload instanceof Parcel) {
      payload.take();
      this.#movingBytes += payload.bytes;
    }
    let batch = this.#last;
    if (batch === undefined || batch.length === BATCH_MESSAGES * 3) {
      batch = [];
      this.#batches.push(batch);
      this.#last = batch;
    }
    batch.push(route, meta, payload);
    this.length += 1;
  }

  /** The first messages, `count` at most, none of two batches: one that takes memory along is the last of them. */
  take(count: number): unknown[] {
    const [batch] = this.#batches;
    if (batch === undefined) return [];
    const end = Math.min(batch.length, this.#head + count * 3);
    return this.#takeOut(batch, this.#movingBytes === 0 ? end : this.#endOfParcel(batch, end));
  }

  takeAll(): unknown[] {
    const left = this.#batches.flat().slice(this.#head);
    this.#batches.length = 0;
    this.#last = undefined;
    this.#head = 0;
    this.#movingBytes = 0;
    this.length = 0;
    return left;
  }

  /** Behind the first one that takes memory along, if one before `end` does. */
  #endOfParcel(batch: readonly unknown[], end: number): number {
    for (let at = this.#head; at < end; at += 3) {
      const payload = batch[at + 2];
      if (!(payload instanceof Parcel)) continue;
      this.#movingBytes -= payload.bytes;
      return at + 3;
    }
    return end;
  }

  #takeOut(batch: unknown[], end: number): unknown[] {
    const from = this.#head;
    this.length -= (end - from) / 3;
    if (end < batch.length) {
      this.#head = end;
      return batch.slice(from, end);
    }
    this.#batches.shift();
    this.#head = 0;
    if (batch === this.#last) this.#last = undefined;
    return from === 0 ? batch : batch.slice(from);
  }
}
