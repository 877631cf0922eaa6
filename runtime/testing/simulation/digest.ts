/** A running hash over a trace: two runs with the same digest did the same in the same order. Not for secrets. */

export class Digest {
  #low = 0x811c9dc5;
  #high = 0x01000193;

  number(value: number): void {
    this.#mix(value | 0);
    this.#mix((value * 1_000) | 0);
  }

  text(value: string): void {
    for (let i = 0; i < value.length; i += 1) this.#mix(value.charCodeAt(i));
  }

  /** Sixteen hexadecimal digits. */
  toString(): string {
    return [this.#high, this.#low]
      .map((half) => (half >>> 0).toString(16).padStart(8, '0'))
      .join('');
  }

  /** FNV-1a, and beside it one with another prime. */
  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193);
    this.#high = Math.imul(this.#high ^ word, 0x85ebca6b) ^ (this.#high >>> 13);
  }
}
