/** The LMDB store on an engine that fails or hangs: what it says, what it still does, that it ends. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { type Database, openDatabase, writeTogether } from '../../../runtime/store/lmdb/engine.ts';
import { LmdbStore } from '../../../runtime/store/lmdb/lmdb-store.ts';
import { acquireWriterLock } from '../../../runtime/store/lmdb/writer-lock.ts';
import { codeOfRejection, commit, put } from '../../contracts/store-samples.ts';
import { within } from '../../support/within.ts';

const test = suite('the LMDB store on a failing engine');

/** A store over a real environment, of which the test may break parts. */
async function onEngine(
  work: (store: LmdbStore, database: Database, directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-failing-'));
  const database = await openDatabase({ directory, readOnly: false, mapBytes: 1_024 * 1_024 });
  const close = database.close.bind(database);
  try {
    const lock = await acquireWriterLock(directory);
    const store = new LmdbStore({ directory, database, lock, closeTimeoutMs: 200 });
    await within('the test', work(store, database, directory), 20_000);
  } finally {
    await close();
    rmSync(directory, { recursive: true, force: true });
  }
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

test('a failed commit names its cause, and no other commit is taken after it', () =>
  onEngine(async (store, database) => {
    await commit(store, { put: [put('a', { v: 1 })] });
    failNextTransaction(database, new Error('No space left on device'));
    const first = commit(store, { put: [put('b', { v: 1 })] });
    const waiting = commit(store, { put: [put('c', { v: 1 })] });
    const error = await first.catch((reason: unknown) => reason);
    assert.is(codeOf(error), 'store_failed');
    assert.match(messageOf(error), /No space left on device.*make room/);
    assert.is(await codeOfRejection(() => waiting), 'store_failed');
    assert.is(await codeOfRejection(() => commit(store, {})), 'store_failed');
    assert.is(store.read('rows', 'c'), undefined);
    assert.is(store.read('rows', 'a')?.revision, 1, 'it can still be read');
    assert.is((await store.verify({ whole: true })).ok, true);
    await store.close();
  }));

test('a transaction whose work breaks in the middle leaves nothing of itself', () =>
  onEngine(async (store, database) => {
    const work = writeTogether(database, (transaction) => {
      transaction.put('rows', 'a', Buffer.from([1]));
      assert.is(transaction.get('rows', 'a')?.length, 1, 'it sees its own writes');
      throw new Error('broken');
    });
    assert.match(await work.catch(messageOf), /broken/);
    assert.is(store.health().flushes, 0);
    assert.equal(store.scan({ table: 'rows', limit: 10 }).rows, []);
  }));

test('closing ends also when the engine never closes, and then keeps the lock', () =>
  onEngine(async (store, database, directory) => {
    database.close = () => new Promise(() => undefined);
    await within('closing', store.close(), 5_000);
    assert.is(await codeOfRejection(() => store.read('rows', 'a')), 'store_closed');
    assert.is(readdirSync(directory).filter((name) => name.endsWith('.lock')).length, 1);
  }));

test('closing ends also when a commit never does', () =>
  onEngine(async (store, database) => {
    database.batch = () => new Promise(() => undefined);
    commit(store, { put: [put('a', { v: 1 })] }).catch(() => undefined);
    await within('closing', store.close(), 5_000);
  }));

test.run();
