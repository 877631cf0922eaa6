/** One commit after the other: what waits while one is under way is the next, of each row the last write. */
import type { Deferred } from '../actor.ts';
import type { Clock } from '../clock.ts';
import { codeOf } from '../errors.ts';
import type { Row, Store } from '../store/store.ts';
import type { Refusal } from './protocol.ts';

/** Waiting for a commit, those that a later write of the same row replaced included. */
const MAX_WAITING_WRITES = 10_000;

export interface Write {
  readonly table: string;
  readonly key: string;
  /** null: there is to be no row. */
  readonly row: Row | null;
  /** About; what the bound on waiting bytes counts. */
  readonly bytes: number;
  flushed?(): void;
}

class Batch {
  /** By row. */
  readonly writes = new Map<string, Write>();
  readonly answers: Deferred<Refusal>[] = [];
  count = 0;
  bytes = 0;
}

export class Commits {
  /** The code with which the store failed: nothing is believed after that. */
  failure: Refusal = '';
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #failed: (code: string) => void;
  #waiting = new Batch();
  #flushing: Batch | undefined = undefined;
  #writing: Promise<void> | undefined = undefined;

  /** `failed` hears it once. */
  constructor(store: Store, clock: Clock, failed: (code: string) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#failed = failed;
  }

  /** Of the writes that wait. */
  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  get isFull(): boolean {
    return this.#waiting.count >= MAX_WAITING_WRITES;
  }

  /** Settles when nothing waits any more. */
  get ended(): Promise<void> | undefined {
    return this.#writing;
  }

  /** `answer` is given when the write is flushed, or the store has failed. */
  add(write: Write, answer?: Deferred<Refusal>): void {
    const waiting = this.#waiting;
    waiting.writes.set(`${write.table}/${write.key}`, write);
    waiting.count += 1;
    waiting.bytes += write.bytes;
    if (answer !== undefined) waiting.answers.push(answer);
    this.#writing ??= this.#write();
  }

  /** `answer` is given when all that was added so far is flushed, or the store has failed. */
  whenFlushed(answer: Deferred<Refusal>): void {
    const last = this.#waiting.writes.size > 0 ? this.#waiting : this.#flushing;
    if (last === undefined || this.failure !== '') answer.resolve(this.failure);
    else last.answers.push(answer);
  }

  async #write(): Promise<void> {
    // What stands in the mailbox beside the first write goes with it.
    await undefined;
    while (this.#waiting.writes.size > 0 && this.failure === '') {
      const batch = this.#waiting;
      this.#waiting = new Batch();
      this.#flushing = batch;
      try {
        await this.#store.commit([toChanges(batch)], this.#clock.wallMs());
        for (const write of batch.writes.values()) write.flushed?.();
      } catch (error) {
        this.failure = codeOf(error);
        this.#failed(this.failure);
        for (const { resolve } of this.#waiting.answers) resolve(this.failure);
        this.#waiting = new Batch();
      }
      this.#flushing = undefined;
      for (const { resolve } of batch.answers) resolve(this.failure);
    }
    this.#writing = undefined;
  }
}

function toChanges({ writes }: Batch) {
  const put = [];
  const remove = [];
  for (const { table, key, row } of writes.values()) {
    if (row === null) remove.push({ table, key });
    else put.push({ table, key, row });
  }
  return { expect: [], put, remove, facts: [] };
}
