/** What each message of a mailbox counts in bytes, oldest first, and their sum. */

/** So many that were taken may stand before those that wait. */
const KEPT_TAKEN = 1_024;

export class ByteCount {
  total = 0;
  readonly #sizes: number[] = [];
  /** Where they begin: what is before it was taken. */
  #head = 0;

  add(bytes: number): void {
    this.#sizes.push(bytes);
    this.total += bytes;
  }

  takeOldest(): void {
    this.total -= this.#sizes[this.#head] ?? 0;
    this.#head += 1;
    if (this.#head < this.#sizes.length && this.#head < KEPT_TAKEN) return;
    this.#sizes.splice(0, this.#head);
    this.#head = 0;
  }
}
