/**
 * One moment of a store, read beside a writer or without one. Whoever opens LMDB's own lock file sets the number of the last
 * transaction in it to the one that it has read, so a reader that opens it while a writer commits takes that commit back:
 * the next transaction begins from the one before. A reader therefore gives LMDB a lock file of its own, where the writer
 * does not see it, and has the writer itself keep what it reads (`pins.ts`).
 */
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { RuntimeError } from '../../errors.ts';
import type { StoreReader } from '../reading.ts';
import { DATA_FILE } from './data-file.ts';
import {
  allRows,
  type Database,
  holdsNothing,
  lastTransactionOf,
  openDatabase,
  readerOf,
  type StoredBytes,
} from './engine.ts';
import type { Pinned } from './pins.ts';
import { createReaderPlace } from './reader-place.ts';

export interface Snapshot {
  readonly database: Database;
  /** Throws `store_busy` where what it read may have been written over, as nobody kept it. */
  readonly reader: StoreReader;
  readonly isEmpty: boolean;
  /** Every row as it is stored; throws as the reader does. */
  all(): Iterable<StoredBytes>;
  close(): Promise<void>;
}

export interface SnapshotOptions {
  readonly directory: string;
  readonly mapBytes: number;
  readonly pinned: Pinned;
}

const TRIES = 20;
/** Linux's; elsewhere it is not there. */
const SHARED_MEMORY = '/dev/shm';

export async function openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  const { directory, mapBytes, pinned } = options;
  for (let left = TRIES; left > 0; left -= 1) {
    const database = await openByItself(directory, mapBytes);
    const last = () => lastTransactionOf(database);
    const seen = last();
    const transaction = database.useReadTransaction();
    const close = async () => {
      transaction.done();
      await database.close();
    };
    const check = () => {
      if (!pinned.isKept && last() !== seen) throw busy(directory);
    };
    // One that began while nothing was committed has read a whole meta page.
    if (last() === seen) {
      const isEmpty = holdsNothing(database, transaction);
      const reader = checked(readerOf(database, transaction), check);
      const all = () => each(allRows(database, transaction), check);
      return { database, reader, isEmpty, all, close };
    }
    await close();
  }
  throw busy(directory);
}

/** In a directory of its own, which is gone as soon as the engine has both files; beside the store only where no other takes it. */
async function openByItself(directory: string, mapBytes: number): Promise<Database> {
  const parents = [tmpdir(), SHARED_MEMORY, dirname(directory)];
  const place = createReaderPlace(parents, join(directory, DATA_FILE));
  try {
    return await openDatabase({ directory: place, readOnly: true, mapBytes });
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Asks before each step, as what was written over is no tree any more, and after it: pages are written over only by a commit after the next. */
function checked(reader: StoreReader, check: () => void): StoreReader {
  return {
    get(table, key) {
      check();
      const bytes = reader.get(table, key);
      check();
      return bytes;
    },
    range: (range) => each(reader.range(range), check),
    keys: (range) => each(reader.keys(range), check),
  };
}

function* each<T>(rows: Iterable<T>, check: () => void): Generator<T> {
  check();
  for (const row of rows) {
    check();
    yield row;
    check();
  }
}

function busy(directory: string): RuntimeError {
  return new RuntimeError(
    'store_busy',
    `the store ${directory} was written while it was read, and its writer was not there to keep what was read; read it again`,
    { retryable: true },
  );
}
