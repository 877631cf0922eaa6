/** What a ledger incarnation is given and what it holds. */
import type { ActorRef, Self, Settled } from '../../runtime/actor.ts';
import type { CommitOutcome, Store } from '../../runtime/store/store.ts';
import type { CommitQueue, QueuedCommit, QueuedLook } from './commit-queue.ts';
import type { IntakeLimits, Space, SpaceLimits } from './decide.ts';
import type { LedgerProtocol, RemovedRows, RowOwner } from './protocol.ts';
import type { RetentionClock } from './retention-clock.ts';
import type { JobRow, RetentionRule } from './rows.ts';

export type RowOwners = Readonly<Record<string, ActorRef<RowOwner>>>;

export interface LedgerArgs {
  readonly retention: readonly RetentionRule[];
  /** By table: who hears what retention removes of it. */
  readonly rowOwners?: RowOwners;
  readonly limits?: Partial<LedgerLimits>;
}

export interface LedgerLimits extends IntakeLimits, SpaceLimits {
  /** Change sets in one store commit. */
  readonly maxBatch: number;
}

/** A file that only takes room, deleted when the disk is nearly full so that work in progress can be written down. */
export interface Ballast {
  /** Makes it where it is not there; rejects where there is no room. */
  ensure(): Promise<void>;
  /** Deletes it; false when there was none. */
  release(): Promise<boolean>;
}

export interface LedgerDeps {
  /**
   * Opens the gateway's store, with its journal verified since the last checkpoint. Its coded errors (`store_newer`,
   * `store_corrupt`, `store_locked`) end the start.
   */
  openStore(): Promise<Store>;
  readonly ballast: Ballast;
  /** Makes the parent and gives the path, which does not exist yet, for the copy of this id. */
  prepareBackup(id: string): Promise<string>;
  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void;
}

/** What a step of retention has removed, and where the next one starts. */
export interface RemovedSlice {
  readonly rows: RemovedRows;
  readonly next: string;
  readonly isBusy: boolean;
}

export interface LedgerOwn {
  flushed(landing: Landing): void;
  /** Takes the next batch off; goes on with looks that did not fit in the slice before. */
  pump(nothing: null): void;
  /** How full it is, and whether it still answers. */
  checkDisk(nothing: null): void;
  ballastMoved(move: { readonly wanted: 'there' | 'gone'; readonly code: string }): void;
  retain(nothing: null): void;
  /** An owner of rows that had no room for the word that they are gone is told again. */
  tellOwner(slice: RemovedSlice): void;
  backupEnded(end: { readonly jobId: string; readonly ok: boolean; readonly detail: string }): void;
}

export type LedgerSelf = Self<LedgerProtocol & LedgerOwn>;

/** One store commit on its way. `looks` were asked behind its first change set and see all of it. */
export interface Flight {
  readonly commits: readonly QueuedCommit[];
  readonly looks: readonly QueuedLook[];
  readonly work: Promise<readonly CommitOutcome[]>;
  readonly startedAtMs: number;
}

export interface Landing {
  readonly flight: Flight;
  readonly settled: Settled<readonly CommitOutcome[]>;
}

export interface LedgerState {
  readonly store: Store;
  readonly deps: LedgerDeps;
  readonly limits: LedgerLimits;
  readonly retention: readonly RetentionRule[];
  readonly rowOwners: RowOwners;
  readonly queue: CommitQueue;
  readonly nextJobId: () => string;
  flight: Flight | undefined;
  /** The last one that was too long under way when it was looked at. */
  lateFlight: Flight | undefined;
  isAnswering: boolean;
  isPumpPlanned: boolean;
  /** The store refused a commit: nothing may be written any more. */
  hasFailed: boolean;
  space: Space;
  bytesSinceSpaceCheck: number;
  lastBatchMs: number;
  retentionClock: RetentionClock;
  sweep: { readonly rule: number; readonly after: string };
  backup: { readonly jobId: string; readonly row: JobRow } | undefined;
  readonly counts: {
    batches: number;
    changeSets: number;
    conflicts: number;
    busy: number;
    storageLow: number;
    retained: number;
  };
}
