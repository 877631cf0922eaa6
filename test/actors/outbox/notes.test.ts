/** What the turns of a run's session say of its answer once it has died, and once it lives again. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { noteKey, TURNS } from '../../../actors/sessions/rows.ts';
import { createWorld, DELIVERED_OK, ID, RUN } from './support/one-account.ts';
import { type OutboxWorld, SESSION } from './support/outbox-world.ts';

const test = suite('actors/outbox: notes');

const REFUSED = { type: 'permanent', reason: 'chat not found' } as const;
const UNKNOWN = { type: 'unknown', reason: 'no answer' } as const;

const notesOf = ({ store }: OutboxWorld) =>
  store.scan({ table: TURNS, limit: 10 }).rows.map(({ key, row }) => [key, row.note]);
const keyOf = (n: number) => noteKey({ sessionKey: SESSION, envelopeId: `E${RUN(n)}` }, 0);

test('an answer that is refused is noted behind its exchange, in the change set that ends it, and its session is told', async () => {
  const { world, outcomes, say } = await createWorld();
  outcomes.push(DELIVERED_OK, REFUSED);
  void say(1, ['fine']);
  void say(2, ['refused']);
  await world.answerAll();
  assert.equal(notesOf(world), [[keyOf(2), 'This answer was not delivered (permanent).']]);
  assert.equal(world.turnsChanged, [SESSION]);
  const entries = world.store.journal(0, 100);
  const dead = entries.filter(({ facts }) => facts.some(({ type }) => type === 'delivery.dead'));
  assert.is(dead.length, 1);
});

test('a note tells what is known: a part of it arrived, or nobody knows', async () => {
  const { world, outcomes, say } = await createWorld();
  outcomes.push(DELIVERED_OK, REFUSED);
  void say(1, ['one|two']);
  await world.answerAll();
  assert.match(String(notesOf(world)[0]?.[1]), 'was delivered in part only');
  const held = await createWorld({ onUnknown: 'hold' });
  held.outcomes.push(UNKNOWN);
  void held.say(1, ['one']);
  await held.world.answerAll();
  const input = { connector_id: 'a:1', delivery_id: ID(1) };
  const discard = { operation: 'channels.discard', input, principal: 'test' };
  const reply = held.world.outbox.ask('operator', 'operate', discard);
  await held.world.calm();
  assert.is(((await reply) as { ok: boolean }).ok, true);
  assert.equal(notesOf(held.world)[0]?.[1], 'This answer may not have been delivered (discarded).');
});

test('a dead letter that is replayed takes its note away, and its session is told again', async () => {
  const { world, outcomes, say } = await createWorld();
  outcomes.push(REFUSED);
  void say(1, ['one']);
  await world.answerAll();
  assert.is(notesOf(world).length, 1);
  const input = { connector_id: 'a:1', delivery_id: ID(1) };
  const replay = { operation: 'channels.replay', input, principal: 'test' };
  const reply = world.outbox.ask('operator', 'operate', replay);
  await world.calm();
  assert.is(((await reply) as { ok: boolean }).ok, true);
  await world.answerAll();
  assert.equal(notesOf(world), []);
  assert.equal(world.turnsChanged, [SESSION, SESSION]);
});

test('a dead letter that outlives its run is replayed as any other: its note goes, and comes again with its next death', async () => {
  const { world, outcomes, say } = await createWorld();
  outcomes.push(REFUSED);
  void say(1, ['one']);
  await world.answerAll();
  const remove = [{ table: 'runs', key: RUN(1) }];
  const removed = world.store.commit([{ expect: [], put: [], remove, facts: [] }], 0);
  await world.calm();
  await removed;
  const input = { connector_id: 'a:1', delivery_id: ID(1) };
  const replay = async () => {
    const call = { operation: 'channels.replay', input, principal: 'test' };
    const reply = world.outbox.ask('operator', 'operate', call);
    await world.calm();
    assert.is(((await reply) as { ok: boolean }).ok, true);
    assert.equal(notesOf(world), []);
  };
  await replay();
  outcomes.push(REFUSED);
  await world.answerAll();
  assert.equal(notesOf(world), [[keyOf(1), 'This answer was not delivered (permanent).']]);
  await replay();
  await world.answerAll();
  assert.equal(notesOf(world), []);
  assert.is(world.store.scan({ table: 'delivered', limit: 2 }).rows.length, 1);
  assert.is(world.turnsChanged.length, 4);
});

test('an answer whose run is no longer known, or failed, dies without a note', async () => {
  for (const row of [undefined, { v: 1, status: 'failed', sessionKey: SESSION, envelopeId: 'E' }]) {
    const { world, outcomes, say } = await createWorld();
    outcomes.push(REFUSED);
    void say(1, ['one']);
    await world.calm();
    const place = { table: 'runs', key: RUN(1) };
    const put = row === undefined ? [] : [{ ...place, row }];
    const remove = row === undefined ? [place] : [];
    const changed = world.store.commit([{ expect: [], put, remove, facts: [] }], 0);
    await world.calm();
    await changed;
    await world.answerAll();
    assert.equal(notesOf(world), []);
    assert.is(world.store.scan({ table: 'dead_letters', limit: 2 }).rows.length, 1);
    assert.equal(world.turnsChanged, []);
  }
});

test('a ledger that does not answer, or refuses, ends it later, once', async () => {
  for (const fault of ['lost', 'busy', 'unanswered'] as const) {
    const { world, outcomes, say, queue } = await createWorld();
    void say(1, ['one']);
    await world.calm();
    outcomes.push(REFUSED);
    world.connector('a:1').finish(0);
    world.outbox.receive('a:1');
    // The read of its run, and the commit behind it.
    if (fault !== 'lost') {
      world.handleAsk();
      for (let i = 0; i < 5; i += 1) await Promise.resolve();
    }
    world.handleAsk(fault);
    await world.calm();
    await world.advance(5_000);
    assert.is((await queue()).deadLetters, 1);
    assert.is(notesOf(world).length, 1);
    const facts = world.store.journal(0, 100).flatMap((entry) => entry.facts);
    assert.is(facts.filter(({ type }) => type === 'delivery.dead').length, 1);
  }
});

test.run();
