/** The durable store: one LMDB environment, one transaction a commit, settled after its fsync. Opening is `open.ts`. */
import { statfsSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messageOf, RuntimeError } from '../../errors.ts';
import { applyBatch } from '../apply.ts';
import { type EncodedChangeSet, encodeChangeSet } from '../encoding.ts';
import { readHead } from '../head.ts';
import { readJournal, verifyJournal } from '../journal.ts';
import { readKeys, readPage, readRow, type StoreReader } from '../reading.ts';
import type {
  ChangeSet,
  CommitOutcome,
  JournalEntry,
  JournalVerdict,
  KeyPage,
  ScanPage,
  ScanQuery,
  Store,
  StoredRow,
  StoreHealth,
} from '../store.ts';
import { copyDatabase } from './backup.ts';
import { type Database, infoOf, pageBytesOf, readerOf, writeTogether } from './engine.ts';
import { within } from './within.ts';
import type { WriterLock } from './writer-lock.ts';

export interface LmdbParts {
  readonly directory: string;
  readonly database: Database;
  /** Absent: opened for reading only. */
  readonly lock: WriterLock | undefined;
  readonly closeTimeoutMs: number;
}

const SLICE_MS = 5;
const CAUSE_TIMEOUT_MS = 1_000;

export class LmdbStore implements Store {
  readonly #parts: LmdbParts;
  readonly #reader: StoreReader;
  readonly #pageBytes: number;
  readonly #openedAtTransaction: number;
  #commits = 0;
  /** Settles, never rejects, when the commit before is over. */
  #last: Promise<unknown> = Promise.resolve();
  #failure: RuntimeError | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: LmdbParts) {
    this.#parts = parts;
    this.#reader = readerOf(parts.database);
    this.#pageBytes = pageBytesOf(parts.database);
    this.#openedAtTransaction = infoOf(parts.database, this.#pageBytes).lastTransaction;
  }

  async commit(
    batch: readonly (ChangeSet | EncodedChangeSet)[],
    atMs: number,
  ): Promise<readonly CommitOutcome[]> {
    this.#checkWritable();
    const encoded = batch.map(encodeChangeSet);
    const committed = this.#last.then(() => this.#commitNow(encoded, atMs));
    this.#last = committed.catch(() => undefined);
    return committed;
  }

  read(table: string, key: string): StoredRow | undefined {
    return readRow(this.#open(), table, key);
  }

  scan(query: ScanQuery): ScanPage {
    return readPage(this.#open(), query, sliceEnd());
  }

  keys(query: ScanQuery): KeyPage {
    return readKeys(this.#open(), query, sliceEnd());
  }

  journal(after: number, limit: number): readonly JournalEntry[] {
    return readJournal(this.#open(), after, limit);
  }

  async verify(how: Parameters<Store['verify']>[0]): Promise<JournalVerdict> {
    const reader: StoreReader = {
      get: (table, key) => this.#open().get(table, key),
      range: (range) => this.#open().range(range),
      keys: (range) => this.#open().keys(range),
    };
    return verifyJournal(reader, how, () => nextTurn());
  }

  health(): StoreHealth {
    const { database, directory } = this.#parts;
    const { sequence } = readHead(this.#open());
    const { lastTransaction, usedBytes } = infoOf(database, this.#pageBytes);
    const { bavail, bsize } = statfsSync(directory);
    return {
      freeBytes: bavail * bsize,
      usedBytes,
      flushes: lastTransaction - this.#openedAtTransaction,
      commits: this.#commits,
      journalSequence: sequence,
    };
  }

  async backup(toDirectory: string): Promise<void> {
    this.#open();
    await copyDatabase(this.#parts.database, toDirectory);
  }

  /** Settles within the close deadline also on a medium that hangs; then the lock stays until the process ends. */
  close(): Promise<void> {
    this.#closing ??= this.#closeNow();
    return this.#closing;
  }

  async #commitNow(
    batch: readonly EncodedChangeSet[],
    atMs: number,
  ): Promise<readonly CommitOutcome[]> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const outcomes = await writeTogether(this.#parts.database, (transaction) =>
        applyBatch(transaction, batch, atMs),
      );
      this.#commits += 1;
      return outcomes;
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  async #fail(error: unknown): Promise<RuntimeError> {
    const cause = await causeOf(error);
    this.#failure = new RuntimeError(
      'store_failed',
      `the store ${this.#parts.directory} did not take a commit: ${messageOf(cause)}. Nothing of it may be believed and no more is written; make room or mend the disk, then start again`,
      { cause },
    );
    return this.#failure;
  }

  async #closeNow(): Promise<void> {
    const { database, lock, closeTimeoutMs } = this.#parts;
    const isIdle = await within(closeTimeoutMs, this.#last);
    const isClosed = isIdle && (await within(closeTimeoutMs, database.close()));
    if (isClosed) lock?.release();
  }

  #open(): StoreReader {
    if (this.#closing !== undefined) {
      throw new RuntimeError('store_closed', `the store ${this.#parts.directory} is closed`);
    }
    return this.#reader;
  }

  #checkWritable(): void {
    this.#open();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#parts.lock !== undefined) return;
    const message = `the store ${this.#parts.directory} was opened for reading only`;
    throw new RuntimeError('store_closed', message);
  }
}

/** True once the slice of a scan that begins now is used up. */
function sliceEnd(): () => boolean {
  const untilMs = performance.now() + SLICE_MS;
  return () => performance.now() >= untilMs;
}

/** A failed commit carries its real cause in a promise of its own, which must be caught whatever happens. */
async function causeOf(error: unknown): Promise<unknown> {
  const inner: unknown = (error as { readonly commitError?: unknown }).commitError;
  if (!(inner instanceof Promise)) return error;
  let cause = error;
  await within(
    CAUSE_TIMEOUT_MS,
    inner.catch((reason: unknown) => {
      cause = reason;
    }),
  );
  return cause;
}
