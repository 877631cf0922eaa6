/** The runs of each session that have not ended: a cache of `inbox`, so that memory knows a full conversation. */
import { SortedStrings } from '../../runtime/sorted-strings.ts';
import type { OpenRun } from './rows.ts';

export class OpenRuns {
  readonly #bySession = new Map<string, { readonly runs: SortedStrings; newest: string }>();
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

  /** Envelope ids. */
  list(sessionKey: string): readonly string[] {
    return [...(this.#bySession.get(sessionKey)?.runs ?? [])];
  }

  /** Twice is once. */
  add({ sessionKey, envelopeId }: OpenRun): void {
    let session = this.#bySession.get(sessionKey);
    if (session === undefined) {
      session = { runs: new SortedStrings(), newest: '' };
      this.#bySession.set(sessionKey, session);
    }
    if (envelopeId > session.newest) session.newest = envelopeId;
    if (session.runs.add(envelopeId)) this.#size += 1;
  }

  /** Twice is once. */
  remove({ sessionKey, envelopeId }: OpenRun): void {
    const session = this.#bySession.get(sessionKey);
    if (session === undefined || !session.runs.delete(envelopeId)) return;
    this.#size -= 1;
    if (session.runs.size === 0) this.#bySession.delete(sessionKey);
  }
}
