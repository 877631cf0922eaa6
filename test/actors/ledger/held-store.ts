/** A memory store whose commits wait until the test lets them through, and whose disk is as full as the test says. */
import { createDeferred, type Deferral } from '../../../runtime/deferred.ts';
import { type EncodedChangeSet, encodeChangeSet } from '../../../runtime/store/encoding.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { Store } from '../../../runtime/store/store.ts';

export interface HeldStore extends Store {
  /** What each store commit held, in order. */
  readonly batches: (readonly EncodedChangeSet[])[];
  /** True: a commit is written and flushed only by `release`. */
  isHolding: boolean;
  freeBytes: number;
  reusableBytes: number;
  isClosed: boolean;
  backups: string[];
  /** Commits that wait. */
  readonly waiting: number;
  /** Lets the commit through that has waited longest. */
  release(): void;
  /** Makes it fail, nothing written. */
  fail(error: Error): void;
}

export function createHeldStore(inner: Store = createMemoryStore()): HeldStore {
  const gates: Deferral<void>[] = [];
  const next = (): Deferral<void> => {
    const gate = gates.shift();
    if (gate === undefined) throw new Error('no commit is waiting');
    return gate;
  };
  const store: HeldStore = {
    batches: [],
    isHolding: false,
    get waiting() {
      return gates.length;
    },
    freeBytes: Number.POSITIVE_INFINITY,
    reusableBytes: 0,
    isClosed: false,
    backups: [],
    release: () => next().resolve(),
    fail: (error) => next().reject(error),
    async commit(batch, atMs) {
      store.batches.push(batch.map(encodeChangeSet));
      if (store.isHolding) {
        const gate = createDeferred<void>();
        gates.push(gate);
        await gate.promise;
      }
      return inner.commit(batch, atMs);
    },
    read: (table, key) => inner.read(table, key),
    scan: (query) => inner.scan(query),
    keys: (query) => inner.keys(query),
    journal: (after, limit) => inner.journal(after, limit),
    verify: (options) => inner.verify(options),
    health() {
      const { freeBytes, reusableBytes } = store;
      return { ...inner.health(), freeBytes, reusableBytes };
    },
    async backup(directory) {
      store.backups.push(directory);
      await inner.backup(directory);
    },
    async close() {
      store.isClosed = true;
      await inner.close();
    },
  };
  return store;
}
