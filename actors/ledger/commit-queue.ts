/** The one line that commits and looks at committed rows wait in, first come first served. It writes nothing itself. */
import type { EncodedChangeSet } from '../../runtime/store/encoding.ts';
import type { CommitOutcome } from '../../runtime/store/store.ts';

export interface QueuedCommit {
  readonly type: 'commit';
  readonly changes: EncodedChangeSet;
  readonly ends: CommitEnds;
}

export interface CommitEnds {
  /** After the flush. */
  resolve(outcome: CommitOutcome): void;
  /** Its maker's defect; nothing was written. */
  reject(error: Error): void;
}

/** Anything that reads: called while no commit is on its way, so that it never sees a row that is not flushed. */
export interface QueuedLook {
  readonly type: 'look';
  look(): void;
}

export class CommitQueue {
  private entries: (QueuedCommit | QueuedLook)[] = [];
  private waitingBytes = 0;

  get length(): number {
    return this.entries.length;
  }

  get bytes(): number {
    return this.waitingBytes;
  }

  push(entry: QueuedCommit | QueuedLook): void {
    if (entry.type === 'commit') this.waitingBytes += entry.changes.bytes;
    this.entries.push(entry);
  }

  /** Looks that go before everything else, in their order. */
  pushFront(looks: readonly QueuedLook[]): void {
    if (looks.length > 0) this.entries = [...looks, ...this.entries];
  }

  /** The look that is next in line; undefined where a commit is, or nothing. */
  takeLook(): QueuedLook | undefined {
    const first = this.entries[0];
    if (first?.type !== 'look') return undefined;
    this.entries.shift();
    return first;
  }

  /** At least one commit where one waits, at most `maxCommits`, and the looks between and behind them. */
  takeBatch(
    maxCommits: number,
    maxBytes: number,
  ): { readonly commits: readonly QueuedCommit[]; readonly looks: readonly QueuedLook[] } {
    const commits: QueuedCommit[] = [];
    const looks: QueuedLook[] = [];
    let bytes = 0;
    let taken = 0;
    for (const entry of this.entries) {
      if (entry.type === 'commit') {
        if (commits.length === maxCommits) break;
        if (commits.length > 0 && bytes + entry.changes.bytes > maxBytes) break;
        commits.push(entry);
        bytes += entry.changes.bytes;
      } else looks.push(entry);
      taken += 1;
    }
    this.entries.splice(0, taken);
    this.waitingBytes -= bytes;
    return { commits, looks };
  }
}
