/** What others say to the ledger: the one writer of the gateway's durable state. */
import type { OperationOwner } from '../../proto/control/owner.ts';
import type { EncodedChangeSet } from '../../runtime/store/encoding.ts';
import type {
  ChangeSet,
  CommitOutcome,
  KeyPage,
  ScanPage,
  ScanQuery,
  StoredRow,
  StoreHealth,
} from '../../runtime/store/store.ts';

export interface CommitRequest {
  readonly changes: ChangeSet | EncodedChangeSet;
  /**
   * True for what takes something new in: refused as `storage_low` while the disk is nearly full, and as `busy` while a
   * quarter of the line is still free, which is kept for what ends or settles.
   */
  readonly admits: boolean;
}

/** `busy`: the queue is full, nothing was written. */
export type CommitReply =
  | CommitOutcome
  | { readonly ok: false; readonly code: 'busy' | 'storage_low'; readonly retryAfterMs: number };

export interface LedgerHealth extends StoreHealth {
  /** False while the disk is nearly full: change sets that admit are refused. */
  readonly admitting: boolean;
  /** Requests that wait for their turn. */
  readonly pending: number;
  /** For how long the commit that is on its way to the disk has had no answer; 0 when none is. */
  readonly commitAgeMs: number;
}

/** What retention has removed of one table. */
export interface RemovedRows {
  readonly table: string;
  readonly keys: readonly string[];
}

/** An actor that remembers rows of its tables: it hears which ones retention has removed, after the flush. Twice is once. */
export interface RowOwner {
  removed(rows: RemovedRows): void;
}

export interface LedgerProtocol extends OperationOwner {
  /** Answered after the flush. A failed flush is never answered: the process ends with exit 74. */
  commit(request: CommitRequest): CommitReply;
  /** Through the same queue as commits: it sees every commit answered before it was asked. At most one row. */
  read(key: { readonly table: string; readonly key: string }): readonly StoredRow[];
  scan(query: ScanQuery): ScanPage;
  /** As `scan`, without the rows. */
  keys(query: ScanQuery): KeyPage;
  health(nothing: null): LedgerHealth;
}
