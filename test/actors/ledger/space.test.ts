/** Low disk space: admission ends, work in progress goes on, the ballast goes and comes back. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { watchSpace } from '../../../actors/ledger/decide.ts';
import type { CommitReply } from '../../../actors/ledger/protocol.ts';
import { createHeldStore } from './held-store.ts';
import { openLedger } from './open-ledger.ts';

const MIB = 1_024 * 1_024;
const test = suite('ledger: disk space');

test('the first sign of a full disk ends admission and gives up the ballast', async () => {
  const { kit, store, ballast, put } = await openLedger();
  assert.equal(ballast, ['ensure']);
  store.freeBytes = 7 * MIB;
  await kit.advance(1_000);
  await kit.settle();
  assert.equal(ballast, ['ensure', 'release']);
  const refused = await put('a', { admits: true });
  assert.is(!refused.ok && refused.code, 'storage_low');
});

test('settle goes on while admission rests', async () => {
  const { kit, store, put, drain } = await openLedger();
  store.freeBytes = 1 * MIB;
  await kit.advance(1_000);
  const settled = put('a');
  await drain();
  assert.is((await settled).ok, true);
});

test('the room that the ballast gave back does not count as recovery', async () => {
  const { kit, store, put } = await openLedger();
  store.freeBytes = 7 * MIB;
  await kit.advance(1_000);
  await kit.settle();
  store.freeBytes = 23 * MIB;
  await kit.advance(1_000);
  const refused = await put('a', { admits: true });
  assert.is(!refused.ok && refused.code, 'storage_low');
});

test('with room for the ballast and more, it is made again and admission returns', async () => {
  const { kit, store, ballast, put, drain } = await openLedger();
  store.freeBytes = 7 * MIB;
  await kit.advance(1_000);
  await kit.settle();
  store.freeBytes = 64 * MIB;
  await kit.advance(1_000);
  await kit.settle();
  assert.equal(ballast, ['ensure', 'release', 'ensure']);
  const reply = put('a', { admits: true });
  await drain();
  assert.is((await reply).ok, true);
});

test('a store that its own rows filled admits again when they are gone, though its file stays as it is', async () => {
  const { kit, store, ballast, put, drain } = await openLedger();
  const look = async (freeBytes: number, reusableBytes: number) => {
    Object.assign(store, { freeBytes, reusableBytes });
    await kit.advance(1_000);
    await kit.settle();
    const reply = put('a', { admits: true });
    await drain();
    return (await reply).ok;
  };
  assert.is(await look(7 * MIB, 0), false);
  assert.is(await look(23 * MIB, 8 * MIB), false);
  assert.is(await look(23 * MIB, 9 * MIB), true);
  assert.equal(ballast, ['ensure', 'release'], 'the ballast needs room on the disk');
  assert.is(await look(23 * MIB, 1 * MIB), true);
  assert.is(await look(22 * MIB, 1 * MIB), false, 'the room of the ballast is kept free');
  assert.is(await look(7 * MIB, 64 * MIB), false, 'the log and all else grow on the disk');
  assert.is(await look(32 * MIB, 0), true);
  assert.equal(ballast, ['ensure', 'release', 'ensure']);
});

test('a ledger that starts on a full disk refuses accept at once, and starts', async () => {
  const store = createHeldStore();
  store.freeBytes = 1 * MIB;
  const { put, logs } = await openLedger({
    store,
    deps: {
      ballast: {
        ensure: async () => {
          throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
        },
        release: async () => false,
      },
    },
  });
  const refused = await put('a', { admits: true });
  assert.is(!refused.ok && refused.code, 'storage_low');
  assert.ok(logs.some((line) => line.includes('ballast')));
});

test('each mebibyte that was written is a reason to look at the disk, before the timer does', async () => {
  const { kit, store, put, drain } = await openLedger();
  store.freeBytes = 1 * MIB;
  const write = async (bytes: number) => {
    const row = { v: 1, body: 'x'.repeat(bytes) };
    const put = [{ table: 'inbox', key: 'big', row }];
    const changes = { expect: [], put, remove: [], facts: [] };
    const reply = kit.receive('commit', { changes, admits: false });
    await drain();
    await kit.settle();
    assert.is(((await reply) as CommitReply).ok, true);
  };
  const admitted = async () => {
    const reply = put('a', { admits: true });
    await drain();
    await kit.settle();
    return reply;
  };
  await write(MIB / 2);
  assert.is((await admitted()).ok, true, 'it is not looked at for each commit');
  await write(2 * MIB);
  const refused = await admitted();
  assert.is(!refused.ok && refused.code, 'storage_low');
});

test('the ballast moves once at a time', () => {
  const limits = { lowFreeBytes: 8, ballastBytes: 16 };
  const full = { freeBytes: 1, reusableBytes: 0 };
  const moving = watchSpace({ admitting: true, ballast: 'there' }, full, limits);
  assert.is(moving.effect, 'release_ballast');
  assert.is(watchSpace(moving.space, full, limits).effect, 'none');
  const empty = { freeBytes: 100, reusableBytes: 0 };
  assert.is(watchSpace({ admitting: false, ballast: 'moving' }, empty, limits).effect, 'none');
});

test.run();
