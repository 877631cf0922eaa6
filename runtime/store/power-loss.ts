/** The power-loss twin: a store in memory that loses what was not flushed, at a moment and by a seed of the test's choice. */
import { createDeferred, type Deferral } from '../deferred.ts';
import { RuntimeError } from '../errors.ts';
import { applyBatch } from './apply.ts';
import { type EncodedChangeSet, encodeChangeSet } from './encoding.ts';
import { readHead } from './head.ts';
import { type Pause, readJournal, verifyJournal } from './journal.ts';
import { readKeys, readPage, readRow } from './reading.ts';
import type { ChangeSet, CommitOutcome, Store, StoreHealth } from './store.ts';
import { Tables, type Write } from './tables.ts';

export interface PowerLossOptions {
  /** Called after each commit with what flushes everything so far. Without it only the test's `flush` does. */
  readonly schedule?: (flush: () => void) => void;
  /** Between two slices of a verification. Default: the next microtask. */
  readonly pause?: Pause;
  /** The defect of a writer that does not wait: commits settle, with their real outcomes, before they are flushed. */
  readonly answersBeforeFlush?: boolean;
  /** How much the disk holds. Default: everything. */
  readonly capacityBytes?: number;
}

/** What one commit wrote, until it is flushed. */
interface Unflushed {
  readonly writes: readonly Write[];
  readonly outcomes: readonly CommitOutcome[];
  readonly settled: Deferral<readonly CommitOutcome[]>;
}

export class PowerLossStore implements Store {
  readonly #options: PowerLossOptions;
  readonly #pause: Pause;
  /** What is flushed. */
  readonly #disk: Tables;
  /** What is committed, flushed or not: this is what reads see. */
  readonly #live: Tables;
  readonly #backups: Map<string, Tables>;
  #unflushed: Unflushed[] = [];
  #commits = 0;
  #flushes = 0;
  #failAtCommit = Number.POSITIVE_INFINITY;
  #capacityBytes: number;
  #failure: RuntimeError | undefined;
  #isOver = false;

  constructor(
    options: PowerLossOptions = {},
    disk = new Tables(),
    backups = new Map<string, Tables>(),
  ) {
    this.#options = options;
    this.#pause = options.pause ?? (() => Promise.resolve());
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.#disk = disk;
    this.#live = disk.copy();
    this.#backups = backups;
  }

  /** Commits that a crash may lose. */
  get unflushed(): number {
    return this.#unflushed.length;
  }

  /** The `count` oldest unflushed commits reach the disk in one round and settle. */
  flush(count = this.#unflushed.length): void {
    if (this.#isOver || this.#failure !== undefined) return;
    const flushed = this.#unflushed.splice(0, count);
    if (flushed.some(({ writes }) => writes.length > 0)) this.#flushes += 1;
    for (const { writes } of flushed) this.#disk.replay(writes);
    for (const { settled, outcomes } of flushed) settled.resolve(outcomes);
  }

  /** The `nth` commit from now on fails as a broken disk does: it may or may not be there after a crash. */
  failCommit(nth = 1): void {
    this.#failAtCommit = this.#commits + nth;
  }

  setCapacityBytes(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /**
   * Ends this instance as a power cut does and gives a new one opened from the disk: everything flushed and, by the
   * seed, any prefix of what was committed after that. Also opens a closed store again.
   */
  crash(seed: number): PowerLossStore {
    const lost = this.#end();
    const kept = Math.floor(randomOf(seed) * (lost.length + 1));
    for (const { writes } of lost.slice(0, kept)) this.#disk.replay(writes);
    return new PowerLossStore(this.#options, this.#disk, this.#backups);
  }

  async commit(
    batch: readonly (ChangeSet | EncodedChangeSet)[],
    atMs: number,
  ): Promise<readonly CommitOutcome[]> {
    this.#open();
    if (this.#failure !== undefined) throw this.#failure;
    const encoded = batch.map(encodeChangeSet);
    this.#commits += 1;
    if (this.#commits >= this.#failAtCommit) throw this.#breakDown(encoded, atMs);
    const settled = createDeferred<readonly CommitOutcome[]>();
    try {
      const { result, writes } = this.#live.transaction((transaction) => {
        const { outcomes } = applyBatch(transaction, readHead(transaction), encoded, atMs);
        if (this.#live.usedBytes > this.#capacityBytes) throw new Error('no space left');
        return outcomes;
      });
      this.#unflushed.push({ writes, outcomes: result, settled });
    } catch (error) {
      throw this.#fail(error);
    }
    this.#options.schedule?.(() => this.flush());
    if (this.#options.answersBeforeFlush !== true) return settled.promise;
    settled.promise.catch(() => undefined);
    return this.#unflushed.at(-1)?.outcomes ?? settled.promise;
  }

  read(table: string, key: string) {
    return readRow(this.#open(), table, key);
  }

  scan(query: Parameters<Store['scan']>[0]) {
    return readPage(this.#open(), query, () => false);
  }

  keys(query: Parameters<Store['keys']>[0]) {
    return readKeys(this.#open(), query, () => false);
  }

  journal(after: number, limit: number) {
    return readJournal(this.#open(), after, limit);
  }

  async verify(how: Parameters<Store['verify']>[0]) {
    return verifyJournal(this.#open(), how, this.#pause);
  }

  health(): StoreHealth {
    const { usedBytes } = this.#open();
    return {
      freeBytes: Math.max(0, this.#capacityBytes - usedBytes),
      usedBytes,
      reusableBytes: 0,
      flushes: this.#flushes,
      commits: this.#commits,
      journalSequence: readHead(this.#live).sequence,
      revision: readHead(this.#live).revision,
    };
  }

  async backup(toDirectory: string): Promise<void> {
    if (this.#backups.has(toDirectory)) {
      throw new RuntimeError('bad_option', `store: a backup is at ${toDirectory} already`);
    }
    this.#backups.set(toDirectory, this.#open().copy());
  }

  /** In order: what was committed is flushed first. `crash` opens it again. */
  async close(): Promise<void> {
    this.flush();
    this.#end();
  }

  #open(): Tables {
    if (this.#isOver) throw closed();
    return this.#live;
  }

  #end(): readonly Unflushed[] {
    const lost = this.#unflushed;
    this.#unflushed = [];
    this.#isOver = true;
    for (const { settled } of lost) settled.reject(closed());
    return lost;
  }

  #breakDown(encoded: readonly EncodedChangeSet[], atMs: number): RuntimeError {
    const { result, writes } = this.#live
      .copy()
      .transaction((transaction) => applyBatch(transaction, readHead(transaction), encoded, atMs));
    const settled = createDeferred<readonly CommitOutcome[]>();
    settled.promise.catch(() => undefined);
    this.#unflushed.push({ writes, outcomes: result.outcomes, settled });
    return this.#fail(new Error('input/output error'));
  }

  /** Nothing unflushed can be flushed any more; a crash may still find it on the disk. */
  #fail(cause: unknown): RuntimeError {
    const failure = new RuntimeError(
      'store_failed',
      'store: the medium failed; nothing of this commit may be believed, open the store again',
      { cause },
    );
    this.#failure = failure;
    for (const { settled } of this.#unflushed) settled.reject(failure);
    return failure;
  }
}

function closed(): RuntimeError {
  return new RuntimeError('store_closed', 'store: it is closed');
}

/** One number in [0, 1) for a seed: mulberry32's first. */
function randomOf(seed: number): number {
  let bits = (seed + 0x6d2b79f5) | 0;
  bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
}
