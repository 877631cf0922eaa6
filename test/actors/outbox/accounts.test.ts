/** Accounts by hand: what rests, what is parked, what is lost with a connector, what goes on. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OutboxProtocol } from '../../../actors/outbox/protocol.ts';
import {
  DEAD_LETTERS,
  DELIVERED,
  DELIVERIES,
  parseDeliveryRow,
} from '../../../actors/outbox/rows.ts';
import { createWorld, DELIVERED_OK, ID, RUN } from './support/one-account.ts';

const test = suite('actors/outbox: accounts');

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
  const { world, connector, outcomes, say, log } = await createWorld();
  outcomes.push({ type: 'rate_limited', retryAfterMs: 5_000, scope: 'account', reason: '429' });
  void say(1, ['one'], 'x');
  await world.answerAll();
  void say(2, ['two'], 'y');
  await world.answerAll();
  assert.is(world.row(ID(2))?.status, 'queued', 'it never left');
  await world.advance(4_999);
  assert.is(connector.running.length, 0);
  await world.advance(1);
  assert.is(connector.running.length, 1);
  await world.answerAll();
  assert.equal(log().toSorted(), [`${ID(1)}#0`, `${ID(2)}#0`]);
});

test('after such a rest one conversation tries; the others follow once it was taken', async () => {
  const { world, connector, outcomes, say, log } = await createWorld();
  const limited = (scope: 'account' | 'conversation', retryAfterMs: number) =>
    outcomes.push({ type: 'rate_limited', retryAfterMs, scope, reason: '429' });
  limited('account', 5_000);
  void say(1, ['one'], 'c1');
  await world.answerAll();
  for (let n = 2; n <= 9; n += 1) void say(n, ['text'], `c${n}`);
  await world.advance(5_000);
  assert.is(connector.running.length, 1);
  // One chat's own limit proves nothing: the next one tries.
  limited('conversation', 60_000);
  limited('account', 7_000);
  await world.answerAll();
  assert.equal([connector.running.length, log().length], [0, 0]);
  await world.advance(6_999);
  assert.is(connector.running.length, 0);
  await world.advance(1);
  assert.is(connector.running.length, 1);
  await world.answerAll();
  assert.is(log().length, 8);
  assert.is(connector.mostInFlight, 7);
  await world.advance(60_000);
  await world.answerAll();
  assert.is(log().length, 9);
});

test('a try after such a rest whose connector is lost leaves its turn to another', async () => {
  const { world, connector, outcomes, say, log } = await createWorld();
  outcomes.push({ type: 'rate_limited', retryAfterMs: 5_000, scope: 'account', reason: '429' });
  void say(1, ['one'], 'c1');
  await world.answerAll();
  void say(2, ['two'], 'c2');
  await world.advance(5_000);
  assert.is(connector.running.length, 1);
  world.loseConnector('a:1');
  world.up('a:1');
  await world.calm();
  assert.is(connector.running.length, 1);
  await world.advance(1_000);
  await world.answerAll();
  assert.is(log().length, 2);
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

test('a connector in the place of another that has not ended sends again what that one had, which counts as no loss', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['one']);
  await world.calm();
  assert.is(connector.running.length, 1);
  world.up('a:1', 'b:1');
  await world.calm();
  const { status, reason, losses } = world.row(ID(1)) ?? {};
  assert.equal([status, reason, losses], ['unknown', 'connector replaced', 0]);
  const successor = world.connector('b:1');
  assert.equal([...world.outbox.watched], [successor.address]);
  await world.advance(1_000);
  assert.equal([successor.running[0]?.attempt, successor.running[0]?.resumed], [2, false]);
  await world.answerAll();
  assert.is(world.store.read(DELIVERED, ID(1))?.row.maybeDuplicate, true);
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

test('a delivery in flight at five ends that name nobody is quarantined, and its lane goes on; ends that others are named for count for nothing', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['poison', 'after'], 'x');
  await world.calm();
  const end = async (cause: Record<string, unknown>) => {
    assert.is(connector.running.length, 1);
    world.loseConnector('a:1', cause);
    world.up('a:1');
    await world.advance(2_000);
  };
  const named = { kind: 'thread-lost', code: 'thread_exit', subject: ID(9), culprit: true };
  const unnamed = { kind: 'thread-lost', code: 'thread_exit', culprit: false };
  for (let i = 0; i < 6; i += 1) await end(named);
  for (let i = 0; i < 6; i += 1) await end({ kind: 'killed', code: 'shutdown_timeout' });
  for (let losses = 1; losses < 5; losses += 1) {
    await end(unnamed);
    assert.is(world.row(ID(1))?.losses, losses);
  }
  await end(unnamed);
  assert.is(world.store.read(DEAD_LETTERS, ID(1))?.row.ending, 'quarantined');
  await world.answerAll();
  assert.ok(world.store.read(DELIVERED, ID(1, 1)));
});

test('where sends hang and end their connector, what was in flight beside them is not charged', async () => {
  const { world, connector, say } = await createWorld();
  void say(1, ['beside'], 'x');
  await world.calm();
  for (let i = 0; i < 10; i += 1) {
    assert.is(connector.running.length, 1);
    world.loseConnector('a:1', { kind: 'crashed', code: 'sends_hang' });
    world.up('a:1');
    await world.advance(2_000);
  }
  assert.is(world.row(ID(1))?.losses, 0);
  await world.answerAll();
  assert.ok(world.store.read(DELIVERED, ID(1)));
});

test('a row of before the counts of losses and replays is read as one without any', async () => {
  const { world, say } = await createWorld();
  void say(1, ['one']);
  await world.calm();
  const [stored] = world.store.scan({ table: DELIVERIES, limit: 1 }).rows;
  const { losses, replayedAtMs, ...older } = {
    losses: -1,
    replayedAtMs: -1,
    ...stored?.row,
    v: 1,
  };
  assert.equal([losses, replayedAtMs], [0, 0]);
  const { losses: l, replayedAtMs: r } = parseDeliveryRow(older);
  assert.equal([l, r], [0, 0]);
});

test('accounts with deliveries left are told, also those that no connector ever served', async () => {
  const { world, outcomes, say } = await createWorld();
  const accounts = async () => {
    const reply = world.outbox.ask('test', 'accounts', null);
    await world.calm();
    const { accounts: told } = (await reply) as ReturnType<OutboxProtocol['accounts']>;
    return told.map(({ connectorId, active }) => `${connectorId} ${active}`);
  };
  void say(1, ['one']);
  void world.finish(RUN(2), [{ connector: 'gone:1', conversation: 'c', text: 'two' }]);
  await world.calm();
  assert.equal(await accounts(), ['a:1 1', 'gone:1 1']);
  await world.answerAll();
  assert.equal(await accounts(), ['gone:1 1']);
  outcomes.push({ type: 'permanent', reason: 'refused' });
  void say(3, ['three']);
  await world.answerAll();
  assert.equal(await accounts(), ['a:1 0', 'gone:1 1'], 'a dead letter is left');
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

for (const restarts of [false, true]) {
  const when = restarts ? ', also when the outbox starts again meanwhile' : '';
  test(`a held delivery that comes back waits for the one in progress${when}`, async () => {
    const { world, connector, outcomes, say, log } = await createWorld({ onUnknown: 'hold' });
    outcomes.push({ type: 'unknown', reason: 'no answer' });
    void say(1, ['one|more']);
    await world.answerAll();
    void say(2, ['next|last']);
    await world.calm();
    assert.is(connector.running[0]?.deliveryId, ID(2), 'its lane is free');
    const late = { deliveryId: ID(1), attempt: 1, chunk: 0, chunks: 2, outcome: DELIVERED_OK };
    connector.answered.set(`${ID(1)}/1/0`, late);
    connector.repeat();
    await world.calm();
    assert.is(world.row(ID(1))?.status, 'queued');
    if (restarts) {
      await world.restartOutbox();
      world.up('a:1');
    }
    await world.answerAll();
    assert.equal(log(), [`${ID(2)}#0`, `${ID(2)}#1`, `${ID(1)}#1`]);
    assert.is(connector.mostInLane, 1);
  });
}

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
  assert.equal(await reply, { ok: false, code: 'busy', retryAfterMs: 1_000 });
  const other = world.finish(RUN(3), [{ connector: 'b:1', conversation: 'c', text: 'x' }]);
  await world.calm();
  assert.is((await other).ok, true);
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

test.run();
