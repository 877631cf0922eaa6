/** What cuts a run, and what that counts for: ends of the process make it wait, only deaths of its own thread give it up soon. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  MAX_ATTEMPTS,
  MAX_PROCESS_ENDS,
  waitAfterProcessEndMs,
} from '../../../actors/sessions/cuts.ts';
import { RUNS } from '../../../actors/sessions/rows.ts';
import { idOf, openSession } from './session-rig.ts';

const test = suite('actors/sessions/cuts');

const LONGEST_WAIT_MS = 300_000;

test('a message that sixty ends of the process cut is answered by the first process that lives', async () => {
  const { store, route, open, inbox } = await openSession(true);
  const a = await route('a');
  for (let life = 1; life <= 60; life += 1) {
    const { kit, begun } = await open();
    await kit.advance(LONGEST_WAIT_MS);
    await kit.settle();
    assert.equal(begun(), [idOf(a)]);
    const { attempts = 0, processEnds = 0 } = inbox(a)?.row ?? {};
    assert.equal([attempts, processEnds], [life, life]);
  }
  const { kit, answer } = await open();
  await kit.advance(LONGEST_WAIT_MS);
  await kit.settle();
  await answer(idOf(a));
  assert.is(store.read(RUNS, idOf(a))?.row.status, 'done');
  assert.is(store.read(RUNS, idOf(a))?.row.attempts, 61);
});

test('the first ends of the process cost no wait; a run that waits is not charged with the next end', async () => {
  const { route, open, inbox, change } = await openSession(true);
  const a = await route('a');
  for (let life = 1; life <= 3; life += 1) {
    const { begun } = await open();
    assert.equal(begun(), [idOf(a)]);
  }
  const row = inbox(a)?.row;
  await change(a, { ...row, v: 1, attempts: 10, processEnds: 10 });
  for (let life = 1; life <= 5; life += 1) {
    const { kit, begun } = await open();
    await kit.advance(60_000);
    await kit.settle();
    assert.equal(begun(), []);
    assert.is(inbox(a)?.row.processEnds, 10);
  }
  const { kit, begun } = await open();
  await kit.advance(128_000);
  await kit.settle();
  assert.equal(begun(), [idOf(a)]);
  assert.is(inbox(a)?.row.processEnds, 11);
});

test('a wait whose count is refused, or not answered, is not waited again, and counted once', async () => {
  for (const fault of ['conflict', 'unanswered'] as const) {
    const { route, open, inbox, change, script } = await openSession(true);
    const a = await route('a');
    await change(a, { ...inbox(a)?.row, v: 1, attempts: 20, processEnds: 20 });
    const { kit, begun } = await open();
    await kit.advance(100_000);
    await kit.settle();
    let lost = 0;
    if (fault === 'conflict') await change(a, { ...inbox(a)?.row, v: 1 });
    else script.isAnswerLost = () => lost++ === 0;
    await kit.advance(LONGEST_WAIT_MS - 100_000);
    await kit.settle();
    // The pause before the ledger is asked again.
    await kit.advance(1_000);
    await kit.settle();
    assert.equal(begun(), [idOf(a)]);
    const { attempts, processEnds } = inbox(a)?.row ?? {};
    assert.equal([attempts, processEnds], [21, 21]);
  }
});

test('a death of its thread charges no run that waits, and shortens no wait', async () => {
  const { route, open, inbox, change } = await openSession(true);
  const a = await route('a');
  await change(a, { ...inbox(a)?.row, v: 1, attempts: 20, processEnds: 20 });
  const counts = () => [inbox(a)?.row.attempts, inbox(a)?.row.processEnds];
  await open(1);
  const second = await open(2);
  await second.kit.advance(100_000);
  await second.kit.settle();
  assert.equal([second.begun(), counts()], [[], [20, 20]]);
  await second.kit.advance(LONGEST_WAIT_MS);
  await second.kit.settle();
  assert.equal([second.begun(), counts()], [[idOf(a)], [21, 21]]);
  // It had begun this time.
  const third = await open(3);
  assert.equal([third.begun(), counts()], [[idOf(a)], [22, 21]]);
});

test('what comes while a run waits is run behind it', async () => {
  const { route, open, inbox, change } = await openSession(true);
  const a = await route('a');
  await change(a, { ...inbox(a)?.row, v: 1, attempts: 8, processEnds: 8 });
  const { kit, begun, answer } = await open();
  const b = await route('b');
  kit.receive('enqueue', b);
  await kit.settle();
  assert.equal(begun(), []);
  await kit.advance(LONGEST_WAIT_MS);
  await kit.settle();
  await answer(idOf(a));
  assert.equal(begun(), [idOf(a), idOf(b)]);
});

test('deaths of its thread that name nobody give a run up, and need no end of the process', async () => {
  const { store, route, open, inbox } = await openSession();
  const a = await route('a');
  for (let life = 2; life <= MAX_ATTEMPTS; life += 1) {
    const { begun } = await open(life);
    assert.equal(begun(), [idOf(a)]);
    assert.is(inbox(a)?.row.attempts, life - 1);
  }
  const { begun } = await open(MAX_ATTEMPTS + 1);
  assert.equal(begun(), []);
  assert.is(store.read(RUNS, idOf(a))?.row.status, 'quarantined');
  assert.is(store.read(RUNS, idOf(a))?.row.reason, 'cut_too_often');
});

test('a run that no process outlives is given up at last', async () => {
  const { store, route, open, inbox, change } = await openSession(true);
  const a = await route('a');
  const before = MAX_PROCESS_ENDS - 1;
  await change(a, { ...inbox(a)?.row, v: 1, attempts: before, processEnds: before });
  const { kit, begun } = await open();
  await kit.advance(LONGEST_WAIT_MS);
  await kit.settle();
  assert.equal(begun(), []);
  assert.is(store.read(RUNS, idOf(a))?.row.reason, 'cut_too_often');
});

test('waits grow to five minutes, and differ among the runs of one process', () => {
  const seconds = (ends: number, random: number) => waitAfterProcessEndMs(ends, random) / 1_000;
  assert.equal(
    [0, 2, 3, 4, 8, 11, 40, 199].map((ends) => seconds(ends, 1)),
    [0, 0, 1, 2, 32, 256, 300, 300],
  );
  assert.is(seconds(8, 0), 16);
});

test.run();
