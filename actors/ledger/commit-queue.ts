/** The one line that commits and looks at committed rows wait in: in order, but admissions first. It writes nothing itself. */
import type { ChangeSet, CommitOutcome } from '../../runtime/store/store.ts';

export interface QueuedCommit {
  readonly type: 'commit';
  readonly changes: ChangeSet;
  readonly bytes: number;
  /** Somebody outside waits for it, with a deadline of his own. */
  readonly admits: boolean;
  readonly sinceMs: number;
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

/** For so long a commit that admits nothing lets admissions go first: runs and deliveries take seconds, senders do not. */
const PATIENCE_MS = 50;

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

  /**
   * At least one commit where one waits, at most `maxCommits`, and the looks between and behind them. While admissions
   * wait they go alone, unless a look or a commit that has waited long enough asks for all that is before it.
   */
  takeBatch({ maxCommits, maxBytes, nowMs }: BatchLimits): {
    readonly commits: readonly QueuedCommit[];
    readonly looks: readonly QueuedLook[];
  } {
    const admissionsOnly = this.#admissionsGoFirst(nowMs);
    const commits: QueuedCommit[] = [];
    const looks: QueuedLook[] = [];
    const left: (QueuedCommit | QueuedLook)[] = [];
    let bytes = 0;
    let isFull = false;
    for (const entry of this.entries) {
      if (entry.type === 'look') (isFull ? left : looks).push(entry);
      else {
        isFull ||= commits.length === maxCommits;
        isFull ||= commits.length > 0 && bytes + entry.bytes > maxBytes;
        if (isFull || (admissionsOnly && !entry.admits)) left.push(entry);
        else {
          commits.push(entry);
          bytes += entry.bytes;
        }
      }
    }
    this.entries = left;
    this.waitingBytes -= bytes;
    return { commits, looks };
  }

  #admissionsGoFirst(nowMs: number): boolean {
    let hasAdmission = false;
    for (const entry of this.entries) {
      if (entry.type === 'look') return false;
      if (entry.admits) hasAdmission = true;
      else if (nowMs - entry.sinceMs >= PATIENCE_MS) return false;
    }
    return hasAdmission;
  }
}

export interface BatchLimits {
  readonly maxCommits: number;
  readonly maxBytes: number;
  readonly nowMs: number;
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
