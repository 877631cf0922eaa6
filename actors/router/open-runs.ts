/** The runs of each session that have not ended: a cache of `inbox`, so that memory knows a full conversation and a greedy channel. */
import { FairShares } from '../../runtime/fair-shares.ts';
import { SortedStrings } from '../../runtime/sorted-strings.ts';
import type { OpenRun } from './rows.ts';

interface OpenSession {
  readonly runs: SortedStrings;
  readonly channel: string;
  newest: string;
}

export class OpenRuns {
  readonly #bySession = new Map<string, OpenSession>();
  readonly #shares: FairShares;

  /** Of all channels together; each has a fair share of them. */
  constructor(maxRuns: number) {
    this.#shares = new FairShares(maxRuns);
  }

  get size(): number {
    return this.#shares.taken;
  }

  hasRoomFor(channel: string): boolean {
    return this.#shares.mayTake(channel);
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

  /** Twice is once. One that is durable already takes its place in any case. */
  add({ sessionKey, envelopeId }: OpenRun, channel: string): void {
    let session = this.#bySession.get(sessionKey);
    if (session === undefined) {
      session = { runs: new SortedStrings(), channel, newest: '' };
      this.#bySession.set(sessionKey, session);
    }
    if (envelopeId > session.newest) session.newest = envelopeId;
    if (session.runs.add(envelopeId)) this.#shares.take(session.channel);
  }

  /** Twice is once. */
  remove({ sessionKey, envelopeId }: OpenRun): void {
    const session = this.#bySession.get(sessionKey);
    if (session === undefined || !session.runs.delete(envelopeId)) return;
    this.#shares.giveBack(session.channel);
    if (session.runs.size === 0) this.#bySession.delete(sessionKey);
  }
}
