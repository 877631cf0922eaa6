/** Which sessions have open runs, which of them live, and who waits for a place. Memory only; it starts and stops nothing. */
import { createHash } from 'node:crypto';
import { channelOf } from '../../proto/ids.ts';
import type { ActorRef } from '../../runtime/actor.ts';
import { FairShares } from '../../runtime/fair-shares.ts';
import { type Linked, LinkedList } from '../../runtime/linked-list.ts';
import { SortedStrings } from '../../runtime/sorted-strings.ts';
import type { OpenRun } from '../router/rows.ts';
import type { SessionProtocol } from './protocol.ts';

export interface Entry extends Linked<Entry> {
  readonly sessionKey: string;
  readonly channel: string;
  readonly childId: string;
  /** absent: no child · live: it has one · stopping: it had one, another may not start yet. */
  status: 'absent' | 'live' | 'stopping';
  ref: ActorRef<SessionProtocol> | undefined;
  /** Envelope ids. */
  readonly open: SortedStrings;
  /** The envelope of its first run, where that may have begun in a life before this one; '' for none. */
  cutRun: string;
  /** When a run was last opened or ended, monotonic. */
  changedAtMs: number;
  /** Which of the roster's lists it stands in. */
  list: LinkedList<Entry> | undefined;
}

export class Roster {
  readonly #entries = new Map<string, Entry>();
  readonly #byChild = new Map<string, Entry>();
  /** By channel: sessions with work and without a child, oldest first; no list is empty. */
  readonly #waiting = new Map<string, LinkedList<Entry>>();
  /** Live sessions with nothing open, the longest idle first. */
  readonly #idle = new LinkedList<Entry>();
  /** Live sessions with open runs, the one that changed longest ago first. */
  readonly #busy = new LinkedList<Entry>();
  /** Envelopes whose runs ended while a scan was under way: its pages may still show them. */
  #endedSinceScan: Set<string> | undefined = undefined;
  #knownAtScan: readonly OpenRun[] = [];
  /** Of the places for live and stopping sessions, by channel. */
  readonly #shares: FairShares;
  #openRuns = 0;

  /** Each channel has a fair share of the places. */
  constructor(maxChildren: number) {
    this.#shares = new FairShares(maxChildren);
  }

  get openRuns(): number {
    return this.#openRuns;
  }

  /** Live or stopping. */
  get children(): number {
    return this.#shares.taken;
  }

  get waiting(): number {
    let waiting = 0;
    for (const { size } of this.#waiting.values()) waiting += size;
    return waiting;
  }

  find(sessionKey: string): Entry | undefined {
    return this.#entries.get(sessionKey);
  }

  findChild(childId: string): Entry | undefined {
    return this.#byChild.get(childId);
  }

  /** All open runs that are known. */
  *runs(): Generator<OpenRun> {
    for (const { sessionKey, open } of this.#entries.values()) {
      for (const envelopeId of open) yield { sessionKey, envelopeId };
    }
  }

  /** Its session's entry; twice is once. */
  open(run: OpenRun, nowMs: number): Entry {
    const entry = this.#entries.get(run.sessionKey) ?? this.#add(run.sessionKey);
    if (entry.open.add(run.envelopeId)) this.#openRuns += 1;
    if (entry.status === 'absent' && entry.list === undefined) this.#wait(entry);
    this.touch(entry, nowMs);
    return entry;
  }

  /** True where the run was open. */
  end(run: OpenRun, nowMs: number): boolean {
    this.#endedSinceScan?.add(run.envelopeId);
    const entry = this.#entries.get(run.sessionKey);
    if (entry === undefined || !entry.open.delete(run.envelopeId)) return false;
    this.#openRuns -= 1;
    if (entry.open.size === 0 && entry.status === 'absent') this.#forget(entry);
    else this.touch(entry, nowMs);
    return true;
  }

  /** The next session that a child may be started for: the oldest of the channel that has the fewest. */
  nextWaiting(): Entry | undefined {
    let next: Entry | undefined;
    for (const [channel, { first }] of this.#waiting) {
      const held = this.#shares.heldBy(channel);
      if (next === undefined || held < this.#shares.heldBy(next.channel)) next = first;
    }
    // Where the one with the fewest may not, none may.
    return next !== undefined && this.#shares.mayTake(next.channel) ? next : undefined;
  }

  started(entry: Entry, ref: ActorRef<SessionProtocol>, nowMs: number): void {
    entry.status = 'live';
    entry.ref = ref;
    entry.cutRun = '';
    this.#shares.take(entry.channel);
    this.touch(entry, nowMs);
  }

  stopping(entry: Entry): void {
    this.#put(entry, undefined);
    entry.status = 'stopping';
    entry.ref = undefined;
  }

  stopped(entry: Entry): void {
    entry.status = 'absent';
    this.#shares.giveBack(entry.channel);
    if (entry.open.size > 0) this.#wait(entry);
    else this.#forget(entry);
  }

  /** Up to `limit` live sessions without work since `beforeMs`. */
  idle(beforeMs: number, limit: number): readonly Entry[] {
    return unchangedSince(this.#idle, beforeMs, limit);
  }

  /** Up to `limit` live sessions with work of which nothing was heard since `beforeMs`. */
  silent(beforeMs: number, limit: number): readonly Entry[] {
    return unchangedSince(this.#busy, beforeMs, limit);
  }

  touch(entry: Entry, nowMs: number): void {
    entry.changedAtMs = nowMs;
    if (entry.status === 'live') this.#put(entry, entry.open.size === 0 ? this.#idle : this.#busy);
  }

  scanBegins(): void {
    this.#endedSinceScan = new Set();
    this.#knownAtScan = [...this.#entries.values()].flatMap(({ sessionKey, open }) =>
      [...open].map((envelopeId) => ({ sessionKey, envelopeId })),
    );
  }

  /**
   * What a whole scan of the durable open runs means: `unknown` ones that nobody had, and `gone` ones that were had
   * before it began and are no longer there.
   */
  scanEnds(found: readonly OpenRun[]): {
    readonly unknown: readonly OpenRun[];
    readonly gone: readonly OpenRun[];
  } {
    const ended = this.#endedSinceScan ?? new Set();
    const durable = new Set(found.map((run) => run.envelopeId));
    const isHad = ({ sessionKey, envelopeId }: OpenRun) =>
      this.#entries.get(sessionKey)?.open.has(envelopeId) === true;
    const unknown = found.filter((run) => !ended.has(run.envelopeId) && !isHad(run));
    const gone = this.#knownAtScan.filter((run) => !durable.has(run.envelopeId) && isHad(run));
    this.scanFailed();
    return { unknown, gone };
  }

  scanFailed(): void {
    this.#endedSinceScan = undefined;
    this.#knownAtScan = [];
  }

  #add(sessionKey: string): Entry {
    const childId = `s-${createHash('sha256').update(sessionKey).digest('hex')}`;
    const entry: Entry = {
      sessionKey,
      channel: channelOf(sessionKey),
      childId,
      status: 'absent',
      ref: undefined,
      open: new SortedStrings(),
      cutRun: '',
      changedAtMs: 0,
      list: undefined,
      previous: undefined,
      next: undefined,
    };
    this.#entries.set(sessionKey, entry);
    this.#byChild.set(childId, entry);
    return entry;
  }

  #wait(entry: Entry): void {
    const { channel } = entry;
    const list = this.#waiting.get(channel) ?? new LinkedList<Entry>();
    this.#waiting.set(channel, list);
    this.#put(entry, list);
  }

  /** At the end of a list; out of the one where it was. */
  #put(entry: Entry, list: LinkedList<Entry> | undefined): void {
    const { list: before, channel } = entry;
    before?.remove(entry);
    entry.list = list;
    list?.add(entry);
    if (before?.size === 0 && before === this.#waiting.get(channel)) this.#waiting.delete(channel);
  }

  #forget(entry: Entry): void {
    this.#put(entry, undefined);
    this.#entries.delete(entry.sessionKey);
    this.#byChild.delete(entry.childId);
  }
}

function unchangedSince(entries: Iterable<Entry>, beforeMs: number, limit: number): Entry[] {
  const found: Entry[] = [];
  for (const entry of entries) {
    if (found.length >= limit || entry.changedAtMs > beforeMs) break;
    found.push(entry);
  }
  return found;
}
