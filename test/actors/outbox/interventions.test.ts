/** Replay and discard: which deliveries they take, from where a replay goes on, and that twice is once. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DEAD_LETTERS, DELIVERED, DELIVERIES, parseEndedRow } from '../../../actors/outbox/rows.ts';
import { type OperationName, operations } from '../../../proto/control/catalogue.ts';
import type { OperationReply } from '../../../proto/control/owner.ts';
import { declared } from '../../support/declared.ts';
import { storedFacts } from '../../support/read-facts.ts';
import { createWorld, DELIVERED_OK, ID } from './support/one-account.ts';

const test = suite('actors/outbox: interventions');

const UNKNOWN = { type: 'unknown', reason: 'no answer' } as const;
const REFUSED = { type: 'permanent', reason: 'chat not found' } as const;

async function createHeld(options: Parameters<typeof createWorld>[0] = {}) {
  const all = await createWorld({ onUnknown: 'hold', ...options });
  const { world } = all;
  const call = async (verb: 'replay' | 'discard', deliveryId = ID(1), connectorId = 'a:1') => {
    const operation: OperationName = `channels.${verb}`;
    const input = operations[operation].input.parse({
      connector_id: connectorId,
      delivery_id: deliveryId,
    });
    const reply = world.outbox.ask('operator', 'operate', { operation, input, principal: 'test' });
    world.outbox.receive('operator');
    await world.calm();
    return codeOrOutput(declared(operation, (await reply) as OperationReply));
  };
  const types = () =>
    storedFacts(world.store)
      .filter((fact) => fact.deliveryId === ID(1))
      .map(({ type, ending = '' }) => `${type}${ending === '' ? '' : ` ${ending}`}`);
  return { ...all, call, types };
}

function codeOrOutput(reply: OperationReply): unknown {
  return reply.ok ? operations['channels.replay'].output.parse(reply.output) : reply.error.code;
}

const did = (status: string, changed = true, delivery_id = ID(1)) => ({
  delivery_id,
  status,
  changed,
});

test('a held delivery that is replayed goes on with its first piece that is not confirmed, and may be a duplicate', async () => {
  const { world, outcomes, say, log, call, queue } = await createHeld();
  outcomes.push(DELIVERED_OK, UNKNOWN);
  void say(1, ['one|two|three']);
  await world.answerAll();
  assert.is(world.row(ID(1))?.status, 'held');
  assert.equal(await call('replay'), did('queued'));
  await world.answerAll();
  assert.equal(
    log(),
    [0, 1, 2].map((chunk) => `${ID(1)}#${chunk}`),
  );
  const row = world.store.read(DELIVERED, ID(1))?.row;
  assert.equal([row?.chunks, row?.maybeDuplicate], [3, true]);
  assert.is((await queue()).held, 0);
});

test('a dead letter that is replayed is a delivery again, and leaves the dead letters', async () => {
  const { world, outcomes, say, log, call, queue } = await createHeld();
  outcomes.push(DELIVERED_OK, REFUSED);
  void say(1, ['one|two', 'next']);
  await world.answerAll();
  assert.is((await queue()).deadLetters, 1);
  assert.equal(await call('replay'), did('queued'));
  assert.is((await queue()).deadLetters, 0);
  await world.answerAll();
  assert.equal(log(), [`${ID(1)}#0`, `${ID(1, 1)}#0`, `${ID(1)}#1`]);
  const row = world.store.read(DELIVERED, ID(1))?.row;
  assert.is(row?.maybeDuplicate, false, 'the refused piece was certainly not sent');
  assert.is(world.store.read(DEAD_LETTERS, ID(1)), undefined);
});

test('a replay gets the whole age anew, and nothing that it was charged with before', async () => {
  const { world, connector, say, call } = await createHeld({
    onUnknown: 'retry',
    maxAgeMs: 60_000,
  });
  void say(1, ['one']);
  await world.calm();
  for (let i = 0; i < 2; i += 1) {
    world.loseConnector('a:1', { kind: 'crashed', code: 'boom', subject: ID(1) });
    world.up('a:1');
    await world.advance(1_000);
  }
  const dead = parseEndedRow(world.store.read(DEAD_LETTERS, ID(1))?.row ?? { v: 0 });
  assert.equal([dead.ending, dead.maybeDuplicate], ['quarantined', true]);
  await world.advance(600_000);
  assert.equal(await call('replay'), did('queued'));
  world.loseConnector('a:1', { kind: 'crashed', code: 'boom', subject: ID(1) });
  await world.advance(59_000);
  world.up('a:1');
  await world.calm();
  assert.is(
    connector.running.length,
    1,
    'one crash does not quarantine it, its old age does not end it',
  );
  await world.restartOutbox();
  world.up('a:1');
  await world.answerAll();
  assert.ok(world.store.read(DELIVERED, ID(1)), 'also not over a restart');
});

test('a held delivery that is replayed gets its whole age anew', async () => {
  const { world, outcomes, say, call } = await createHeld({ maxAgeMs: 60_000 });
  outcomes.push(UNKNOWN);
  void say(1, ['one'], 'x');
  await world.answerAll();
  await world.advance(59_000);
  outcomes.push({ type: 'transient', reason: 'reset', retryAfterMs: 50_000 });
  assert.equal(await call('replay'), did('queued'));
  await world.answerAll();
  await world.advance(50_000);
  await world.answerAll();
  assert.ok(world.store.read(DELIVERED, ID(1)));
});

test('a held delivery that is discarded is a dead letter with its reason, and its run hears of it', async () => {
  const { world, outcomes, say, call, queue, types } = await createHeld();
  outcomes.push(UNKNOWN);
  void say(1, ['one']);
  await world.answerAll();
  assert.equal(await call('discard'), did('dead'));
  const row = world.store.read(DEAD_LETTERS, ID(1))?.row;
  assert.equal([row?.ending, row?.reason], ['discarded', 'discarded: no answer']);
  assert.equal([(await queue()).held, (await queue()).deadLetters], [0, 1]);
  assert.is(types().at(-1), 'delivery.dead discarded');
  const [note] = world.store.scan({ table: 'tapes', limit: 1 }).rows;
  assert.match(JSON.stringify(note?.row), 'delivery.failed');
  assert.equal(await call('replay'), did('queued'), 'it can still be replayed');
  await world.answerAll();
  assert.ok(world.store.read(DELIVERED, ID(1)));
});

test('asked twice it happens once, at the same time or later', async () => {
  for (const outcome of [UNKNOWN, REFUSED]) {
    const { world, outcomes, say, log, call, types } = await createHeld();
    outcomes.push(outcome);
    void say(1, ['one']);
    await world.answerAll();
    const replies = await Promise.all([call('replay'), call('replay')]);
    assert.equal(replies[0], did('queued'));
    assert.ok(replies[1] === 'revision_conflict' || !(replies[1] as { changed: boolean }).changed);
    assert.equal(await call('replay'), did('sending', false));
    await world.answerAll();
    assert.equal(await call('replay'), did('delivered', false));
    assert.equal(log(), [`${ID(1)}#0`]);
    assert.is(types().filter((type) => type === 'delivery.replayed').length, 1);
  }
  const { world, outcomes, say, call, types } = await createHeld();
  outcomes.push(UNKNOWN);
  void say(1, ['one']);
  await world.answerAll();
  assert.equal(await call('discard'), did('dead'));
  assert.equal(await call('discard'), did('dead', false));
  assert.is(types().filter((type) => type.startsWith('delivery.dead')).length, 1);
});

test('what cannot be taken is refused with its code and changes nothing', async () => {
  const { world, outcomes, say, call } = await createHeld();
  assert.is(await call('replay', ID(9)), 'not_found');
  outcomes.push(REFUSED);
  void say(1, ['one'], 'x');
  await world.answerAll();
  assert.is(await call('replay', ID(1), 'b:1'), 'not_found', 'another account has it');
  assert.is(await call('discard'), 'failed_precondition', 'it is dead already');
  void say(2, ['two'], 'y');
  await world.answerAll();
  assert.is(await call('replay', ID(2)), 'failed_precondition', 'it was delivered');
  assert.is(await call('discard', ID(2)), 'failed_precondition');
  void say(3, ['three', 'four'], 'z');
  await world.calm();
  for (const verb of ['replay', 'discard'] as const) {
    assert.is(await call(verb, ID(3)), 'failed_precondition', 'it is on its way');
    assert.is(await call(verb, ID(3), 'b:1'), 'not_found');
  }
  assert.is(world.row(ID(3))?.status, 'sending');
  assert.is(await call('discard', ID(3, 1)), 'failed_precondition', 'it is next');
  assert.is(world.row(ID(3, 1))?.status, 'queued');
});

test('what waits for an account that is not configured can be given up, one by one, and is replayed as any dead letter', async () => {
  const { world, say, log, call, queue } = await createHeld({ parkedMaxAgesMs: { 'b:1': 1_000 } });
  world.loseConnector('a:1', { kind: 'stopped', code: 'shutdown' });
  void say(1, ['one', 'two', 'three']);
  await world.calm();
  const active = () => [0, 1, 2].map((n) => world.row(ID(1, n))?.status ?? '');
  assert.equal(active(), ['queued', 'queued', 'queued']);
  assert.is(await call('replay'), 'failed_precondition', 'nobody would send it');
  assert.equal(await call('discard', ID(1, 1)), did('dead', true, ID(1, 1)));
  assert.equal(await call('discard'), did('dead'));
  assert.equal(await call('discard'), did('dead', false));
  assert.equal(active(), ['', '', 'queued']);
  const row = parseEndedRow(world.store.read(DEAD_LETTERS, ID(1))?.row ?? { v: 0 });
  assert.equal(
    [row.ending, row.reason, row.maybeDuplicate],
    ['discarded', 'discarded', false],
    'it was certainly not sent',
  );
  assert.is((await queue()).deadLetters, 2);
  assert.equal(log(), []);
});

test('what was cut in the middle of its send is given up as a possible duplicate', async () => {
  const { world, say, call } = await createHeld({
    onUnknown: 'retry',
    parkedMaxAgesMs: {},
  });
  void say(1, ['one']);
  await world.calm();
  world.loseConnector('a:1', { kind: 'stopped', code: 'shutdown' });
  await world.calm();
  assert.is(world.row(ID(1))?.status, 'unknown');
  assert.equal(await call('discard'), did('dead'));
  assert.is(world.store.read(DEAD_LETTERS, ID(1))?.row.maybeDuplicate, true);
});

test('a late confirmation while the operator acts wins: nothing is sent twice', async () => {
  const { world, connector, outcomes, say, log, call } = await createHeld();
  outcomes.push(UNKNOWN);
  void say(1, ['one']);
  await world.answerAll();
  const late = { deliveryId: ID(1), attempt: 1, chunk: 0, chunks: 1, outcome: DELIVERED_OK };
  connector.answered.set(`${ID(1)}/1/0`, late);
  connector.repeat();
  world.outbox.receive('a:1');
  assert.is(await call('replay'), 'revision_conflict');
  assert.ok(world.store.read(DELIVERED, ID(1)));
  assert.equal(log(), []);
});

test('an account that is full, and a ledger that refuses, are told and change nothing', async () => {
  const { world, outcomes, say, call } = await createHeld({ policies: { activePerConnector: 1 } });
  outcomes.push(REFUSED);
  void say(1, ['one'], 'x');
  await world.answerAll();
  void say(2, ['two'], 'y');
  await world.calm();
  assert.is(await call('replay'), 'busy');
  assert.ok(world.store.read(DEAD_LETTERS, ID(1)));
  assert.is(world.store.read(DELIVERIES, ID(1)), undefined);
  await world.answerAll();
  assert.equal(await call('replay'), did('queued'));
});

test.run();
