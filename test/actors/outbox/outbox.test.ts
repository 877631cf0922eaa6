/** The outbox by hand: what is committed when, who is told what, what rests and what goes on. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DEAD_LETTERS, DELIVERED, DELIVERIES } from '../../../actors/outbox/rows.ts';
import type { OutboxPolicies } from '../../../actors/outbox/state.ts';
import type { DeliveryOutcome } from '../../../proto/channel-messages.ts';
import { OutboxWorld, settle } from './support/outbox-world.ts';

const test = suite('actors/outbox');

const RUN = (n: number) => `01J0000000000000000000000${n}`;
const ID = (n: number, k = 0) => `${RUN(n)}:000${k}`;
const DELIVERED_OK: DeliveryOutcome = { type: 'delivered', nativeMessageId: 'm' };

interface Options {
  readonly onUnknown?: 'retry' | 'hold';
  readonly policies?: Partial<OutboxPolicies>;
  readonly maxAgeMs?: number;
}

/** A world with one account that is up; `outcomes` are what its next attempts end with, then delivered. */
async function createWorld(options: Options = {}) {
  const outcomes: DeliveryOutcome[] = [];
  const world = new OutboxWorld({
    connectors: { 'a:1': options.onUnknown ?? 'retry' },
    random: () => 0.5,
    ...(options.policies === undefined ? {} : { policies: options.policies }),
    ...(options.maxAgeMs === undefined ? {} : { maxAgeMs: options.maxAgeMs }),
    script: {
      chunks: ({ text }) => text.split('|').length,
      outcome: () => {
        const outcome = outcomes.shift() ?? DELIVERED_OK;
        return { outcome, took: outcome.type === 'delivered' };
      },
    },
  });
  await world.start();
  world.up('a:1');
  await world.calm();
  const connector = world.connector('a:1');
  const say = (n: number, texts: readonly string[], conversation = 'c') =>
    world.finish(
      RUN(n),
      texts.map((text) => ({ connector: 'a:1', conversation, text })),
    );
  const queue = async () => {
    const reply = world.outbox.ask('test', 'queue', { connectorId: 'a:1' });
    await world.calm();
    return (await reply) as { parked: boolean; waiting: number; deadLetters: number; held: number };
  };
  const log = () => world.platform.log.map(({ deliveryId, chunk }) => `${deliveryId}#${chunk}`);
  return { world, connector, outcomes, say, queue, log };
}

test('two flushes lie between a run’s end and the platform’s confirmation in the store', async () => {
  const { world, connector, say } = await createWorld();
  const before = world.store.health().flushes;
  const reply = say(1, ['hello']);
  await world.calm();
  assert.equal(await reply, { type: 'finished', deliveryIds: [ID(1)] });
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
  assert.equal(await again, { type: 'conflict', table: 'runs', key: RUN(1) });
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
  assert.equal(await reply, { type: 'busy', retryAfterMs: 500 });
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
  assert.equal(await reply, { type: 'finished', deliveryIds: [ID(1)] });
  assert.is(connector.running.length, 1);
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
  assert.is(tape[0]?.row.type, 'delivery.failed');
});

test('a failed attempt waits by itself: other lanes go on', async () => {
  const { world, outcomes, say, log } = await createWorld();
  outcomes.push({ type: 'transient', reason: 'reset', retryAfterMs: 3_000 });
  void say(1, ['one'], 'x');
  await world.answerAll();
  void say(2, ['two'], 'y');
  await world.answerAll();
  assert.equal(log(), [`${ID(2)}#0`]);
  await world.advance(2_999);
  assert.is(world.row(ID(1))?.status, 'waiting');
  await world.advance(1);
  await world.answerAll();
  assert.equal(log(), [`${ID(2)}#0`, `${ID(1)}#0`]);
});

test('a rate limit of the account rests all its lanes, for as long as asked', async () => {
  const { world, connector, outcomes, say } = await createWorld();
  outcomes.push({ type: 'rate_limited', retryAfterMs: 5_000, scope: 'account', reason: '429' });
  void say(1, ['one'], 'x');
  await world.answerAll();
  void say(2, ['two'], 'y');
  await world.answerAll();
  assert.is(world.row(ID(2))?.status, 'queued', 'it never left');
  await world.advance(5_000);
  assert.is(connector.running.length, 2);
});

test('a refused credential parks the account: nothing is tried, nothing dies, until it works again', async () => {
  const { world, outcomes, say, queue, log } = await createWorld({ maxAgeMs: 60_000 });
  outcomes.push({ type: 'auth', reason: 'token revoked' });
  void say(1, ['one'], 'x');
  void say(2, ['two'], 'x');
  await world.answerAll();
  assert.ok((await queue()).parked);
  await world.advance(59_000);
  assert.equal(log(), []);
  assert.is((await queue()).deadLetters, 0);
  world.outbox.mail('a:1', 'parked', { connectorId: 'a:1', parked: false, reason: '' });
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`, `${ID(2)}#0`]);
  assert.is(world.store.read(DELIVERED, ID(1))?.row.attempts, 1, 'the refusal used no attempt');
});

test('what is too old is dead, with its last reason', async () => {
  const { world, outcomes, say } = await createWorld({ maxAgeMs: 10_000 });
  outcomes.push({
    type: 'rate_limited',
    retryAfterMs: 60_000,
    scope: 'conversation',
    reason: '429',
  });
  void say(1, ['one']);
  await world.answerAll();
  await world.advance(10_000);
  const dead = world.store.read(DEAD_LETTERS, ID(1))?.row;
  assert.equal([dead?.ending, dead?.reason], ['expired', 'expired: 429']);
});

test('without a connector deliveries wait and use no attempt', async () => {
  const { world, connector, say, log } = await createWorld();
  world.loseConnector('a:1', { kind: 'stopped', code: 'shutdown' });
  void say(1, ['one']);
  await world.advance(60_000);
  assert.is(world.row(ID(1))?.status, 'queued');
  world.up('a:1');
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`]);
  assert.is(connector.mostInFlight, 1);
});

test('the end of a connector makes its attempts in flight unknown; its successor sends them again', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one']);
  await world.calm();
  world.loseConnector('a:1');
  world.up('a:1');
  await world.calm();
  assert.is(world.row(ID(1))?.status, 'unknown');
  await world.advance(999);
  assert.is(connector.running[0]?.attempt, 2);
  assert.not(connector.running[0]?.resumed);
  await world.answerAll();
  assert.is(world.store.read(DELIVERED, ID(1))?.row.maybeDuplicate, true);
});

test('a late end of a connector that was succeeded does not end its successor', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one']);
  await world.calm();
  const before = connector.incarnation;
  connector.crash();
  world.up('a:1');
  await world.calm();
  const cause = { kind: 'crashed', code: 'told_to' };
  world.outbox.down({ ref: { address: connector.address }, incarnation: before, cause });
  await world.advance(1_000);
  assert.is(connector.running[0]?.attempt, 2);
});

test('a delivery that ends two connectors is quarantined; one that stood beside it is not', async () => {
  const { world, say } = await createWorld();
  void say(1, ['poison'], 'x');
  void say(2, ['beside'], 'y');
  await world.calm();
  for (let i = 0; i < 2; i += 1) {
    world.loseConnector('a:1', {
      kind: 'thread-lost',
      code: 'thread_exit',
      subject: ID(1),
      culprit: true,
    });
    world.up('a:1');
    await world.advance(1_000);
  }
  assert.is(world.store.read(DEAD_LETTERS, ID(1))?.row.ending, 'quarantined');
  await world.answerAll();
  assert.ok(world.store.read(DELIVERED, ID(2)));
});

test('on_unknown = hold keeps it aside, lets the lane go on, and believes a late confirmation', async () => {
  const { world, connector, outcomes, say, queue } = await createWorld({ onUnknown: 'hold' });
  outcomes.push({ type: 'unknown', reason: 'no answer' });
  void say(1, ['one', 'two']);
  await world.answerAll();
  assert.is((await queue()).held, 1);
  assert.ok(world.store.read(DELIVERED, ID(1, 1)), 'the next one was sent');
  const settlement = { deliveryId: ID(1), attempt: 1, chunk: 0, chunks: 1, outcome: DELIVERED_OK };
  connector.answered.set(`${ID(1)}/1/0`, settlement);
  connector.repeat();
  await world.calm();
  assert.ok(world.store.read(DELIVERED, ID(1)));
  assert.is((await queue()).held, 0);
});

test('no more lanes send than the account may, and every lane gets its turn', async () => {
  const { world, connector, say, log } = await createWorld({
    policies: { inFlightPerConnector: 2 },
  });
  for (let n = 0; n < 6; n += 1) void say(n, ['a', 'b'], `c${n}`);
  await world.calm();
  assert.is(connector.running.length, 2);
  await world.answerAll();
  assert.is(log().length, 12);
  assert.is(connector.mostInFlight, 2);
  const firsts = log()
    .slice(0, 6)
    .map((piece) => piece.slice(0, 26));
  assert.is(new Set(firsts).size, 6, 'a long lane does not keep its place');
});

test('one account that sends nothing is full on its own', async () => {
  const { world, say } = await createWorld({ policies: { activePerConnector: 2 } });
  void say(1, ['one', 'two'], 'x');
  await world.calm();
  const reply = say(2, ['three'], 'y');
  await world.calm();
  assert.equal(await reply, { type: 'busy', retryAfterMs: 1_000 });
  const other = world.finish(RUN(3), [{ connector: 'b:1', conversation: 'c', text: 'x' }]);
  await world.calm();
  assert.is((await other).type, 'finished');
});

test('a tell that is refused is told again, and is the same attempt', async () => {
  const { world, connector, say } = await createWorld();
  world.refusesTells = true;
  void say(1, ['one']);
  await world.calm();
  assert.is(connector.running.length, 0);
  world.refusesTells = false;
  await world.advance(250);
  assert.equal([connector.running[0]?.attempt, connector.running[0]?.resumed], [1, false]);
});

test('a piece that nobody answers is asked about, not sent again', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one']);
  await world.calm();
  connector.crash();
  for (let i = 0; i < 6; i += 1) await world.advance(15_000);
  assert.ok(['unknown', 'sending'].includes(world.row(ID(1))?.status ?? ''));
  await world.advance(1_000);
  assert.is(connector.running[0]?.attempt, 2);
});

test('an outbox that starts again asks what became of what it had told', async () => {
  const { world, connector, say, log } = await createWorld();
  void say(1, ['one']);
  await world.calm();
  await world.restartOutbox();
  world.up('a:1');
  await world.calm();
  assert.is(connector.running.length, 1, 'the connector is still sending it');
  assert.is(world.row(ID(1))?.attempt, 1);
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`]);
  assert.is(world.store.read(DELIVERED, ID(1))?.row.maybeDuplicate, false);
});

test('what was being sent when the process ended is unknown at once and tried within a second', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one']);
  await world.calm();
  await world.loseProcess(1);
  await world.calm();
  assert.is(world.row(ID(1))?.status, 'unknown');
  world.up('a:1');
  await world.advance(999);
  assert.equal([connector.running[0]?.attempt, connector.running[0]?.resumed], [2, false]);
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
  assert.equal(samples('palyra_outbox_dead_total'), [
    { labels: { reason: 'permanent' }, value: 1 },
  ]);
});

test.run();
