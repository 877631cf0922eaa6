/**
 * Places that several sources take of one pot, so that none of them can keep the others out: a source may hold up to four
 * times what is still free (the dynamic thresholds of Choudhury and Hahne, 1998). It knows names and numbers only.
 */

/** Alone, a source gets this many of each five places; the rest waits for newcomers. */
const TIMES_FREE = 4;

/**
 * What `mayTake` promises of single places, as long as nobody takes without it:
 * - no more places are taken than there are;
 * - a source that holds none gets one as long as any is free, and no source takes the last fifth of what it found free;
 * - among n sources, one that holds less than `places / (n + 1/4)` is refused only while another holds more than that: what
 *   this one took when fewer were there. It gets none until it has given back, so every place that comes back is the others'.
 */
export class FairShares {
  readonly #places: number;
  /** Sources that hold something. */
  readonly #held = new Map<string, number>();
  #taken = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get taken(): number {
    return this.#taken;
  }

  heldBy(source: string): number {
    return this.#held.get(source) ?? 0;
  }

  mayTake(source: string, count = 1): boolean {
    const free = this.#places - this.#taken;
    return count <= free && this.heldBy(source) + count <= TIMES_FREE * free;
  }

  /** Without a question: what is there already, say since before a restart, takes its place in any case. */
  take(source: string, count = 1): void {
    this.#held.set(source, this.heldBy(source) + count);
    this.#taken += count;
  }

  /** Not more than it holds. */
  giveBack(source: string, count = 1): void {
    const held = this.heldBy(source);
    const given = Math.min(held, count);
    if (given === held) this.#held.delete(source);
    else this.#held.set(source, held - given);
    this.#taken -= given;
  }
}
