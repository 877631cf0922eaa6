/** A growing ring of messages: three parallel slots per entry instead of an object, allocated at the first message. */
import type { KindEntry } from './compiled.ts';

const SLOTS = 3;
const FIRST_CAPACITY = 4;
/** A ring that has grown beyond this is given back when it runs empty. */
const KEPT_CAPACITY = 64;

export class Ring {
  #slots: unknown[] = [];
  #capacity = 0;
  #head = 0;
  /** Messages waiting. */
  size = 0;
  /** Of the message that `shift` took last. */
  kind: KindEntry | undefined = undefined;
  payload: unknown = undefined;
  meta: unknown = undefined;

  push(kind: KindEntry, payload: unknown, meta: unknown): void {
    if (this.size === this.#capacity) this.#grow();
    const at = ((this.#head + this.size) & (this.#capacity - 1)) * SLOTS;
    this.#slots[at] = kind;
    this.#slots[at + 1] = payload;
    this.#slots[at + 2] = meta;
    this.size += 1;
  }

  /** Takes the oldest into `kind`, `payload`, `meta`; false when there is none. */
  shift(): boolean {
    if (this.size === 0) return false;
    const at = this.#head * SLOTS;
    const slots = this.#slots;
    this.kind = slots[at] as KindEntry;
    this.payload = slots[at + 1];
    this.meta = slots[at + 2];
    slots[at] = undefined;
    slots[at + 1] = undefined;
    slots[at + 2] = undefined;
    this.#head = (this.#head + 1) & (this.#capacity - 1);
    this.size -= 1;
    if (this.size === 0 && this.#capacity > KEPT_CAPACITY) this.#release();
    return true;
  }

  /** What was taken last must not be kept alive by an idle ring. */
  forget(): void {
    this.payload = undefined;
    this.meta = undefined;
  }

  #grow(): void {
    const capacity = this.#capacity === 0 ? FIRST_CAPACITY : this.#capacity * 2;
    const slots = new Array<unknown>(capacity * SLOTS);
    for (let i = 0; i < this.size; i += 1) {
      const from = ((this.#head + i) & (this.#capacity - 1)) * SLOTS;
      for (let j = 0; j < SLOTS; j += 1) slots[i * SLOTS + j] = this.#slots[from + j];
    }
    this.#slots = slots;
    this.#capacity = capacity;
    this.#head = 0;
  }

  #release(): void {
    this.#slots = [];
    this.#capacity = 0;
    this.#head = 0;
  }
}
