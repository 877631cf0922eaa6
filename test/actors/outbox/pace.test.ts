/** An account with a pace of its own: who waits, for how long, and that waiting costs nothing. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DEAD_LETTERS, DELIVERED, DELIVERIES } from '../../../actors/outbox/rows.ts';
import { createWorld, ID } from './support/one-account.ts';
import type { OutboxWorld } from './support/outbox-world.ts';

const test = suite('actors/outbox: pace');

const INTERVAL_MS = 60_000;

const statuses = (world: OutboxWorld) =>
  world.store.scan({ table: DELIVERIES, limit: 1_000 }).rows.map(({ row }) => row.status);

test('pieces leave one per interval, the conversations in turn', async () => {
  const { world, say, log } = await createWorld({ minIntervalMs: INTERVAL_MS });
  for (const n of [1, 2, 3]) void say(n, ['a|b'], `c${n}`);
  await world.answerAll();
  for (let sent = 1; sent < 6; sent += 1) {
    assert.is(log().length, sent);
    await world.advance(INTERVAL_MS - 1);
    await world.answerAll();
    assert.is(log().length, sent, 'not sooner');
    await world.advance(1);
    await world.answerAll();
  }
  const pieces = [ID(1), ID(2), ID(3)].flatMap((id) => [`${id}#0`, `${id}#1`]);
  assert.equal(
    log(),
    [0, 2, 4, 1, 3, 5].map((i) => pieces[i]),
  );
});

test('waiting for the pace is no attempt and no loss: a hundred conversations outlast every deadline', async () => {
  const { world, connector, say, log } = await createWorld({ minIntervalMs: 10_000 });
  for (let n = 0; n < 10; n += 1) {
    const texts = Array.from({ length: 10 }, (_, k) => `text ${k}`);
    for (const [k, text] of texts.entries()) {
      void world.finish(`01K000000000000000000000${n}${k}`, [
        { connector: 'a:1', conversation: `c${n}${k}`, text },
      ]);
    }
  }
  void say(1, ['a|b|c|d|e'], 'long');
  await world.answerAll();
  for (let sent = 1; sent < 105; sent += 1) {
    assert.ok(statuses(world).every((status) => status === 'queued'));
    assert.is(connector.running.length, 0);
    await world.advance(10_000);
    await world.answerAll();
  }
  assert.is(log().length, 105);
  assert.is(world.store.scan({ table: DEAD_LETTERS, limit: 1 }).rows.length, 0);
  for (const { row } of world.store.scan({ table: DELIVERED, limit: 1_000 }).rows) {
    assert.equal([row.attempts, row.attempt, row.losses, row.maybeDuplicate], [1, 1, 0, false]);
  }
});

test('an end of the process or of the connector finds nothing in flight that waits for the pace', async () => {
  const { world, say } = await createWorld({ minIntervalMs: INTERVAL_MS, onUnknown: 'hold' });
  void say(1, ['one'], 'x');
  await world.answerAll();
  void say(2, ['two'], 'y');
  await world.calm();
  world.loseConnector('a:1');
  world.up('a:1');
  await world.calm();
  assert.equal(statuses(world), ['queued']);
  await world.loseProcess(1);
  assert.equal(statuses(world), ['queued']);
  world.up('a:1');
  await world.answerAll();
  assert.ok(world.store.read(DELIVERED, ID(2)));
});

test('the interval counts from the send: a slow flush lets no second one begin', async () => {
  const { world, connector, say } = await createWorld({ minIntervalMs: 1_000 });
  void say(1, ['one'], 'x');
  world.outbox.receive('runs');
  void say(2, ['two'], 'y');
  world.outbox.receive('runs');
  world.nowMs += 5_000;
  world.outbox.fireTimers();
  await world.calm();
  assert.equal(
    connector.running.map(({ deliveryId }) => deliveryId),
    [ID(1)],
  );
  await world.advance(999);
  assert.is(connector.running.length, 1);
  await world.advance(1);
  assert.is(connector.running.length, 2);
});

test('a send that the ledger does not take leaves its turn to another', async () => {
  const { world, connector, say } = await createWorld({ minIntervalMs: INTERVAL_MS });
  void say(1, ['one'], 'x');
  world.outbox.receive('runs');
  void say(2, ['two'], 'y');
  world.outbox.receive('runs');
  world.handleAsk('busy');
  await world.calm();
  assert.equal(
    connector.running.map(({ deliveryId }) => deliveryId),
    [ID(2)],
  );
});

test('a retry that the ledger does not take leaves its turn to another, too', async () => {
  const { world, connector, outcomes, say } = await createWorld({ minIntervalMs: INTERVAL_MS });
  outcomes.push({ type: 'transient', reason: 'reset' });
  void say(1, ['one'], 'x');
  await world.answerAll();
  void say(2, ['two'], 'y');
  await world.calm();
  world.nowMs += INTERVAL_MS;
  world.outbox.fireTimers();
  while (world.asks.length === 0) world.outbox.receive('timers');
  const [start] = world.asks;
  world.handleAsk('busy');
  await world.calm();
  const [sent] = connector.running;
  assert.ok(sent !== undefined);
  assert.not.match(JSON.stringify(start?.payload), sent.deliveryId);
});

test.run();
