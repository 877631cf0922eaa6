/** The LMDB store on an engine that fails or hangs: what it says, what it still does, that it ends. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { encodeChangeSet } from '../../../runtime/store/encoding.ts';
import { openLmdbStore } from '../../../runtime/store/index.ts';
import { CommitLog } from '../../../runtime/store/lmdb/commit-log.ts';
import {
  type Database,
  openDatabase,
  readerOf,
  writeAll,
} from '../../../runtime/store/lmdb/engine.ts';
import { LmdbStore } from '../../../runtime/store/lmdb/lmdb-store.ts';
import { BLOCK_BYTES } from '../../../runtime/store/lmdb/log-record.ts';
import { readThrough } from '../../../runtime/store/lmdb/overlay.ts';
import { acquireWriterLock } from '../../../runtime/store/lmdb/writer-lock.ts';
import { changes, codeOfRejection, commit, expected, put } from '../../contracts/store-samples.ts';
import { until, within } from '../../support/within.ts';

const test = suite('the LMDB store on a failing engine');

const LOG_BYTES = 8_192;

/** A file of the log has room for two of these. */
const FULL_BLOCK = { put: [put('a', { v: 1, text: 'x'.repeat(3_000) })] };
const REFUSED = { expect: [expected('a', 9_999)], ...FULL_BLOCK };

/** A store over a real environment and log, of which the test may break parts. */
async function onEngine(work: (parts: Parts) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-failing-'));
  const database = await openDatabase({ directory, readOnly: false, mapBytes: 1_024 * 1_024 });
  const close = database.close.bind(database);
  try {
    const lock = await acquireWriterLock(directory);
    const log = await CommitLog.create(directory, LOG_BYTES, (rows) => writeAll(database, rows));
    const reader = readThrough(log, readerOf(database));
    const parts = {
      directory,
      database,
      reader,
      checkWhole: () => Promise.resolve(),
      close: () => database.close(),
      closeTimeoutMs: 200,
    };
    const store = new LmdbStore({ ...parts, writer: { lock, log } });
    await within('the test', work({ store, log, database, directory }), 20_000);
    await log.close();
  } finally {
    await close();
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Parts {
  readonly store: LmdbStore;
  readonly log: CommitLog;
  readonly database: Database;
  readonly directory: string;
}

/** As lmdb rejects a commit that the file system refuses: without a code, its cause in a promise beside it. */
function failNextTransaction(database: Database, cause: Error): void {
  const real = database.batch;
  database.batch = () => {
    database.batch = real;
    const commitError = Promise.reject(cause);
    return Promise.reject(Object.assign(new Error('Commit failed'), { commitError }));
  };
}

test('a failed append names its cause, and no other commit is taken after it', () =>
  onEngine(async ({ store, log }) => {
    await commit(store, { put: [put('a', { v: 1 })] });
    log.append = () => Promise.reject(new Error('No space left on device'));
    const first = commit(store, { put: [put('b', { v: 1 })] });
    const waiting = commit(store, { put: [put('c', { v: 1 })] });
    const error = await first.catch((reason: unknown) => reason);
    assert.is(codeOf(error), 'store_failed');
    assert.match(messageOf(error), /No space left on device.*make room/);
    assert.is(await codeOfRejection(() => waiting), 'store_failed');
    assert.is(await codeOfRejection(() => commit(store, {})), 'store_failed');
    assert.is(store.read('rows', 'b'), undefined);
    assert.is(store.read('rows', 'c'), undefined);
    assert.is(store.read('rows', 'a')?.revision, 1, 'it can still be read');
    assert.is((await store.verify({ whole: true })).ok, true);
    await store.close();
  }));

test('a database that takes no more ends the commits, with its cause; what was durable is there at the next start', () =>
  onEngine(async ({ store, database, directory }) => {
    failNextTransaction(database, new Error('No space left on device'));
    const text = 'x'.repeat(3_000);
    let taken = 0;
    let error: unknown;
    while (error === undefined && taken < 20) {
      const done = commit(store, { put: [put(`k${taken}`, { v: 1, text })] });
      error = await done.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error === undefined) taken += 1;
    }
    assert.is(codeOf(error), 'store_failed');
    assert.match(messageOf(error), /No space left on device.*make room/);
    assert.ok(taken >= 2, 'a full file is moved while the other one takes commits');
    await store.close();
    const again = await openLmdbStore({ directory });
    for (let n = 0; n < taken; n += 1) assert.is(again.read('rows', `k${n}`)?.row.text, text);
    assert.is((await again.verify({ whole: true })).ok, true);
    await again.close();
  }));

test('a commit that is refused whole waits for no move, and begins none', () =>
  onEngine(async ({ store, database }) => {
    let moves = 0;
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const real = database.batch.bind(database);
    database.batch = async (work) => {
      moves += 1;
      await held;
      return real(work);
    };
    for (const begun of [0, 1]) {
      // The file that takes the commits is full then.
      for (let n = 0; n < 2; n += 1) await commit(store, FULL_BLOCK);
      assert.is(moves, begun);
      const { commits: before } = store.health();
      const outcomes = await commit(store, REFUSED, REFUSED);
      assert.equal(
        outcomes.map(({ ok }) => ok),
        [false, false],
      );
      assert.is(moves, begun);
      assert.is(store.health().commits, before + 1);
    }
    const waiting = commit(store, REFUSED, FULL_BLOCK);
    letGo();
    assert.equal(
      (await waiting).map(({ ok }) => ok),
      [false, true],
    );
    await store.close();
  }));

test('a large commit that is refused whole leaves no memory behind, and the file as it is', () =>
  onEngine(async ({ store, log }) => {
    const put = [{ table: 'rows', key: 'a', row: { v: 1, text: 'x'.repeat(2 ** 22) } }];
    const large = [1, 2].map(() => encodeChangeSet(changes({ ...REFUSED, put })));
    const before = bufferBytes();
    // Once where the file is empty, once where it is not.
    for (const one of large) {
      const { fileBytes } = log;
      assert.is((await store.commit([one], 1))[0]?.ok, false);
      assert.is(log.fileBytes, fileBytes);
      assert.ok((await commit(store, FULL_BLOCK))[0]?.ok);
    }
    const grown = bufferBytes() - before;
    assert.ok(grown < 2 ** 21, `${grown} bytes beside ${large.length} batches`);
    await store.close();
  }));

/** Of those that are still held. */
function bufferBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().arrayBuffers;
}

test('a commit that is refused whole is told so also where a move has failed', () =>
  onEngine(async ({ store, log, database }) => {
    failNextTransaction(database, new Error('No space left on device'));
    for (let n = 0; n < 3; n += 1) await commit(store, FULL_BLOCK);
    // One of two blocks is free: there is no room any more once the failure is known.
    await until('the move has failed', () => !log.hasRoom(BLOCK_BYTES), 15_000);
    assert.is((await commit(store, REFUSED))[0]?.ok, false);
    assert.is(await codeOfRejection(() => commit(store, FULL_BLOCK)), 'store_failed');
    assert.is(await codeOfRejection(() => commit(store, REFUSED)), 'store_failed');
    await store.close();
  }));

test('nobody reads what is not durable yet', () =>
  onEngine(async ({ store, log }) => {
    const real = log.append.bind(log);
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    log.append = async (sequence, writes) => {
      await held;
      await real(sequence, writes);
    };
    const committed = commit(store, { put: [put('a', { v: 1 })] });
    await new Promise((resolve) => setImmediate(resolve));
    assert.is(store.read('rows', 'a'), undefined);
    assert.equal(store.scan({ table: 'rows', limit: 10 }).rows, []);
    letGo();
    await committed;
    assert.is(store.read('rows', 'a')?.revision, 1);
    await store.close();
  }));

test('closing ends also when the engine never closes, and then keeps the lock', () =>
  onEngine(async ({ store, database, directory }) => {
    database.close = () => new Promise(() => undefined);
    await within('closing', store.close(), 5_000);
    assert.is(await codeOfRejection(() => store.read('rows', 'a')), 'store_closed');
    assert.is(readdirSync(directory).filter((name) => name.endsWith('.lock')).length, 1);
  }));

test('closing ends also when a commit never does', () =>
  onEngine(async ({ store, log }) => {
    log.append = () => new Promise(() => undefined);
    commit(store, { put: [put('a', { v: 1 })] }).catch(() => undefined);
    await within('closing', store.close(), 5_000);
  }));

test.run();
