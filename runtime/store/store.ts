/** The store contract: change sets as plain data, all or nothing, compare-and-set by row revision, journalled. One writer. */
import type { EncodedChangeSet } from './encoding.ts';

/** Plain msgpack map; `v` is the version of the row's shape. */
export interface Row {
  readonly v: number;
  readonly [field: string]: unknown;
}

/** A row and the number of the change set that last wrote it: never reused, never reset. */
export interface StoredRow<R extends Row = Row> {
  readonly revision: number;
  readonly row: R;
}

/** What happened, for the journal: ids, sizes, reasons and digests; never a body, never a secret. */
export interface Fact {
  readonly type: string;
  readonly [field: string]: string | number | boolean;
}

export interface ChangeSet {
  /** Each row must have exactly this revision before any write of this set; 0 = absent. One miss refuses all of it. */
  readonly expect: readonly {
    readonly table: string;
    readonly key: string;
    readonly revision: number;
  }[];
  /** In order, before the removals: of two writes to a row the later one stays. */
  readonly put: readonly { readonly table: string; readonly key: string; readonly row: Row }[];
  readonly remove: readonly { readonly table: string; readonly key: string }[];
  readonly facts: readonly Fact[];
}

export type CommitOutcome =
  | { readonly ok: true; readonly revision: number }
  | {
      readonly ok: false;
      readonly code: 'conflict';
      readonly table: string;
      readonly key: string;
      readonly actual: number;
    };

export interface ScanQuery {
  readonly table: string;
  /** Keys that start with this; '' for the whole table. */
  readonly prefix?: string;
  /** Keys strictly after this one (before it, when `reverse`): the `next` of the page before. */
  readonly after?: string;
  readonly limit: number;
  readonly reverse?: boolean;
}

export interface ScanPage {
  readonly rows: readonly { readonly key: string; readonly revision: number; readonly row: Row }[];
  /** Give it as `after` to go on; '' at the end. */
  readonly next: string;
}

export interface KeyPage {
  readonly keys: readonly string[];
  /** Give it as `after` to go on; '' at the end. */
  readonly next: string;
}

/** One link of the chain: SHA-256(previous ‖ u64 sequence ‖ per fact u32 length ‖ bytes), big-endian, hex here. */
export interface JournalEntry {
  readonly sequence: number;
  readonly previous: string;
  readonly hash: string;
  readonly atMs: number;
  readonly facts: readonly Fact[];
}

export type JournalVerdict =
  | { readonly ok: true; readonly entries: number; readonly facts: number; readonly head: string }
  | { readonly ok: false; readonly sequence: number; readonly reason: string };

export interface StoreHealth {
  /** Free bytes on the file system that the store lives on; Infinity in memory. */
  readonly freeBytes: number;
  readonly usedBytes: number;
  /** Of the used ones, those that hold nothing any more: they are written again before the store takes more room, but not while a backup or a reader keeps its moment. */
  readonly reusableBytes: number;
  /** Appends to its log and transactions of its database since it was opened; each is durable when it settles. No fsync is counted. */
  readonly flushes: number;
  readonly commits: number;
  readonly journalSequence: number;
  /** Of the last change set that wrote: what is written later has a greater one. */
  readonly revision: number;
}

/**
 * Tables come into being when first written. The store keeps the tables `journal` and `meta` for itself.
 * Keys are well-formed strings of 1 to 1,900 UTF-8 bytes, ordered by their bytes. They stay in memory as they are given, in the
 * durable store until their rows have moved to its database: one that is cut out of a long text keeps all of that text.
 * Whatever is called after `close` fails with `store_closed`.
 */
export interface Store {
  /**
   * Applies the change sets in order, each all or nothing, together with one journal entry over the facts of those
   * that applied; settles after all of it is flushed. `atMs` is the entry's wall time. Rejects with `store_failed`
   * when the medium fails: then nothing of it may be believed, and the store is closed for writing. Rejects with
   * `not_encodable` or `bad_option` for what is no change set: then nothing of the batch is written and the store goes
   * on; one that `encodeChangeSet` took is never refused so. Revisions are numbered over all accepted change sets, whatever they write.
   */
  commit(
    batch: readonly (ChangeSet | EncodedChangeSet)[],
    atMs: number,
  ): Promise<readonly CommitOutcome[]>;
  /** Committed rows only; at most one. */
  read(table: string, key: string): StoredRow | undefined;
  /** At most `limit` rows, 10,000, 8 MiB, and about 5 ms of work. */
  scan(query: ScanQuery): ScanPage;
  /** The keys of what `scan` would find, without reading a row: at most `limit`, 10,000, and about 5 ms of work. */
  keys(query: ScanQuery): KeyPage;
  /**
   * Entries with a greater sequence than `after`, in order: at most `limit`, 200, and the one at which 256 KiB of facts are
   * reached. None: there is none.
   */
  journal(after: number, limit: number): readonly JournalEntry[];
  /**
   * From the last checkpoint, or whole; yields between slices. `progress` hears the sequence reached. Whole, it rejects with
   * `store_corrupt` where a durable store has a damaged page or row.
   */
  verify(options: {
    readonly whole: boolean;
    progress?(sequence: number): void;
  }): Promise<JournalVerdict>;
  health(): StoreHealth;
  /** A copy of one moment in a directory that does not exist yet; `close` cuts it. Not of a store that was opened for reading only. */
  backup(toDirectory: string): Promise<void>;
  close(): Promise<void>;
}
