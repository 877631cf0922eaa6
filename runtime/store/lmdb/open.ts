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
import { syncPath } from './backup.ts';
import { CommitLog } from './commit-log.ts';
import { corrupt, DATA_FILE } from './data-file.ts';
import {
  allRows,
  type Database,
  holdsNothing,
  openDatabase,
  pin,
  readerOf,
  writeAll,
} from './engine.ts';
import { LmdbStore } from './lmdb-store.ts';
import { readLog, Unmoved } from './log-recovery.ts';
import { nameOf, readThrough } from './overlay.ts';
import { checkDataFile, PAGES_AT_START } from './page-check.ts';
import { askForPin, PinDesk } from './pins.ts';
import { checkRows } from './row-check.ts';
import { openSnapshot, type Snapshot } from './snapshot.ts';
import { within } from './within.ts';
import { acquireWriterLock, type WriterLock } from './writer-lock.ts';

export interface LmdbStoreOptions {
  /** A directory of the store's own; made where it is not there. */
  readonly directory: string;
  /** Of the rows in it, a whole number that grows. A store of a later one is refused. Default 1. */
  readonly formatVersion?: number;
  /** Brings the rows from an older version to this one; may be run again after a crash. Without it an older store is refused. */
  readonly migrate?: (store: Store, fromVersion: number) => Promise<void>;
  /** Reads what is there at this moment, beside a writer or without one; takes no lock and writes nothing but a lock file of its own in a temporary directory. */
  readonly readOnly?: boolean;
  /** Address space to begin with; it grows. Default 1 GiB. */
  readonly mapBytes?: number;
  /** What a file of the commit log holds before its rows are moved to the database. Default 1 MiB. */
  readonly logBytes?: number;
  /** How long `close` waits for the medium. Default 5 s. */
  readonly closeTimeoutMs?: number;
}

const DEFAULT_MAP_BYTES = 1_024 * 1_024 * 1_024;
/** What the engine says of a page that is not what it has to be. */
const DAMAGED = /MDB_(?:CORRUPTED|PAGE_NOTFOUND)/;
const DEFAULT_LOG_BYTES = 1_024 * 1_024;
const DEFAULT_CLOSE_TIMEOUT_MS = 5_000;
const READ_TRIES = 5;
const READ_AGAIN_MS = 20;
const FORMAT_KEY = 'format';

/**
 * Opened for writing, its journal is verified since the last checkpoint. Rejects with `store_locked` (another thread or
 * process writes there), `store_newer`, `store_older`, `store_corrupt`, `store_missing` (only with `readOnly`) or
 * `store_failed`; then it has changed nothing in the store. One opened for reading rejects with `no_temp_directory` where no
 * directory takes its lock file, and throws `store_busy` where it was written over while it was read, which a writer that
 * lives and answers does not do.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const directory = resolve(options.directory);
  try {
    return await (options.readOnly
      ? openForReading(directory, options)
      : openForWriting(directory, options));
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    if (DAMAGED.test(messageOf(error))) throw corrupt(join(directory, DATA_FILE), messageOf(error));
    const message = `the store ${directory} cannot be opened: ${messageOf(error)}`;
    throw new RuntimeError('store_failed', message, { cause: error });
  }
}

async function openForReading(directory: string, options: LmdbStoreOptions): Promise<Store> {
  const { mapBytes = DEFAULT_MAP_BYTES, closeTimeoutMs = DEFAULT_CLOSE_TIMEOUT_MS } = options;
  const pinned = await askForPin(directory);
  try {
    const { snapshot, unmoved } = await readWhole(options, { directory, mapBytes, pinned });
    const { database } = snapshot;
    const reader = readThrough(unmoved, snapshot.reader);
    const close = async () => {
      await snapshot.close();
      pinned.end();
    };
    const checkWhole = async (signal: AbortSignal) => {
      try {
        await checkRows(directory, snapshot.all(), signal);
      } catch (error) {
        // Pages that nobody kept were written over: it says so.
        readHead(reader);
        throw error;
      }
    };
    const parts = { directory, database, reader, writer: undefined, checkWhole };
    return new LmdbStore({ ...parts, close, closeTimeoutMs });
  } catch (error) {
    pinned.end();
    throw error;
  }
}

/** Beside a writer the two files are read at different moments; what looks like a gap then is none a moment later. */
async function readWhole(options: LmdbStoreOptions, place: Parameters<typeof openSnapshot>[0]) {
  const { directory } = place;
  for (let left = READ_TRIES - 1; ; left -= 1) {
    const images = readLog(directory);
    let snapshot: Snapshot | undefined;
    try {
      if (!(await checkDataFile(directory, Number.POSITIVE_INFINITY))) {
        throw new RuntimeError('store_missing', `there is no store in ${directory}`);
      }
      snapshot = await openSnapshot(place);
      checkFormat(directory, readFormat(directory, snapshot), options);
      return { snapshot, unmoved: new Unmoved(images, readHead(snapshot.reader)) };
    } catch (error) {
      await snapshot?.close();
      if (left === 0 || codeOf(error) !== 'store_corrupt') throw error;
    }
    await sleep(READ_AGAIN_MS);
  }
}

async function openForWriting(directory: string, options: LmdbStoreOptions): Promise<Store> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { mapBytes = DEFAULT_MAP_BYTES, closeTimeoutMs = DEFAULT_CLOSE_TIMEOUT_MS } = options;
  const desk = new PinDesk();
  const lock = await acquireWriterLock(directory, (visitor) => desk.visit(visitor));
  try {
    await checkDataFile(directory, PAGES_AT_START);
    const database = await openDatabase({ directory, readOnly: false, mapBytes });
    const close = async () => {
      desk.close();
      await database.close();
    };
    try {
      desk.open(() => pin(database).release);
      return await openParts(options, { directory, database, lock, close, closeTimeoutMs });
    } catch (error) {
      await within(closeTimeoutMs, close());
      throw error;
    }
  } catch (error) {
    desk.close();
    lock.release();
    throw error;
  }
}

interface Opening {
  readonly directory: string;
  readonly database: Database;
  readonly lock: WriterLock;
  readonly close: () => Promise<void>;
  readonly closeTimeoutMs: number;
}

/** Nothing is written before all that may refuse the store was looked at. */
async function openParts(options: LmdbStoreOptions, opening: Opening): Promise<Store> {
  const { directory, database, lock, close, closeTimeoutMs } = opening;
  const { formatVersion = 1, logBytes = DEFAULT_LOG_BYTES } = options;
  const rows = readerOf(database);
  const isEmpty = holdsNothing(database);
  const found = readFormat(directory, { reader: rows, isEmpty });
  checkFormat(directory, found, options);
  const unmoved = new Unmoved(readLog(directory), readHead(rows));
  await checkJournal(directory, readThrough(unmoved, rows));
  if (found === undefined) await writeFormat(database, formatVersion);
  await writeAll(database, unmoved);
  const log = await CommitLog.create(directory, logBytes, (moved) => writeAll(database, moved));
  try {
    // What is in the files is flushed, but not the names under which they are found again after a power cut.
    for (const path of [directory, dirname(directory)]) await syncPath(path);
    const reader = readThrough(log, rows);
    const writer = { lock, log };
    const checkWhole = async (signal: AbortSignal) => {
      const { transaction, release } = pin(database);
      try {
        await checkDataFile(directory, Number.POSITIVE_INFINITY, signal);
        await checkRows(directory, allRows(database, transaction), signal);
      } finally {
        release();
      }
    };
    const parts = { directory, database, reader, writer, checkWhole };
    const store = new LmdbStore({ ...parts, close, closeTimeoutMs });
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

async function checkJournal(directory: string, reader: BytesReader): Promise<void> {
  const verdict = await verifyJournal(reader, { whole: false }, () => nextTurn());
  if (verdict.ok) return;
  throw new RuntimeError(
    'store_corrupt',
    `the journal of the store ${directory} is broken at entry ${verdict.sequence}: ${verdict.reason}. Nothing was changed. Restore a backup into an empty directory`,
  );
}

/** The format version in it; undefined where nothing was ever written. */
function readFormat(
  directory: string,
  { reader, isEmpty }: { readonly reader: BytesReader; readonly isEmpty: boolean },
): number | undefined {
  const bytes = reader.get(META_TABLE, FORMAT_KEY);
  if (bytes !== undefined) return unpackTuple(bytes, ['number'])[0];
  if (isEmpty) return undefined;
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
  await writeAll(database, new Map([[nameOf(META_TABLE, FORMAT_KEY), pack([version])]]));
}
