/** Who is to be looked at next, by time: an indexed heap, so that an item stands in it once however often it is set. No clock. */

interface Slot<T> {
  readonly item: T;
  readonly atMs: number;
}

export class WakeQueue<T> {
  readonly #heap: Slot<T>[] = [];
  readonly #places = new Map<T, number>();

  /** `undefined` when nobody waits. */
  get earliestMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Replaces the item's earlier time. */
  set(item: T, atMs: number): void {
    const place = this.#places.get(item);
    if (place === undefined) {
      this.#heap.push({ item, atMs });
      this.#rise(this.#heap.length - 1);
      return;
    }
    this.#put(place, { item, atMs });
    this.#sink(this.#rise(place));
  }

  delete(item: T): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#places.delete(item);
    const last = this.#heap.pop();
    if (last === undefined || place === this.#heap.length) return;
    this.#put(place, last);
    this.#sink(this.#rise(place));
  }

  /** The earliest item whose time has come, taken out; undefined when there is none. */
  takeDue(nowMs: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.delete(first.item);
    return first.item;
  }

  #put(place: number, slot: Slot<T>): void {
    this.#heap[place] = slot;
    this.#places.set(slot.item, place);
  }

  #rise(from: number): number {
    let place = from;
    const slot = this.#heap[place];
    if (slot === undefined) return place;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap[parent];
      if (above === undefined || above.atMs <= slot.atMs) break;
      this.#put(place, above);
      place = parent;
    }
    this.#put(place, slot);
    return place;
  }

  #sink(from: number): void {
    let place = from;
    const slot = this.#heap[place];
    if (slot === undefined) return;
    for (;;) {
      const left = this.#heap[2 * place + 1];
      const right = this.#heap[2 * place + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && right.atMs < left.atMs;
      const below = isRight ? right : left;
      if (below.atMs >= slot.atMs) break;
      this.#put(place, below);
      place = 2 * place + (isRight ? 2 : 1);
    }
    this.#put(place, slot);
  }
}
