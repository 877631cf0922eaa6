/** The durable store: a commit is one append to its log, the rows move on to one LMDB environment. Opening is `open.ts`. */
import { statfsSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { messageOf, RuntimeError } from '../../errors.ts';
import { applyBatch, refuseAll } from '../apply.ts';
import { type EncodedChangeSet, encodeChangeSet } from '../encoding.ts';
import { type Head, readHead } from '../head.ts';
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
import { copyMoment, keepMoment } from './backup.ts';
import type { CommitLog } from './commit-log.ts';
import { type Database, lastTransactionOf, spaceOf } from './engine.ts';
import { roomFor } from './log-record.ts';
import { collect } from './overlay.ts';
import { within } from './within.ts';
import type { WriterLock } from './writer-lock.ts';

export interface LmdbParts {
  readonly directory: string;
  readonly database: Database;
  /** Over the log and the database. */
  readonly reader: StoreReader;
  /** Absent: opened for reading only. */
  readonly writer: { readonly lock: WriterLock; readonly log: CommitLog } | undefined;
  /** Rejects with `store_corrupt` where a page or a row of the database is damaged, with the signal's reason where that cuts it. */
  checkWhole(signal: AbortSignal): Promise<void>;
  /** Of the database, with all that hangs on it. */
  close(): Promise<void>;
  readonly closeTimeoutMs: number;
}

const SLICE_MS = 5;

export class LmdbStore implements Store {
  readonly #parts: LmdbParts;
  readonly #openedAtTransaction: number;
  /** Known from the first commit on. */
  #head: Head | undefined;
  #commits = 0;
  /** Settles, never rejects, when the commit before is over. */
  #last: Promise<unknown> = Promise.resolve();
  /** Settles, never rejects, when nobody keeps a moment of the database any more. */
  #kept: Promise<unknown> = Promise.resolve();
  readonly #ending = new AbortController();
  #failure: RuntimeError | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: LmdbParts) {
    this.#parts = parts;
    this.#openedAtTransaction = lastTransactionOf(parts.database);
  }

  async commit(
    batch: readonly (ChangeSet | EncodedChangeSet)[],
    atMs: number,
  ): Promise<readonly CommitOutcome[]> {
    const log = this.#writableLog();
    const encoded = batch.map(encodeChangeSet);
    return this.#inTurn(() => this.#commitNow(log, encoded, atMs));
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
    this.#open();
    if (how.whole) await this.#keeping(() => this.#parts.checkWhole(this.#ending.signal));
    return verifyJournal(reader, how, () => nextTurn());
  }

  health(): StoreHealth {
    const { database, directory, writer } = this.#parts;
    const { sequence, revision } = readHead(this.#open());
    const { usedBytes, reusableBytes } = spaceOf(database);
    const { bavail, bsize } = statfsSync(directory);
    return {
      freeBytes: bavail * bsize,
      usedBytes: usedBytes + (writer?.log.fileBytes ?? 0),
      reusableBytes,
      flushes: lastTransactionOf(database) - this.#openedAtTransaction + (writer?.log.appends ?? 0),
      commits: this.#commits,
      journalSequence: sequence,
      revision,
    };
  }

  async backup(toDirectory: string): Promise<void> {
    const log = this.#writableLog();
    return this.#keeping(() => this.#copyNow(log, toDirectory));
  }

  /** Cuts backups and verifications. Settles within the close deadline also on a medium that hangs; then the lock stays until the process ends. */
  close(): Promise<void> {
    this.#closing ??= this.#closeNow();
    return this.#closing;
  }

  /** Appends and drains go one after the other. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** One after the other too; the database is not closed before. */
  async #keeping(work: () => Promise<void>): Promise<void> {
    const done = this.#kept.then(work);
    this.#kept = done.catch(() => undefined);
    return done;
  }

  async #commitNow(
    log: CommitLog,
    batch: readonly EncodedChangeSet[],
    atMs: number,
  ): Promise<readonly CommitOutcome[]> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const room = roomFor(batch);
      if (!log.hasRoom(room)) {
        // No room is made, nor a failed move told of, for what is refused anyway.
        const refused = refuseAll(this.#parts.reader, batch);
        if (refused !== undefined) {
          this.#commits += 1;
          return refused;
        }
        await log.makeRoom();
      }
      const record = log.begin(room);
      const transaction = collect(this.#parts.reader, record);
      const before = this.#head ?? readHead(transaction);
      const { outcomes, head } = applyBatch(transaction, before, batch, atMs);
      if (!record.isEmpty) await log.append(record, head.sequence);
      this.#head = head;
      this.#commits += 1;
      return outcomes;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async #drain(log: CommitLog): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await log.drain();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async #copyNow(log: CommitLog, toDirectory: string): Promise<void> {
    const { database, directory } = this.#parts;
    const moment = await this.#inTurn(async () => {
      await this.#drain(log);
      return keepMoment(database, directory);
    });
    try {
      await copyMoment(moment, toDirectory, this.#ending.signal);
    } finally {
      moment.release();
    }
  }

  #fail(cause: unknown): RuntimeError {
    this.#failure = new RuntimeError(
      'store_failed',
      `the store ${this.#parts.directory} did not take a commit: ${messageOf(cause)}. Nothing of it may be believed and no more is written; make room or mend the disk, then start again`,
      { cause },
    );
    return this.#failure;
  }

  async #closeNow(): Promise<void> {
    const { writer, closeTimeoutMs } = this.#parts;
    this.#ending.abort(this.#closed());
    const closing = async () => {
      await this.#kept;
      await this.#last;
      try {
        // What cannot be moved now stays in the log for the next start.
        if (writer !== undefined) await this.#drain(writer.log).catch(() => undefined);
        await writer?.log.close();
      } finally {
        await this.#parts.close();
      }
    };
    if (await within(closeTimeoutMs, closing())) writer?.lock.release();
  }

  #open(): StoreReader {
    if (this.#closing !== undefined) throw this.#closed();
    return this.#parts.reader;
  }

  #closed(): RuntimeError {
    return new RuntimeError('store_closed', `the store ${this.#parts.directory} is closed`);
  }

  #writableLog(): CommitLog {
    this.#open();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#parts.writer !== undefined) return this.#parts.writer.log;
    const message = `the store ${this.#parts.directory} was opened for reading only`;
    throw new RuntimeError('store_closed', message);
  }
}

/** True once the slice of a scan that begins now is used up. */
function sliceEnd(): () => boolean {
  const untilMs = performance.now() + SLICE_MS;
  return () => performance.now() >= untilMs;
}
