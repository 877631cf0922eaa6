/** How many connections are open, to one listener or to several that share a limit. */
export class Connections {
  readonly #most: number;
  #open = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get open(): number {
    return this.#open;
  }

  /** One more is there, also where there are too many: then false, and it is to be closed. */
  opened(): boolean {
    this.#open += 1;
    return this.#open <= this.#most;
  }

  closed(): void {
    this.#open -= 1;
  }
}
