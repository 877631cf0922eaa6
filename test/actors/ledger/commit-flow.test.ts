/** Group commit: who is answered when, in which order, and what is refused. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ledgerActor } from '../../../actors/ledger/actor.ts';
import type { LedgerHealth } from '../../../actors/ledger/protocol.ts';
import { RuntimeError } from '../../../runtime/errors.ts';
import { rejectionCode } from '../../../runtime/testing/behavior-kit.ts';
import { within } from '../../support/within.ts';
import { openLedger, sofar, turnOfLoop } from './open-ledger.ts';

const flow = suite('ledger: group commit');
const test = (title: string, run: () => Promise<void>) => flow(title, () => within(title, run()));

test('a commit is answered only after its flush', async () => {
  const { store, put, drain } = await openLedger();
  store.isHolding = true;
  const reply = put('a');
  assert.is(await sofar(reply), 'pending');
  await drain();
  assert.equal(await reply, { ok: true, revision: 1 });
});

test('what waits already takes off together, and what comes while it is on its way is the next one', async () => {
  const { store, put, drain } = await openLedger();
  store.isHolding = true;
  const replies = ['a', 'b', 'c'].map((key) => put(key));
  await turnOfLoop();
  replies.push(...['d', 'e'].map((key) => put(key)));
  await drain();
  assert.equal(
    store.batches.map((batch) => batch.length),
    [3, 2],
  );
  assert.equal(
    (await Promise.all(replies)).map((reply) => reply.ok && reply.revision),
    [1, 2, 3, 4, 5],
  );
});

test('a batch that is full takes off at once', async () => {
  const { store, put, drain } = await openLedger({ args: { limits: { maxBatch: 2 } } });
  void put('a');
  assert.is(store.batches.length, 0);
  void put('b');
  assert.equal(
    store.batches.map((batch) => batch.length),
    [2],
  );
  await drain();
});

test('a ledger whose mailbox is full takes off at once', async () => {
  const { kit, store, put, drain } = await openLedger();
  kit.self.tell = () => false;
  const reply = put('a');
  assert.is(store.batches.length, 1);
  await drain();
  assert.is((await reply).ok, true);
});

test('a batch holds no more change sets than its bound', async () => {
  const limits = { maxBatch: 2 };
  const { store, put, drain } = await openLedger({ args: { limits } });
  store.isHolding = true;
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) void put(key);
  await drain();
  assert.equal(
    store.batches.map((batch) => batch.length),
    [2, 2, 2],
  );
});

test('a read sees every commit asked before it, and waits for their flush', async () => {
  const { kit, store, put, drain } = await openLedger();
  store.isHolding = true;
  void put('a');
  await turnOfLoop();
  void put('b');
  const read = kit.receive('read', { table: 'inbox', key: 'b' }) as Promise<{ row: unknown }[]>;
  const scan = kit.receive('scan', { table: 'inbox', limit: 10 }) as Promise<{ rows: unknown[] }>;
  const keys = kit.receive('keys', { table: 'inbox', limit: 10 }) as Promise<{ keys: string[] }>;
  void put('c');
  await turnOfLoop();
  store.release();
  assert.is(await sofar(read), 'pending');
  assert.is(await sofar(keys), 'pending');
  await drain();
  assert.is((await read).length, 1);
  assert.ok((await scan).rows.length >= 2);
  assert.equal((await keys).keys.slice(0, 2), ['a', 'b']);
});

test('a read never sees a row whose flush is still on its way', async () => {
  const { kit, store, put, drain } = await openLedger();
  store.isHolding = true;
  void put('a');
  const read = kit.receive('read', { table: 'inbox', key: 'a' });
  assert.is(await sofar(read), 'pending');
  await drain();
  assert.is(((await read) as unknown[]).length, 1);
});

test('an absent row reads as nothing, also when the ledger is idle', async () => {
  const { kit } = await openLedger();
  assert.equal(await kit.receive('read', { table: 'inbox', key: 'none' }), []);
});

test('a change set whose expectation fails is a conflict, and its neighbours are written', async () => {
  const { kit, store, put, drain } = await openLedger();
  store.isHolding = true;
  void put('first');
  const good = put('a');
  const changes = {
    expect: [{ table: 'inbox', key: 'first', revision: 7 }],
    put: [{ table: 'inbox', key: 'never', row: { v: 1 } }],
    remove: [],
    facts: [],
  };
  const bad = kit.receive('commit', { changes, admits: false });
  await drain();
  assert.is((await good).ok, true);
  assert.equal(await bad, {
    ok: false,
    code: 'conflict',
    table: 'inbox',
    key: 'first',
    actual: 1,
  });
  assert.is(store.read('inbox', 'never'), undefined);
});

test('a full line answers busy with a time to come back, and writes nothing', async () => {
  const limits = { maxPending: 8 };
  const { kit, store, put, drain } = await openLedger({ args: { limits } });
  store.isHolding = true;
  void put('first');
  await turnOfLoop();
  for (let n = 0; n < 8; n += 1) void put(`k${n}`);
  const reply = await put('late');
  assert.is(reply.ok, false);
  assert.is(!reply.ok && reply.code, 'busy');
  assert.ok(!reply.ok && reply.code === 'busy' && reply.retryAfterMs >= 100);
  const read = kit.receive('read', { table: 'inbox', key: 'a' }) as Promise<unknown>;
  assert.is(await rejectionCode(read), 'busy');
  await drain();
  assert.is(store.read('inbox', 'late'), undefined);
  const again = put('again');
  await drain();
  assert.is((await again).ok, true);
});

test('accept is refused before settle: a quarter of the line is kept for work in progress', async () => {
  const limits = { maxPending: 8 };
  const { store, put, drain } = await openLedger({ args: { limits } });
  store.isHolding = true;
  void put('first');
  await turnOfLoop();
  for (let n = 0; n < 6; n += 1) void put(`k${n}`);
  const admitting = await put('admit', { admits: true });
  assert.is(!admitting.ok && admitting.code, 'busy');
  const settling = put('settle');
  await drain();
  assert.is((await settling).ok, true);
});

test('the line is bounded in bytes too', async () => {
  const limits = { maxPendingBytes: 4_096 };
  const { store, put, drain } = await openLedger({ args: { limits } });
  store.isHolding = true;
  void put('first');
  void put('x'.repeat(1_800));
  void put('y'.repeat(1_800));
  const reply = await put('z');
  assert.is(!reply.ok && reply.code, 'busy');
  await drain();
});

test('a change set that no store takes is refused alone', async () => {
  const { kit, store, put, drain } = await openLedger();
  store.isHolding = true;
  void put('first');
  const good = put('a');
  const changes = {
    expect: [],
    put: [{ table: 'inbox', key: '', row: { v: 1 } }],
    remove: [],
    facts: [],
  };
  const bad = rejectionCode(kit.receive('commit', { changes, admits: false }) as Promise<unknown>);
  const after = put('b');
  await drain();
  assert.is(await bad, 'bad_option');
  assert.is((await good).ok, true);
  assert.is((await after).ok, true);
});

test('a failed commit crashes the ledger as store_failed and is never tried again', async () => {
  const { kit, store, put } = await openLedger();
  store.isHolding = true;
  const reply = put('a');
  await turnOfLoop();
  void put('b');
  store.fail(new RuntimeError('store_failed', 'disk on fire'));
  assert.is(await rejectionCode(kit.settle()), 'store_failed');
  assert.is(await sofar(reply), 'pending');
  assert.is(store.batches.length, 1);
});

test('an error without a code is store_failed as well: nothing of it may be believed', async () => {
  const { kit, store, put } = await openLedger();
  store.isHolding = true;
  void put('a');
  await turnOfLoop();
  store.fail(new Error('no code'));
  assert.is(await rejectionCode(kit.settle()), 'store_failed');
});

test('the age of a commit without an answer is told, and after a minute the store has failed', async () => {
  const { kit, store, put } = await openLedger();
  const ageMs = () => (kit.receive('health', null) as LedgerHealth).commitAgeMs;
  assert.is(ageMs(), 0);
  store.isHolding = true;
  const reply = put('a');
  await turnOfLoop();
  await kit.advance(59_000);
  assert.is(ageMs(), 59_000);
  assert.is(await rejectionCode(kit.advance(2_000)), 'store_failed');
  assert.is(await sofar(reply), 'pending');
});

test('commits that are slow one after the other fail nothing', async () => {
  const { kit, store, put } = await openLedger();
  store.isHolding = true;
  for (const key of ['a', 'b', 'c']) {
    const reply = put(key);
    await turnOfLoop();
    await kit.advance(59_000);
    store.release();
    await kit.settle();
    assert.is((await reply).ok, true);
  }
});

test('an orderly stop writes down what waits, then closes the store', async () => {
  const { kit, store, put } = await openLedger();
  store.isHolding = true;
  const replies = [put('a')];
  await turnOfLoop();
  replies.push(put('b'), put('c'));
  const stopping = ledgerActor.stop?.(kit.state, kit.self);
  store.release();
  await turnOfLoop();
  store.release();
  await stopping;
  assert.ok(store.isClosed);
  assert.equal(
    (await Promise.all(replies)).map((reply) => reply.ok),
    [true, true, true],
  );
});

flow.run();
