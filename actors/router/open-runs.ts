/** The runs of each session that have not ended: a cache of `runs_open`, so that memory knows a full conversation. */
import type { OpenRun } from '../sessions/rows.ts';

export class OpenRuns {
  readonly #bySession = new Map<string, { readonly runs: Set<string>; newest: string }>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  of(sessionKey: string): number {
    return this.#bySession.get(sessionKey)?.runs.size ?? 0;
  }

  /** The newest envelope of a session that has open runs; '' where it has none. */
  newestOf(sessionKey: string): string {
    return this.#bySession.get(sessionKey)?.newest ?? '';
  }

  list(sessionKey: string): readonly string[] {
    return [...(this.#bySession.get(sessionKey)?.runs ?? [])];
  }

  /** Twice is once. */
  add({ sessionKey, runId, envelopeId }: OpenRun): void {
    let session = this.#bySession.get(sessionKey);
    if (session === undefined) {
      session = { runs: new Set(), newest: '' };
      this.#bySession.set(sessionKey, session);
    }
    if (envelopeId > session.newest) session.newest = envelopeId;
    if (session.runs.has(runId)) return;
    session.runs.add(runId);
    this.#size += 1;
  }

  /** Twice is once. */
  remove(sessionKey: string, runId: string): void {
    const session = this.#bySession.get(sessionKey);
    if (session === undefined || !session.runs.delete(runId)) return;
    this.#size -= 1;
    if (session.runs.size === 0) this.#bySession.delete(sessionKey);
  }
}
