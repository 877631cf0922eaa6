/** How many runs of each session have not ended: a cache of `runs_open`, so that a full conversation is refused from memory. */
export class OpenRuns {
  readonly #bySession = new Map<string, Set<string>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  of(sessionKey: string): number {
    return this.#bySession.get(sessionKey)?.size ?? 0;
  }

  list(sessionKey: string): readonly string[] {
    return [...(this.#bySession.get(sessionKey) ?? [])];
  }

  /** Twice is once. */
  add(sessionKey: string, runId: string): void {
    let runs = this.#bySession.get(sessionKey);
    if (runs === undefined) {
      runs = new Set();
      this.#bySession.set(sessionKey, runs);
    }
    if (runs.has(runId)) return;
    runs.add(runId);
    this.#size += 1;
  }

  /** Twice is once. */
  remove(sessionKey: string, runId: string): void {
    const runs = this.#bySession.get(sessionKey);
    if (runs === undefined || !runs.delete(runId)) return;
    this.#size -= 1;
    if (runs.size === 0) this.#bySession.delete(sessionKey);
  }
}
