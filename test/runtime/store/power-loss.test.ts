/** The power-loss twin keeps the store contract, and loses what was not flushed. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from '../../../runtime/errors.ts';
import { PowerLossStore, type Store, Tables } from '../../../runtime/store/index.ts';
import { storeContract } from '../../contracts/store.contract.ts';
import { AT_MS, changes, put } from '../../contracts/store-samples.ts';
import { within } from '../../support/within.ts';
import { tamperTables } from './tamper-tables.ts';

storeContract({
  name: 'the power-loss twin',
  propertyRuns: 400,
  async newPlace() {
    const disk = new Tables();
    return {
      open: async () => new PowerLossStore({ schedule: setImmediate }, disk),
      async openTampered(sequence) {
        tamperTables(disk, sequence);
        return new PowerLossStore({ schedule: setImmediate }, disk);
      },
      dispose: async () => undefined,
    };
  },
}).run();

const test = suite('the power-loss twin');

const DEADLINE_MS = 10_000;

/** Commits one row and reports how it ended, without waiting for it. */
function commitRow(store: Store, key: string, seen: string[]): void {
  store
    .commit([changes({ put: [put(key, { v: 1 })], facts: [{ type: 'made', key }] })], AT_MS)
    .then(
      () => seen.push(`${key} flushed`),
      (error: unknown) => seen.push(`${key} ${codeOf(error)}`),
    );
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function keysOf(store: Store): string {
  return store
    .scan({ table: 'rows', limit: 100 })
    .rows.map(({ key }) => key)
    .join('');
}

test('a commit settles when it is flushed, not before', async () => {
  const store = new PowerLossStore();
  const seen: string[] = [];
  commitRow(store, 'a', seen);
  commitRow(store, 'b', seen);
  await turn();
  assert.equal(seen, []);
  assert.is(keysOf(store), 'ab', 'it is visible at once');
  assert.is(store.unflushed, 2);
  store.flush(1);
  await turn();
  assert.equal(seen, ['a flushed']);
  store.flush();
  await turn();
  assert.equal(seen, ['a flushed', 'b flushed']);
  assert.is(store.health().flushes, 2);
});

test('a crash keeps everything flushed and, by the seed, any prefix of what was not', async () => {
  const kept = new Map<string, number>();
  for (let seed = 0; seed < 200; seed += 1) {
    const store = new PowerLossStore();
    const seen: string[] = [];
    for (const key of ['a', 'b']) commitRow(store, key, seen);
    store.flush();
    for (const key of ['c', 'd', 'e']) commitRow(store, key, seen);
    const after = store.crash(seed);
    const keys = keysOf(after);
    kept.set(keys, (kept.get(keys) ?? 0) + 1);
    const verdict = await after.verify({ whole: true });
    assert.is(verdict.ok && verdict.entries, keys.length);
    await turn();
    assert.equal(seen.slice(0, 2), ['a flushed', 'b flushed']);
    assert.equal(seen.slice(2), ['c store_closed', 'd store_closed', 'e store_closed']);
  }
  assert.equal([...kept.keys()].sort(), ['ab', 'abc', 'abcd', 'abcde']);
  for (const [keys, times] of kept) assert.ok(times > 20, `${keys}: ${times} of 200`);
});

test('the same seed loses the same', async () => {
  const property = fc.asyncProperty(fc.integer(), fc.nat(6), async (seed, count) => {
    const run = () => {
      const store = new PowerLossStore();
      for (let n = 0; n < count; n += 1) commitRow(store, String(n), []);
      return keysOf(store.crash(seed));
    };
    assert.is(run(), run());
  });
  await within('the property', fc.assert(property, { numRuns: 100 }), DEADLINE_MS);
});

test('after a crash the old instance refuses everything and changes nothing', async () => {
  const old = new PowerLossStore();
  commitRow(old, 'a', []);
  old.flush();
  const store = old.crash(1);
  const seen: string[] = [];
  commitRow(old, 'b', seen);
  old.flush();
  await turn();
  assert.equal(seen, ['b store_closed']);
  assert.throws(
    () => old.read('rows', 'a'),
    (error: unknown) => codeOf(error) === 'store_closed',
  );
  assert.is(keysOf(store), 'a');
  assert.is(keysOf(store.crash(9)), 'a');
});

test('revisions go on from what survived', async () => {
  let store = new PowerLossStore({ schedule: (flush) => flush() });
  for (let round = 1; round <= 5; round += 1) {
    const expect = [{ table: 'rows', key: 'a', revision: round - 1 }];
    const outcome = await store.commit([changes({ expect, put: [put('a', { v: round })] })], AT_MS);
    assert.equal(outcome, [{ ok: true, revision: round }]);
    store = store.crash(round);
  }
});

test('a commit that the disk fails may be there after a crash, or not, and no other is taken', async () => {
  const kept = new Set<string>();
  for (let seed = 0; seed < 60; seed += 1) {
    const store = new PowerLossStore();
    const seen: string[] = [];
    commitRow(store, 'a', seen);
    store.flush();
    store.failCommit(2);
    commitRow(store, 'b', seen);
    commitRow(store, 'c', seen);
    commitRow(store, 'd', seen);
    store.flush();
    await turn();
    assert.equal([...seen].sort(), [
      'a flushed',
      'b store_failed',
      'c store_failed',
      'd store_failed',
    ]);
    kept.add(keysOf(store.crash(seed)));
  }
  assert.equal([...kept].sort(), ['a', 'ab', 'abc']);
});

test('a full disk fails the commit that does not fit, and shows its free bytes before', async () => {
  const store = new PowerLossStore({ capacityBytes: 4_000, schedule: (flush) => flush() });
  const seen: string[] = [];
  commitRow(store, 'a', seen);
  await turn();
  assert.ok(store.health().freeBytes < 4_000);
  const big = changes({ put: [put('big', { v: 1, text: 'x'.repeat(5_000) })] });
  assert.is(await store.commit([big], AT_MS).catch(codeOf), 'store_failed');
  assert.is(store.read('rows', 'big'), undefined);
  const after = store.crash(1);
  assert.is(keysOf(after), 'a');
  after.setCapacityBytes(20_000);
  assert.is((await after.commit([big], AT_MS))[0]?.ok, true);
});

test('closing in order flushes first, and a crash opens it again', async () => {
  const store = new PowerLossStore();
  const seen: string[] = [];
  commitRow(store, 'a', seen);
  await store.close();
  await turn();
  assert.equal(seen, ['a flushed']);
  assert.is(keysOf(store.crash(3)), 'a');
});

test.run();
