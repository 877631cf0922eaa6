/** The one line that commits and looks at committed rows wait in, first come first served. It writes nothing itself. */
import type { ChangeSet, CommitOutcome } from '../../runtime/store/store.ts';

export interface QueuedCommit {
  readonly type: 'commit';
  readonly changes: ChangeSet;
  readonly bytes: number;
  /** Called after the flush. */
  answer(outcome: CommitOutcome): void;
  /** Called instead where no store would take such a change set: its maker's defect, nothing was written. */
  refuse(error: Error): void;
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
    if (entry.type === 'commit') this.waitingBytes += entry.bytes;
    this.entries.push(entry);
  }

  /** Puts entries back before everything else, in their order. */
  pushFront(entries: readonly (QueuedCommit | QueuedLook)[]): void {
    if (entries.length === 0) return;
    for (const entry of entries) if (entry.type === 'commit') this.waitingBytes += entry.bytes;
    this.entries = [...entries, ...this.entries];
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
        if (commits.length > 0 && bytes + entry.bytes > maxBytes) break;
        commits.push(entry);
        bytes += entry.bytes;
      } else looks.push(entry);
      taken += 1;
    }
    this.entries.splice(0, taken);
    this.waitingBytes -= bytes;
    return { commits, looks };
  }
}

/** About how many bytes a change set holds in memory and writes: strings and binaries dominate, the rest is a guess. */
export function bytesOf(changes: ChangeSet): number {
  let bytes = 64 * (changes.expect.length + changes.remove.length + changes.facts.length);
  for (const { key, row } of changes.put) bytes += 64 + key.length + sizeOf(row);
  return bytes;
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return 8 + value.length;
  if (value instanceof Uint8Array) return 8 + value.byteLength;
  if (typeof value !== 'object' || value === null) return 8;
  let bytes = 8;
  for (const field in value) bytes += 8 + sizeOf((value as Record<string, unknown>)[field]);
  return bytes;
}
