/** Every outcome under every policy, row by row, and the delays. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decide, fits, type Happening, type Terms } from '../../../actors/outbox/decide.ts';
import {
  type AttemptEnd,
  backoffMs,
  delayMsOf,
  RULES,
  UNKNOWN_POLICIES,
  type UnknownPolicy,
} from '../../../actors/outbox/policy.ts';
import { type DeliveryRow, queuedRow } from '../../../actors/outbox/rows.ts';
import type { DeliveryOutcome } from '../../../proto/channel-messages.ts';

const test = suite('actors/outbox: policy');

const AT_MS = 1_800_000_000_000;
const terms = (onUnknown: UnknownPolicy, random = 0.5): Terms => ({
  onUnknown,
  atMs: AT_MS,
  random,
});

const queued = queuedRow({
  runId: '01J00000000000000000000000',
  target: { connectorId: 'a:1', conversationId: 'c', threadId: '' },
  message: { text: 'hello', inReplyTo: '', attachments: [] },
  order: 1,
  trace: 't',
  atMs: AT_MS - 10_000,
});

function must(row: DeliveryRow | undefined): DeliveryRow {
  if (row === undefined) throw new Error('nothing was decided');
  return row;
}

const sending = must(decide(queued, { type: 'turn' }, terms('retry')));

const ENDS: Readonly<Record<AttemptEnd, Happening>> = {
  delivered: ended({ type: 'delivered', nativeMessageId: 'm1' }),
  rate_limited: ended({
    type: 'rate_limited',
    retryAfterMs: 7_000,
    scope: 'conversation',
    reason: 'slow down',
  }),
  transient: ended({ type: 'transient', reason: 'reset' }),
  auth: ended({ type: 'auth', reason: 'token refused' }),
  permanent: ended({ type: 'permanent', reason: 'chat not found' }),
  unknown: ended({ type: 'unknown', reason: 'no answer' }),
  lost: { type: 'lost', reason: 'process ended', charge: 'none' },
};

function ended(outcome: DeliveryOutcome, chunks = 1, maySend = true): Happening {
  return { type: 'ended', outcome, chunks, maySend };
}

// status, counted failures, attempts that have ended, delay at random = 0.5
const EXPECTED: readonly [AttemptEnd, UnknownPolicy, string, number, number, number][] = [
  ['delivered', 'retry', 'delivered', 0, 1, 0],
  ['delivered', 'hold', 'delivered', 0, 1, 0],
  ['rate_limited', 'retry', 'waiting', 0, 0, 7_000],
  ['rate_limited', 'hold', 'waiting', 0, 0, 7_000],
  ['transient', 'retry', 'waiting', 1, 1, 500],
  ['transient', 'hold', 'waiting', 1, 1, 500],
  ['auth', 'retry', 'waiting', 0, 0, 0],
  ['auth', 'hold', 'waiting', 0, 0, 0],
  ['permanent', 'retry', 'dead', 0, 1, 0],
  ['permanent', 'hold', 'dead', 0, 1, 0],
  ['unknown', 'retry', 'unknown', 1, 1, 500],
  ['unknown', 'hold', 'held', 1, 1, 0],
  ['lost', 'retry', 'unknown', 0, 1, 500],
  ['lost', 'hold', 'held', 1, 1, 0],
];

for (const [end, onUnknown, status, failures, attempts, delayMs] of EXPECTED) {
  test(`${end} under on_unknown = ${onUnknown} makes it ${status}`, () => {
    const after = must(decide(sending, ENDS[end], terms(onUnknown)));
    assert.is(after.status, status);
    assert.is(after.status, RULES[end][onUnknown].next);
    assert.is(after.failures, failures);
    assert.is(after.attempts, attempts);
    assert.is(after.delayMs, delayMs);
    if (status === 'waiting' || status === 'unknown') {
      assert.is(after.nextAttemptAtMs, AT_MS + delayMs);
    }
    assert.is(after.ending, status === 'dead' ? 'permanent' : '');
  });
}

test('the table names every outcome and policy once', () => {
  const cells = EXPECTED.map(([end, onUnknown]) => `${end}/${onUnknown}`).sort();
  const all = Object.keys(RULES).flatMap((end) => UNKNOWN_POLICIES.map((p) => `${end}/${p}`));
  assert.equal(cells, all.sort());
});

test('rate limits use no attempt, however many there are', () => {
  let row = sending;
  for (let i = 0; i < 10; i += 1) {
    row = must(decide(row, ENDS.rate_limited, terms('retry')));
    row = must(decide(row, { type: 'turn' }, terms('retry')));
  }
  assert.is(row.attempts, 0);
  assert.is(row.failures, 0);
  assert.is(row.attempt, 11);
});

test('pieces go one after the other; a piece that may not leave at once waits in the queue', () => {
  const first = must(
    decide(sending, ended({ type: 'delivered', nativeMessageId: 'm1' }, 3), terms('retry')),
  );
  assert.equal([first.status, first.chunk, first.attempt], ['sending', 1, 1]);
  const second = must(
    decide(first, ended({ type: 'delivered', nativeMessageId: 'm2' }, 3, false), terms('retry')),
  );
  assert.equal([second.status, second.chunk, second.attempt], ['queued', 2, 0]);
  const third = must(decide(second, { type: 'turn' }, terms('retry')));
  const last = must(
    decide(third, ended({ type: 'delivered', nativeMessageId: 'm3' }, 3), terms('retry')),
  );
  assert.is(last.status, 'delivered');
  assert.equal(last.nativeMessageIds, ['m1', 'm2', 'm3']);
});

test('a piece sent again after an unknown outcome may be a duplicate, and says so', () => {
  const unknown = must(decide(sending, ENDS.unknown, terms('retry')));
  assert.not(unknown.maybeDuplicate);
  assert.ok(must(decide(unknown, { type: 'turn' }, terms('retry'))).maybeDuplicate);
  const waiting = must(decide(sending, ENDS.transient, terms('retry')));
  assert.not(must(decide(waiting, { type: 'turn' }, terms('retry'))).maybeDuplicate);
});

test('what was unknown before the account said hold is held when its turn comes', () => {
  const unknown = must(decide(sending, ENDS.lost, terms('retry')));
  assert.is(must(decide(unknown, { type: 'turn' }, terms('hold'))).status, 'held');
});

test('the first retry after an unknown outcome comes within a second, whatever failed before', () => {
  let row = sending;
  for (let i = 0; i < 6; i += 1) {
    row = must(decide(row, ENDS.transient, terms('retry', 0.99)));
    row = must(decide(row, { type: 'turn' }, terms('retry')));
  }
  assert.ok(must(decide(row, ENDS.unknown, terms('retry', 0.99))).delayMs < 1_000);
  assert.ok(must(decide(row, ENDS.lost, terms('retry', 0.99))).delayMs < 1_000);
});

test('the second crash that a delivery is blamed for quarantines it', () => {
  const blamed: Happening = { type: 'lost', reason: 'connector thread_exit', charge: 'crash' };
  const once = must(decide(sending, blamed, terms('retry')));
  assert.equal([once.status, once.crashes], ['unknown', 1]);
  const again = must(decide(once, { type: 'turn' }, terms('retry')));
  const dead = must(decide(again, blamed, terms('retry')));
  assert.equal([dead.status, dead.ending, dead.crashes], ['dead', 'quarantined', 2]);
});

test('ends of its sender that name nobody slow a delivery down from the third and quarantine it at the fifth', () => {
  for (const onUnknown of UNKNOWN_POLICIES) {
    const lost: Happening = { type: 'lost', reason: 'connector thread_exit', charge: 'loss' };
    let row = sending;
    const delays: number[] = [];
    for (let losses = 1; losses < 5; losses += 1) {
      const after = must(decide(row, lost, terms(onUnknown, 0.999)));
      assert.equal([after.losses, after.crashes], [losses, 0]);
      assert.is(after.status, onUnknown === 'hold' ? 'held' : 'unknown');
      delays.push(after.delayMs);
      row = { ...after, status: 'sending' };
    }
    assert.equal(delays, onUnknown === 'hold' ? [0, 0, 0, 0] : [999, 999, 999, 1_998]);
    const dead = must(decide(row, lost, terms(onUnknown)));
    assert.equal([dead.status, dead.ending, dead.losses], ['dead', 'quarantined', 5]);
  }
});

test('a confirmed piece ends the row of ends that name nobody: a long delivery is not quarantined by rare ones', () => {
  const lost: Happening = { type: 'lost', reason: 'connector thread_exit', charge: 'loss' };
  let row = sending;
  for (let piece = 0; piece < 20; piece += 1) {
    for (let losses = 1; losses < 5; losses += 1) {
      row = must(decide(row, lost, terms('retry')));
      assert.equal([row.status, row.losses], ['unknown', losses]);
      row = must(decide(row, { type: 'turn' }, terms('retry')));
    }
    row = must(decide(row, ended({ type: 'delivered', nativeMessageId: 'm' }, 99), terms('retry')));
    assert.equal([row.status, row.chunk, row.losses], ['sending', piece + 1, 0]);
  }
});

test('an end of the process is charged to no delivery, however often it comes', () => {
  let row = sending;
  for (let i = 0; i < 200; i += 1) {
    row = must(decide(row, ENDS.lost, terms('retry', 0.999)));
    assert.equal([row.status, row.losses, row.crashes], ['unknown', 0, 0]);
    assert.ok(row.delayMs < 1_000);
    row = must(decide(row, { type: 'turn' }, terms('retry')));
  }
});

test('a stale settlement is not about the row: another attempt, another piece', () => {
  const settle = (attempt: number, chunk: number, outcome: DeliveryOutcome) => ({
    deliveryId: 'd',
    attempt,
    chunk,
    chunks: 2,
    outcome,
  });
  const delivered: DeliveryOutcome = { type: 'delivered', nativeMessageId: 'm' };
  const transient: DeliveryOutcome = { type: 'transient', reason: 'x' };
  assert.ok(fits(sending, settle(1, 0, transient)));
  assert.not(fits(sending, settle(2, 0, transient)));
  assert.not(fits(sending, settle(1, 1, delivered)));
  const waiting = must(decide(sending, ENDS.transient, terms('retry')));
  assert.ok(fits(waiting, settle(1, 0, delivered)), 'late, and not sent again since');
  assert.not(fits(waiting, settle(1, 0, transient)));
  const resent = must(decide(waiting, { type: 'turn' }, terms('retry')));
  assert.not(fits(resent, settle(1, 0, delivered)), 'sent again since');
});

test('backoff is full jitter from 1 s, doubled up to 60 s, then five minutes', () => {
  assert.equal(
    [1, 2, 3, 6, 7, 10].map((failures) => backoffMs(failures, 0.999_999)),
    [999, 1_999, 3_999, 31_999, 59_999, 59_999],
  );
  assert.is(backoffMs(11, 0), 300_000);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (n, r) => {
        const ms = backoffMs(n, r);
        return ms >= 0 && ms < 60_000;
      },
    ),
  );
});

test('a platform that asks for nonsense is not asked again in a loop', () => {
  for (const asked of [0, -5, Number.NaN, undefined]) {
    assert.is(delayMsOf(RULES.rate_limited.retry, 0, asked, 0), 250);
  }
  assert.is(delayMsOf(RULES.transient.retry, 1, 5_000, 0.5), 5_000);
  assert.is(delayMsOf(RULES.transient.retry, 1, Number.POSITIVE_INFINITY, 0.5), 86_400_000);
});

test.run();
