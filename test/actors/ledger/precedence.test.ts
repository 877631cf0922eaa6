/** Who goes first: admissions, because their senders wait; but nobody else waits for long, and reads see what came before. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { within } from '../../support/within.ts';
import { openLedger, turnOfLoop } from './open-ledger.ts';

const precedence = suite('ledger: admissions first');
const test = (title: string, run: () => Promise<void>) =>
  precedence(title, () => within(title, run()));

const PATIENCE_MS = 50;

/** A ledger with a commit under way, behind which everything waits; `next` gives the keys of the batch that follows it. */
async function openBusy() {
  const ledger = await openLedger();
  const { store, put } = ledger;
  store.isHolding = true;
  void put('under-way');
  await turnOfLoop();
  const next = async () => {
    store.release();
    await turnOfLoop();
    await turnOfLoop();
    return store.batches.at(-1)?.flatMap(({ put: rows }) => rows.map(({ key }) => key));
  };
  return { ...ledger, next };
}

test('admissions that wait go in one batch, before what came earlier and admits nothing', async () => {
  const { put, next, drain } = await openBusy();
  const end = put('end');
  void put('first', { admits: true });
  void put('second', { admits: true });
  assert.equal(await next(), ['first', 'second']);
  assert.equal(await next(), ['end']);
  await drain();
  assert.is((await end).ok, true);
});

test('without an admission nothing is held back', async () => {
  const { put, next } = await openBusy();
  void put('end');
  void put('settled');
  assert.equal(await next(), ['end', 'settled']);
});

test('a commit that has waited long enough goes with the next batch, in its order', async () => {
  const { kit, put, next } = await openBusy();
  void put('end');
  void put('first', { admits: true });
  await kit.advance(PATIENCE_MS - 1);
  assert.equal(await next(), ['first']);
  void put('second', { admits: true });
  await kit.advance(1);
  void put('third', { admits: true });
  assert.equal(await next(), ['end', 'second', 'third']);
});

test('a read that waits lets everything before it go, and sees all of it', async () => {
  const { kit, put, next, drain } = await openBusy();
  void put('end');
  void put('first', { admits: true });
  const read = kit.receive('read', { table: 'inbox', key: 'end' }) as Promise<unknown[]>;
  assert.equal(await next(), ['end', 'first']);
  await drain();
  assert.is((await read).length, 1);
});

precedence.run();
