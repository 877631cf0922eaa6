/** The few parts of lmdb that the store uses, opened the one way that is durable and fails cleanly. */
import type { RootDatabase, Transaction } from 'lmdb';
import type { KeyRange, StoreReader } from '../reading.ts';
import { type NamedRows, nameOf } from './overlay.ts';
import { within } from './within.ts';

const CAUSE_TIMEOUT_MS = 1_000;

export type Database = RootDatabase<Buffer, Buffer>;

export interface EngineOptions {
  readonly directory: string;
  readonly readOnly: boolean;
  readonly mapBytes: number;
}

/**
 * Loads lmdb on first use. `overlappingSync` is off: a commit then settles after its fsync, is visible only from then
 * on, and a failed one rejects and lets `close` settle. `eventTurnBatching` is off because its inner promise, which
 * nobody can reach, rejects unhandled with a failed commit.
 */
export async function openDatabase(options: EngineOptions): Promise<Database> {
  const { open } = await import('lmdb');
  const settings = {
    path: options.directory,
    noSubdir: false,
    readOnly: options.readOnly,
    mapSize: options.mapBytes,
    encoding: 'binary',
    keyEncoding: 'binary',
    overlappingSync: false,
    eventTurnBatching: false,
    permissionsMode: 0o600,
  } as const;
  return open<Buffer, Buffer>(settings);
}

/** Its types leave the second argument out. */
interface Bytes {
  getBinary(key: Buffer, options: { readonly transaction?: Transaction }): Buffer | undefined;
}

/** The rows that the database has, or had when the transaction began. */
export function readerOf(database: Database, transaction?: Transaction): StoreReader {
  const inside = transaction === undefined ? {} : { transaction };
  const bytes: Bytes = database;
  return {
    get: (table, key) => bytes.getBinary(nameOf(table, key), inside),
    *range(range) {
      const skip = range.table.length + 1;
      for (const { key, value } of database.getRange({ ...boundsOf(range), ...inside })) {
        yield [key.toString('utf8', skip), value];
      }
    },
    *keys(range) {
      const skip = range.table.length + 1;
      for (const key of database.getKeys({ ...boundsOf(range), ...inside })) {
        yield key.toString('utf8', skip);
      }
    },
  };
}

/** The key's bytes are good until the next one is read. */
export interface StoredBytes {
  readonly key: Buffer;
  readonly value: Buffer;
}

export function allRows(database: Database, transaction: Transaction): Iterable<StoredBytes> {
  return database.getRange({ transaction });
}

export function holdsNothing(database: Database, transaction?: Transaction): boolean {
  // Not `getKeysCount`, which takes no limit and walks them all.
  for (const _ of database.getKeys({ limit: 1, ...(transaction && { transaction }) })) return false;
  return true;
}

/** Keeps what a reader that begins now can see: no page of it is written over before the pin is given up. */
export function pin(database: Database): {
  readonly transaction: Transaction;
  release(): void;
} {
  database.resetReadTxn();
  const transaction = database.useReadTransaction();
  database.resetReadTxn();
  return { transaction, release: () => transaction.done() };
}

/**
 * Has the engine's own thread write all of the rows as one transaction (undefined = removed): this thread makes no system
 * call and waits for nothing. The bytes stay as they are until it settles. Rejects with the cause where the commit failed;
 * then, as after any failed commit, nothing of it may be believed.
 */
export async function writeAll(database: Database, rows: NamedRows): Promise<void> {
  if (rows.size === 0) return;
  const committed = database.batch(() => {
    rows.forEach((row, name) => {
      // Each of these ends with the batch.
      if (row === undefined) void database.remove(name);
      else void database.put(name, row as Buffer);
    });
  });
  try {
    await committed;
  } catch (error) {
    throw await causeOf(error);
  }
}

/** Counts the transactions that wrote something. It begins no reading. */
export function lastTransactionOf(database: Database): number {
  const { env } = database as unknown as {
    readonly env: { info(): { readonly lastTxnId: number } };
  };
  return env.info().lastTxnId;
}

export interface EngineSpace {
  readonly usedBytes: number;
  /** Of the used ones, on pages that hold nothing any more. */
  readonly reusableBytes: number;
}

const META_PAGES = 2;

interface Tree {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** By counts that the engine keeps, however large it is. */
export function spaceOf(database: Database): EngineSpace {
  const stats = database.getStats() as {
    readonly pageSize: number;
    readonly lastPageNumber: number;
    readonly root: Tree;
    readonly free: Tree;
  };
  const pages = stats.lastPageNumber + 1;
  const held = META_PAGES + pagesOf(stats.root) + pagesOf(stats.free);
  // A commit may come between the two counts.
  const reusable = Math.max(0, pages - held);
  return { usedBytes: pages * stats.pageSize, reusableBytes: reusable * stats.pageSize };
}

function pagesOf(tree: Tree): number {
  return tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
}

function boundsOf({ table, prefix, after, reverse }: KeyRange) {
  const low = nameOf(table, prefix);
  const beyond = Buffer.from(low);
  // No UTF-8 byte is 255, and neither is the NUL of an empty prefix.
  beyond[beyond.length - 1] = (beyond[beyond.length - 1] ?? 0) + 1;
  const cursor = after === '' ? undefined : nameOf(table, after);
  if (reverse) {
    const start = cursor !== undefined && Buffer.compare(cursor, beyond) < 0 ? cursor : beyond;
    return { start, end: low, reverse, exclusiveStart: true, inclusiveEnd: true };
  }
  if (cursor !== undefined && Buffer.compare(cursor, low) >= 0) {
    return { start: cursor, end: beyond, exclusiveStart: true };
  }
  return { start: low, end: beyond };
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
