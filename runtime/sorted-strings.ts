/**
 * Different strings in ascending order, most of them added at the end and taken from the front, as ids by time are. Unlike
 * a `Set` it leaves no tables behind as it grows and shrinks.
 */
export class SortedStrings implements Iterable<string> {
  readonly #items: string[] = [];
  /** What is before it has been taken. */
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  has(text: string): boolean {
    return this.#items[this.#placeOf(text)] === text;
  }

  /** False where it is there already. */
  add(text: string): boolean {
    const items = this.#items;
    const last = items[items.length - 1];
    if (this.size === 0 || last === undefined || text > last) {
      items.push(text);
      return true;
    }
    const at = this.#placeOf(text);
    if (items[at] === text) return false;
    items.splice(at, 0, text);
    return true;
  }

  /** False where it is not there. */
  delete(text: string): boolean {
    const items = this.#items;
    const at = items[this.#head] === text ? this.#head : this.#placeOf(text);
    if (items[at] !== text) return false;
    if (at === items.length - 1) items.pop();
    else if (at > this.#head) items.splice(at, 1);
    else {
      items[at] = '';
      this.#head += 1;
    }
    if (this.#head === items.length || this.#head >= MAX_TAKEN) {
      items.splice(0, this.#head);
      this.#head = 0;
    }
    return true;
  }

  *[Symbol.iterator](): Generator<string> {
    yield* this.#items.slice(this.#head);
  }

  /** Of the first that is not before it. */
  #placeOf(text: string): number {
    let low = this.#head;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#items[middle] ?? '') < text) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Places before the head, before they are given back. */
const MAX_TAKEN = 64;
