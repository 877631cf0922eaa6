/** Opens the durable store: lock, look, map, format version. What it then does is `lmdb-store.ts`. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { codeOf, messageOf, RuntimeError } from '../../errors.ts';
import { pack, unpackTuple } from '../encoding.ts';
import { type BytesReader, readHead } from '../head.ts';
import { verifyJournal } from '../journal.ts';
import { META_TABLE } from '../keys.ts';
import type { Store } from '../store.ts';
import { DATA_FILE, syncPath } from './backup.ts';
import { CommitLog } from './commit-log.ts';
import { inspectDataFile } from './data-file.ts';
import { type Database, openDatabase, readerOf, writeAll } from './engine.ts';
import { LmdbStore } from './lmdb-store.ts';
import { readBeyond, readLog, Unmoved } from './log-recovery.ts';
import { nameOf, readThrough } from './overlay.ts';
import { within } from './within.ts';
import { acquireWriterLock, type WriterLock } from './writer-lock.ts';

export interface LmdbStoreOptions {
  /** A directory of the store's own; made where it is not there. */
  readonly directory: string;
  /** Of the rows in it, a whole number that grows. A store of a later one is refused. Default 1. */
  readonly formatVersion?: number;
  /** Brings the rows from an older version to this one; may be run again after a crash. Without it an older store is refused. */
  readonly migrate?: (store: Store, fromVersion: number) => Promise<void>;
  /** Reads what is there, beside a writer or without one; takes no lock and writes nothing. */
  readonly readOnly?: boolean;
  /** Address space to begin with; it grows. Default 1 GiB. */
  readonly mapBytes?: number;
  /** What a file of the commit log holds before its rows are moved to the database. Default 1 MiB. */
  readonly logBytes?: number;
  /** How long `close` waits for the medium. Default 5 s. */
  readonly closeTimeoutMs?: number;
}

const DEFAULT_MAP_BYTES = 1_024 * 1_024 * 1_024;
const DEFAULT_LOG_BYTES = 1_024 * 1_024;
const DEFAULT_CLOSE_TIMEOUT_MS = 5_000;
const READ_TRIES = 5;
const READ_AGAIN_MS = 20;
const FORMAT_KEY = 'format';

/**
 * Opened for writing, its journal is verified since the last checkpoint. Rejects with `store_locked` (another thread or
 * process writes there), `store_newer`, `store_older`, `store_corrupt`, `store_missing` (only with `readOnly`) or
 * `store_failed`; then it has changed nothing in the store.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const directory = resolve(options.directory);
  let lock: WriterLock | undefined;
  try {
    if (!options.readOnly) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      lock = await acquireWriterLock(directory);
    }
    return await openParts(directory, options, lock);
  } catch (error) {
    lock?.release();
    if (error instanceof RuntimeError) throw error;
    const message = `the store ${directory} cannot be opened: ${messageOf(error)}`;
    throw new RuntimeError('store_failed', message, { cause: error });
  }
}

async function openParts(
  directory: string,
  options: LmdbStoreOptions,
  lock: WriterLock | undefined,
): Promise<Store> {
  const { mapBytes = DEFAULT_MAP_BYTES, closeTimeoutMs = DEFAULT_CLOSE_TIMEOUT_MS } = options;
  const isAbsent = inspectDataFile(join(directory, DATA_FILE)) === 'absent';
  if (isAbsent && lock === undefined) {
    throw new RuntimeError('store_missing', `there is no store in ${directory}`);
  }
  const database = await openDatabase({ directory, readOnly: lock === undefined, mapBytes });
  try {
    const opening = { directory, options, database, closeTimeoutMs };
    return await (lock === undefined ? openForReading(opening) : openForWriting(opening, lock));
  } catch (error) {
    await within(closeTimeoutMs, database.close());
    throw error;
  }
}

interface Opening {
  readonly directory: string;
  readonly options: LmdbStoreOptions;
  readonly database: Database;
  readonly closeTimeoutMs: number;
}

async function openForReading(opening: Opening): Promise<Store> {
  const { directory, options, database, closeTimeoutMs } = opening;
  checkFormat(directory, readFormat(database, directory), options);
  const unmoved = await findUnmoved(database, directory, READ_TRIES);
  const reader = readBeyond(unmoved, readerOf(database));
  return new LmdbStore({ directory, database, reader, writer: undefined, closeTimeoutMs });
}

/** Nothing is written before all that may refuse the store was looked at. */
async function openForWriting(opening: Opening, lock: WriterLock): Promise<Store> {
  const { directory, options, database, closeTimeoutMs } = opening;
  const { formatVersion = 1, logBytes = DEFAULT_LOG_BYTES } = options;
  const found = readFormat(database, directory);
  checkFormat(directory, found, options);
  const unmoved = await findUnmoved(database, directory, 1);
  await checkJournal(directory, readThrough(unmoved, readerOf(database)));
  if (found === undefined) await writeFormat(database, formatVersion);
  await writeAll(database, unmoved.rows());
  const log = await CommitLog.create(directory, logBytes, (rows) => writeAll(database, rows));
  try {
    // What is in the files is flushed, but not the names under which they are found again after a power cut.
    for (const path of [directory, dirname(directory)]) await syncPath(path);
    const reader = readThrough(log, readerOf(database));
    const store = new LmdbStore({
      directory,
      database,
      reader,
      writer: { lock, log },
      closeTimeoutMs,
    });
    if (found !== undefined && found < formatVersion) await migrate(store, found);
    return store;
  } catch (error) {
    await within(closeTimeoutMs, log.close());
    throw error;
  }

  async function migrate(store: Store, from: number): Promise<void> {
    const copy = `${directory}-format-${from}`;
    if (!existsSync(copy)) await store.backup(copy);
    await options.migrate?.(store, from);
    await writeFormat(database, formatVersion);
  }
}

/** Beside a writer the two files are read at different moments; what looks like a gap then is none a moment later. */
async function findUnmoved(database: Database, directory: string, tries: number): Promise<Unmoved> {
  for (let left = tries - 1; ; left -= 1) {
    try {
      const images = readLog(directory);
      // What this turn has read so far was the database of the turn's beginning.
      database.resetReadTxn();
      return new Unmoved(images, readHead(readerOf(database)));
    } catch (error) {
      if (left === 0 || codeOf(error) !== 'store_corrupt') throw error;
      await sleep(READ_AGAIN_MS);
    }
  }
}

async function checkJournal(directory: string, reader: BytesReader): Promise<void> {
  const verdict = await verifyJournal(reader, { whole: false }, () => nextTurn());
  if (verdict.ok) return;
  throw new RuntimeError(
    'store_corrupt',
    `the journal of the store ${directory} is broken at entry ${verdict.sequence}: ${verdict.reason}. Nothing was changed. Restore a backup into an empty directory`,
  );
}

/** The format version in it; undefined where nothing was ever written. */
function readFormat(database: Database, directory: string): number | undefined {
  const bytes = readerOf(database).get(META_TABLE, FORMAT_KEY);
  if (bytes !== undefined) return unpackTuple(bytes, ['number'])[0];
  if (database.getKeysCount({ limit: 1 }) === 0) return undefined;
  throw new RuntimeError(
    'store_corrupt',
    `${directory} holds data of another program, or a store that lost its format version. Nothing was changed. Use another directory, or restore a backup`,
  );
}

function checkFormat(
  directory: string,
  found: number | undefined,
  options: LmdbStoreOptions,
): void {
  const { formatVersion = 1 } = options;
  if (found === undefined) return;
  if (found > formatVersion) {
    throw new RuntimeError(
      'store_newer',
      `the store ${directory} has format ${found}, this program knows ${formatVersion} and older. Nothing was changed. Start a newer program, or restore a backup from before the upgrade`,
    );
  }
  if (found < formatVersion && (options.readOnly || options.migrate === undefined)) {
    throw new RuntimeError(
      'store_older',
      `the store ${directory} has format ${found}, this program needs ${formatVersion}. Nothing was changed. Open it with the program that wrote it, or once for writing where there is a migration`,
    );
  }
}

async function writeFormat(database: Database, version: number): Promise<void> {
  await writeAll(database, [[nameOf(META_TABLE, FORMAT_KEY), pack([version])]]);
}
