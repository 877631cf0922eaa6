/** What each message of a mailbox counts in bytes, oldest first, and their sum. */

/** So many that were taken may stand before those that wait. */
const KEPT_TAKEN = 1_024;

export class ByteCount {
  total = 0;
  /** The largest one that did not fit; 0 once one of its size has been taken, or none waits. */
  #missed = 0;
  /** Of all that came. */
  #largest = 1;
  readonly #sizes: number[] = [];
  /** Where they begin: what is before it was taken. */
  #head = 0;

  add(bytes: number): void {
    if (bytes >= this.#missed) this.#missed = 0;
    if (bytes > this.#largest) this.#largest = bytes;
    this.#sizes.push(bytes);
    this.total += bytes;
  }

  missed(bytes: number): void {
    this.#missed = Math.max(this.#missed, bytes);
    this.#largest = Math.max(this.#largest, bytes);
  }

  /** For so many as large as the largest that came; for one at least where the largest that did not fit would. */
  room(limitBytes: number): number {
    const left = limitBytes - this.total;
    if (left < Math.max(1, this.#missed)) return 0;
    return Math.max(1, Math.floor(left / this.#largest));
  }

  takeOldest(): void {
    this.total -= this.#sizes[this.#head] ?? 0;
    this.#head += 1;
    if (this.#head < this.#sizes.length && this.#head < KEPT_TAKEN) return;
    if (this.#head === this.#sizes.length) this.#missed = 0;
    this.#sizes.splice(0, this.#head);
    this.#head = 0;
  }
}
