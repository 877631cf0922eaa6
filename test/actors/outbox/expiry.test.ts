/** When a delivery is too old: while its account can send, while it cannot, and over a restart of the process. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { expiryOf } from '../../../actors/outbox/policy.ts';
import { DEAD_LETTERS, DELIVERED } from '../../../actors/outbox/rows.ts';
import { createWorld, ID } from './support/one-account.ts';
import type { OutboxWorld } from './support/outbox-world.ts';

const test = suite('actors/outbox: expiry');

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const setParked = async (world: OutboxWorld, parked: boolean, reason = '') => {
  world.outbox.mail('a:1', 'parked', { connectorId: 'a:1', parked, reason });
  await world.calm();
};

const endOf = (world: OutboxWorld, deliveryId: string) => {
  const row = world.store.read(DEAD_LETTERS, deliveryId)?.row;
  return row === undefined ? undefined : `${row.ending}: ${row.reason}`;
};

test('deliveries of a parked account are dead after seven days, not sooner, whether or not they were tried', async () => {
  const { world, outcomes, say, log, queue } = await createWorld();
  outcomes.push({ type: 'auth', reason: 'token revoked' });
  void say(1, ['one', 'two'], 'x');
  await world.answerAll();
  void say(2, ['three'], 'y');
  await world.calm();
  await world.advance(7 * DAY_MS - 1);
  assert.equal([(await queue()).parked, (await queue()).deadLetters], [true, 0]);
  await world.advance(1);
  assert.is(endOf(world, ID(1)), 'expired: expired: token revoked');
  for (const id of [ID(1, 1), ID(2)]) assert.is(endOf(world, id), 'expired: expired');
  assert.equal(log(), []);
});

test('an account’s own age counts for it, and a held delivery of a parked account ends too', async () => {
  const { world, outcomes, say } = await createWorld({
    onUnknown: 'hold',
    parkedMaxAgesMs: { 'a:1': 2 * DAY_MS },
  });
  outcomes.push({ type: 'unknown', reason: 'no answer' });
  void say(1, ['one'], 'x');
  await world.answerAll();
  await setParked(world, true, 'auth_failed');
  void say(2, ['two'], 'x');
  await world.calm();
  await world.advance(2 * DAY_MS - 1);
  assert.equal([world.row(ID(1))?.status, world.row(ID(2))?.status], ['held', 'queued']);
  await world.advance(1);
  assert.is(endOf(world, ID(1)), 'expired: expired: no answer');
  assert.is(endOf(world, ID(2)), 'expired: expired');
});

test('the age is the row’s: restarts neither shorten nor lengthen it, also where no connector ever comes up', async () => {
  const { world, say } = await createWorld();
  await setParked(world, true, 'missing_credential');
  void say(1, ['one']);
  await world.calm();
  for (let day = 1; day < 7; day += 1) {
    await world.advance(DAY_MS);
    await world.loseProcess(day);
    await world.calm();
    if (day % 2 === 0) await setParked(world, true, 'missing_credential');
    assert.is(world.row(ID(1))?.status, 'queued', `day ${day}`);
  }
  await world.advance(DAY_MS - 1);
  assert.is(world.row(ID(1))?.status, 'queued');
  await world.advance(1);
  assert.is(endOf(world, ID(1)), 'expired: expired');
});

for (const restarts of [false, true]) {
  const how = restarts ? ', also when the process was started anew for it' : '';
  test(`what waited for days is sent when the credential works again, and has an hour for it${how}`, async () => {
    const { world, outcomes, say } = await createWorld();
    await setParked(world, true, 'auth_failed');
    void say(1, ['one'], 'x');
    void say(2, ['two'], 'y');
    await world.calm();
    await world.advance(3 * DAY_MS);
    if (restarts) await world.loseProcess(1);
    const slow = {
      type: 'rate_limited',
      retryAfterMs: HOUR_MS,
      scope: 'conversation',
      reason: '429',
    } as const;
    outcomes.push(slow);
    world.up('a:1');
    await setParked(world, false);
    await world.answerAll();
    assert.ok(world.store.read(DELIVERED, ID(2)));
    assert.is(world.row(ID(1))?.status, 'waiting');
    await world.advance(HOUR_MS - 1);
    assert.is(world.row(ID(1))?.status, 'waiting');
    await world.advance(1);
    assert.is(endOf(world, ID(1)), 'expired: expired: 429');
  });
}

test('an account whose connector has ended cannot send: what was made since has the longer age, and an hour when one is back', async () => {
  const { world, outcomes, say } = await createWorld();
  world.loseConnector('a:1', { kind: 'stopped', code: 'shutdown' });
  void say(1, ['one'], 'x');
  void say(2, ['two'], 'y');
  await world.calm();
  await world.advance(3 * DAY_MS);
  assert.equal([world.row(ID(1))?.status, world.row(ID(2))?.status], ['queued', 'queued']);
  const slow = { type: 'rate_limited', retryAfterMs: HOUR_MS, reason: '429' } as const;
  outcomes.push({ ...slow, scope: 'conversation' });
  world.up('a:1');
  await world.answerAll();
  assert.ok(world.store.read(DELIVERED, ID(2)));
  await world.advance(HOUR_MS - 1);
  assert.is(world.row(ID(1))?.status, 'waiting');
  await world.advance(1);
  assert.is(endOf(world, ID(1)), 'expired: expired: 429');
  world.loseConnector('a:1', { kind: 'stopped', code: 'shutdown' });
  void say(3, ['three'], 'z');
  await world.calm();
  await world.advance(7 * DAY_MS - 1);
  assert.is(world.row(ID(3))?.status, 'queued');
  await world.advance(1);
  assert.is(endOf(world, ID(3)), 'expired: expired');
});

test('while the account can send, what was made since is dead after its usual age', () => {
  const ms = fc.integer({ min: 0, max: 30 * DAY_MS });
  fc.assert(
    fc.property(ms, ms, ms, ms, (bornAtMs, maxAgeMs, parkedMaxAgeMs, upSinceMs) => {
      const up = expiryOf(bornAtMs, { maxAgeMs, parkedMaxAgeMs, upSinceMs });
      const down = expiryOf(bornAtMs, { maxAgeMs, parkedMaxAgeMs, upSinceMs: undefined });
      assert.is(down, bornAtMs + Math.max(maxAgeMs, parkedMaxAgeMs));
      assert.ok(up >= bornAtMs + maxAgeMs && up <= down);
      if (bornAtMs >= upSinceMs) assert.is(up, bornAtMs + maxAgeMs);
      else assert.ok(up <= Math.max(bornAtMs + maxAgeMs, upSinceMs + HOUR_MS));
    }),
  );
});

test.run();
