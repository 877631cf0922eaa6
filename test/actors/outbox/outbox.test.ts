/** The outbox by hand: what is committed when, what the ledger's answers mean, what it shows. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DEAD_LETTERS, DELIVERED, DELIVERIES } from '../../../actors/outbox/rows.ts';
import { createWorld, DELIVERED_OK, ID, RUN } from './support/one-account.ts';
import { settle } from './support/outbox-world.ts';

const test = suite('actors/outbox');

test('two flushes lie between a run’s end and the platform’s confirmation in the store', async () => {
  const { world, connector, say } = await createWorld();
  const before = world.store.health().flushes;
  const reply = say(1, ['hello']);
  await world.calm();
  assert.is((await reply).ok, true);
  assert.is(world.store.health().flushes - before, 1);
  assert.is(world.row(ID(1))?.status, 'sending');
  assert.is(connector.running.length, 1);
  await world.answerAll();
  assert.is(world.store.health().flushes - before, 2);
  assert.is(world.row(ID(1)), undefined);
  const delivered = world.store.read(DELIVERED, ID(1));
  assert.equal(delivered?.row.nativeMessageIds, ['m']);
  assert.is(delivered?.row.message, undefined, 'the text is not kept');
  assert.is(connector.answered.size, 0, 'it was acknowledged');
});

test('nothing is told before the flush, however long it takes', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['hello']);
  world.outbox.receive('runs');
  await settle();
  world.handleAsk();
  await settle();
  assert.is(world.store.unflushed, 1);
  assert.is(connector.inbox.length + connector.running.length, 0);
  await world.calm();
  assert.is(connector.running.length, 1);
});

test('one change set settles a delivery and starts the next of its lane', async () => {
  const { world, connector, say, log } = await createWorld();
  void say(1, ['one', 'two']);
  await world.calm();
  assert.equal([world.row(ID(1))?.status, world.row(ID(1, 1))?.status], ['sending', 'queued']);
  const before = world.commits;
  connector.finish(0);
  await world.calm();
  assert.is(world.commits - before, 1);
  assert.is(world.row(ID(1, 1))?.status, 'sending');
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`, `${ID(1, 1)}#0`]);
});

test('two runs that end for one idle lane at the same time send one after the other', async () => {
  const { world, connector, say, log } = await createWorld();
  void say(1, ['one']);
  void say(2, ['two']);
  world.outbox.receive('runs');
  world.outbox.receive('runs');
  await world.calm();
  assert.is(connector.running.length, 1);
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`, `${ID(2)}#0`]);
});

test('a run that loses its race is told so, and the lane is free for the next', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one']);
  await world.answerAll();
  const again = say(1, ['one']);
  await world.calm();
  const conflict = { ok: false, code: 'conflict', table: 'runs', key: RUN(1), actual: 1 };
  assert.equal(await again, conflict);
  void say(2, ['two']);
  await world.calm();
  assert.is(connector.running[0]?.deliveryId, ID(2));
});

test('a busy ledger makes the run’s end busy, and frees what was kept for it', async () => {
  const { world, connector, say } = await createWorld();
  const reply = say(1, ['one']);
  world.outbox.receive('runs');
  await settle();
  world.handleAsk('busy');
  await world.calm();
  assert.equal(await reply, { ok: false, code: 'busy', retryAfterMs: 500 });
  void say(1, ['one']);
  await world.calm();
  assert.is(connector.running.length, 1);
});

test('a run’s end that was written but not answered is found by reading its rows', async () => {
  const { world, connector, say } = await createWorld();
  const reply = say(1, ['one']);
  world.outbox.receive('runs');
  await settle();
  world.handleAsk('unanswered');
  await world.calm();
  assert.is((await reply).ok, true);
  assert.is(connector.running.length, 1);
});

test('two ends of one run, both unanswered, send its deliveries once', async () => {
  const { world, connector, say, log } = await createWorld();
  const first = say(1, ['one']);
  const second = say(1, ['one']);
  world.outbox.receive('runs');
  world.outbox.receive('runs');
  await settle();
  world.handleAsk('unanswered');
  world.handleAsk('unanswered');
  await world.calm();
  assert.is((await first).ok, true);
  assert.is((await second).ok, false);
  assert.is(connector.running.length, 1);
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`]);
});

test('a settlement that was written but not answered is found, and the next piece leaves', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one|two']);
  await world.calm();
  connector.finish(0);
  world.outbox.receive('a:1');
  await settle();
  world.handleAsk('unanswered');
  await world.calm();
  assert.is(connector.running[0]?.chunk, 1);
  assert.is(connector.answered.size, 0);
});

test('a settlement that the ledger did not take is tried again and not lost', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one']);
  await world.calm();
  connector.finish(0);
  world.outbox.receive('a:1');
  await settle();
  world.handleAsk('busy');
  await world.calm();
  assert.is(world.row(ID(1))?.status, 'sending');
  await world.advance(500);
  assert.is(world.row(ID(1)), undefined);
  assert.is(connector.answered.size, 0);
});

test('a settlement that is told twice is acknowledged twice and counts once', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one|two']);
  await world.calm();
  connector.finish(0);
  connector.repeat();
  connector.repeat();
  await world.calm();
  assert.is(world.row(ID(1))?.chunk, 1);
  assert.is(connector.running.length, 1);
  assert.is(connector.answered.size, 0);
});

test('a settlement of a delivery that has ended is acknowledged', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one']);
  await world.answerAll();
  const settlement = { deliveryId: ID(1), attempt: 1, chunk: 0, chunks: 1, outcome: DELIVERED_OK };
  connector.answered.set(`${ID(1)}/1/0`, settlement);
  connector.repeat();
  await world.calm();
  assert.is(connector.answered.size, 0);
});

test('a message that dies ends with its remaining pieces; its lane goes on and its run is told', async () => {
  const { world, outcomes, say, log } = await createWorld();
  outcomes.push(DELIVERED_OK, { type: 'permanent', reason: 'blocked by the user' });
  void say(1, ['one|two|three', 'next']);
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`, `${ID(1, 1)}#0`]);
  const dead = world.store.read(DEAD_LETTERS, ID(1))?.row;
  assert.equal([dead?.ending, dead?.reason, dead?.chunk], ['permanent', 'blocked by the user', 1]);
  const tape = world.store.scan({ table: 'tapes', prefix: `${RUN(1)}:`, limit: 10 }).rows;
  assert.is(tape.length, 1);
  const entries = tape[0]?.row.entries as readonly { readonly type: string }[];
  assert.equal(
    entries.map(({ type }) => type),
    ['delivery.failed'],
  );
});

test('a run whose end is in doubt is not overtaken by a later one of its lane', async () => {
  const { world, connector, say, log } = await createWorld();
  world.loseConnector('a:1', { kind: 'stopped', code: 'shutdown' });
  void say(1, ['one']);
  world.outbox.receive('runs');
  await settle();
  world.handleAsk('unanswered');
  void say(2, ['two']);
  world.outbox.receive('runs');
  await settle();
  world.handleAsk();
  world.flush();
  for (const from of ['self', 'self']) {
    await settle();
    world.outbox.receive(from);
  }
  world.handleAsk('lost');
  world.up('a:1');
  await world.calm();
  assert.is(connector.running.length, 0, 'the first run’s rows could not be read yet');
  await world.advance(1_000);
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`, `${ID(2)}#0`]);
});

test('queues, recent deliveries and metrics say what is there, also after a restart', async () => {
  const { world, outcomes, say } = await createWorld();
  outcomes.push(DELIVERED_OK, { type: 'permanent', reason: 'gone' });
  void say(1, ['one', 'two', 'three'], 'x');
  await world.answerAll();
  for (let i = 0; i < 2; i += 1) {
    const recent = world.outbox.ask('test', 'recent', { connectorId: 'a:1', limit: 10 });
    await world.calm();
    const { deliveries, deadLetters } = (await recent) as {
      deliveries: { deliveryId: string }[];
      deadLetters: { deliveryId: string; reason: string }[];
    };
    assert.equal(deliveries.map(({ deliveryId }) => deliveryId).sort(), [ID(1), ID(1, 2)]);
    assert.equal(
      deadLetters.map(({ deliveryId, reason }) => [deliveryId, reason]),
      [[ID(1, 1), 'gone']],
    );
    await world.restartOutbox();
  }
  assert.is(world.store.scan({ table: DELIVERIES, limit: 1 }).rows.length, 0);
  const verdict = await world.store.verify({ whole: true });
  assert.ok(verdict.ok);
});

test('what retention removed is no longer counted nor shown, however often it is said', async () => {
  const { world, outcomes, say, queue } = await createWorld();
  const gone = { type: 'permanent', reason: 'gone' } as const;
  outcomes.push(gone, gone, DELIVERED_OK);
  void say(1, ['one', 'two', 'three'], 'x');
  await world.answerAll();
  assert.is((await queue()).deadLetters, 2);
  const ask = async (kind: string, payload: unknown) => {
    const reply = world.outbox.ask('test', kind, payload);
    await world.calm();
    return reply;
  };
  const remove = async (table: string, deliveryId: string) => {
    const place = { table, key: deliveryId };
    const removed = world.store.commit([{ expect: [], put: [], remove: [place], facts: [] }], 0);
    await world.calm();
    await removed;
    world.outbox.mail('ledger', 'removed', { table, keys: [deliveryId] });
    await world.calm();
  };
  const shown = async () => {
    const { deliveries, deadLetters } = (await ask('recent', { connectorId: 'a:1', limit: 9 })) as {
      deliveries: { deliveryId: string }[];
      deadLetters: { deliveryId: string }[];
    };
    return [deliveries, deadLetters].map((views) => views.map(({ deliveryId }) => deliveryId));
  };
  await remove(DEAD_LETTERS, ID(1));
  assert.equal([(await queue()).deadLetters, await shown()], [1, [[ID(1, 2)], [ID(1, 1)]]]);
  await world.restartOutbox();
  // Said before the restart, heard after it: the new incarnation never counted it.
  await remove(DEAD_LETTERS, ID(1));
  assert.is((await queue()).deadLetters, 1);
  await remove(DELIVERED, ID(1, 2));
  await remove(DEAD_LETTERS, ID(1, 1));
  assert.equal([(await queue()).deadLetters, await shown()], [0, [[], []]]);
  assert.equal(await ask('accounts', null), { accounts: [] });
});

test('metrics count attempts by outcome and deaths by reason', async () => {
  const { world, outcomes, say } = await createWorld();
  outcomes.push({ type: 'transient', reason: 'x' }, { type: 'permanent', reason: 'gone' });
  void say(1, ['one']);
  await world.answerAll();
  await world.advance(1_000);
  await world.answerAll();
  const reply = world.outbox.ask('test', 'metrics', null);
  await world.calm();
  const metrics = (await reply) as { name: string; samples: { labels: object; value: number }[] }[];
  const samples = (name: string) => metrics.find((metric) => metric.name === name)?.samples;
  assert.equal(samples('palyra_outbox_attempts_total'), [
    { labels: { outcome: 'transient' }, value: 1 },
    { labels: { outcome: 'permanent' }, value: 1 },
  ]);
  assert.is(samples('palyra_outbox_conversations')?.[0]?.value, 0, 'an ended lane is forgotten');
  assert.equal(samples('palyra_outbox_dead_total'), [
    { labels: { reason: 'permanent' }, value: 1 },
  ]);
});

test.run();
