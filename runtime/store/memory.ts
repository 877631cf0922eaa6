/** A store in memory, with the semantics of the durable one. What it holds ends with it. */
import { RuntimeError } from '../errors.ts';
import { applyBatch } from './apply.ts';
import { encodeChangeSet } from './encoding.ts';
import { readHead } from './head.ts';
import { type Pause, readJournal, verifyJournal } from './journal.ts';
import { readKeys, readPage, readRow } from './reading.ts';
import type { Store, StoreHealth } from './store.ts';
import { Tables } from './tables.ts';

export interface MemoryStoreOptions {
  /** Between two slices of a verification. Default: the next microtask. */
  readonly pause?: Pause;
  /** Where `backup` puts its copies. Default: a new map of this store. */
  readonly backups?: Map<string, Tables>;
  /** Where it keeps its rows, for example one of `backups`. Default: new ones. */
  readonly tables?: Tables;
}

/** Commits settle at once: everything is as flushed as it will ever be. */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  const tables = options.tables ?? new Tables();
  const backups = options.backups ?? new Map<string, Tables>();
  const pause = options.pause ?? (() => Promise.resolve());
  let commits = 0;
  let flushes = 0;
  let isClosed = false;
  const open = (): Tables => {
    if (isClosed) throw new RuntimeError('store_closed', 'store: it is closed');
    return tables;
  };
  return {
    async commit(batch, atMs) {
      const encoded = batch.map(encodeChangeSet);
      const { result, writes } = open().transaction((transaction) =>
        applyBatch(transaction, readHead(transaction), encoded, atMs),
      );
      commits += 1;
      if (writes.length > 0) flushes += 1;
      return result.outcomes;
    },
    read: (table, key) => readRow(open(), table, key),
    scan: (query) => readPage(open(), query, () => false),
    keys: (query) => readKeys(open(), query, () => false),
    journal: (after, limit) => readJournal(open(), after, limit),
    verify: async (how) => verifyJournal(open(), how, pause),
    health: (): StoreHealth => ({
      freeBytes: Number.POSITIVE_INFINITY,
      usedBytes: open().usedBytes,
      reusableBytes: 0,
      flushes,
      commits,
      journalSequence: readHead(tables).sequence,
      revision: readHead(tables).revision,
    }),
    async backup(toDirectory) {
      if (backups.has(toDirectory)) {
        throw new RuntimeError('bad_option', `store: a backup is at ${toDirectory} already`);
      }
      backups.set(toDirectory, open().copy());
    },
    async close() {
      isClosed = true;
    },
  };
}
