/** What is due first, of many: a binary heap whose members know their place, so that one can be moved or taken out. */

export interface Due {
  /** Changed by `move` only, as long as it is in a heap. */
  dueAtMs: number;
  /** Its place in the heap; -1 outside. */
  place: number;
}

export class DueHeap<T extends Due> {
  readonly #members: T[] = [];

  get first(): T | undefined {
    return this.#members[0];
  }

  /** Puts it where it belongs, whether it is in the heap already or not. */
  move(member: T, dueAtMs: number): void {
    member.dueAtMs = dueAtMs;
    if (member.place === -1) {
      member.place = this.#members.length;
      this.#members.push(member);
    }
    this.#sink(this.#rise(member));
  }

  remove(member: T): void {
    const { place } = member;
    if (place === -1) return;
    member.place = -1;
    const last = this.#members.pop() as T;
    if (last === member) return;
    this.#put(last, place);
    this.#sink(this.#rise(last));
  }

  #rise(member: T): T {
    while (member.place > 0) {
      const above = (member.place - 1) >> 1;
      const parent = this.#members[above] as T;
      if (parent.dueAtMs <= member.dueAtMs) break;
      this.#put(parent, member.place);
      this.#put(member, above);
    }
    return member;
  }

  #sink(member: T): void {
    for (;;) {
      const left = this.#members[2 * member.place + 1];
      const right = this.#members[2 * member.place + 2];
      const child =
        right !== undefined && left !== undefined && right.dueAtMs < left.dueAtMs ? right : left;
      if (child === undefined || child.dueAtMs >= member.dueAtMs) return;
      const below = child.place;
      this.#put(child, member.place);
      this.#put(member, below);
    }
  }

  #put(member: T, place: number): void {
    this.#members[place] = member;
    member.place = place;
  }
}
