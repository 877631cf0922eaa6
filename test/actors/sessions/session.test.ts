/** One session's table by hand: order, gaps, conflicts and retries. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SessionsMeter } from '../../../actors/sessions/control.ts';
import { planFinish } from '../../../actors/sessions/finish.ts';
import type { RunEnded } from '../../../actors/sessions/protocol.ts';
import { RUNS } from '../../../actors/sessions/rows.ts';
import { sessionActor } from '../../../actors/sessions/session-actor.ts';
import { SessionMemory } from '../../../actors/sessions/session-memory.ts';
import { type EnvelopeId, runIdOf } from '../../../proto/ids.ts';
import { storedFacts } from '../../support/read-facts.ts';
import { answerOf, idOf, KEY, openSession } from './session-rig.ts';

const test = suite('actors/sessions/session');

test('whatever message a session dies of, its subject names the run that is charged', async () => {
  const { route } = await openSession();
  const { subject } = sessionActor;
  const routed = await route('a');
  assert.is(subject?.('enqueue', routed), routed.envelopeId);
  const runId = runIdOf(routed.envelopeId as EnvelopeId);
  assert.is(subject?.('finished', { about: { runId }, outcome: {} }), runId);
  assert.is(subject?.('next', null), '');
});

test('a fresh run begins at once, without reading what the router just said', async () => {
  const { route, open, reads } = await openSession();
  const { kit, begun } = await open();
  const first = await route('a');
  kit.receive('enqueue', first);
  kit.receive('enqueue', first);
  await kit.settle();
  assert.equal(begun(), [idOf(first)]);
  assert.equal(reads, []);
});

test('the next run begins only after the end of the one before is durable', async () => {
  const { route, open, script, finishes } = await openSession();
  const { kit, begun, answer } = await open();
  const [a, b] = [await route('a'), await route('b')];
  kit.receive('enqueue', a);
  kit.receive('enqueue', b);
  await kit.settle();
  script.finish = () => ({ ok: false, code: 'busy', retryAfterMs: 500 });
  await answer(idOf(a));
  await kit.settle();
  assert.equal(begun(), [idOf(a)]);
  script.finish = undefined;
  await kit.advance(1_000);
  await kit.settle();
  assert.equal(begun(), [idOf(a), idOf(b)]);
  assert.is(finishes.length, 2);
});

test('one actor makes all runs of a session, until one of them crashes it', async () => {
  const { route, open, inbox } = await openSession();
  const { kit, begun, answer } = await open();
  const runs = [await route('a'), await route('b'), await route('c')];
  const [a, b, c] = runs;
  if (a === undefined || b === undefined || c === undefined) throw new Error('not routed');
  for (const run of runs) kit.receive('enqueue', run);
  await kit.settle();
  const spawned = () => kit.effects.filter(({ type }) => type === 'spawn').length;
  await answer(idOf(a));
  assert.equal(begun(), [idOf(a), idOf(b)]);
  assert.is(spawned(), 1);
  const [child] = kit.self.children();
  if (child === undefined) throw new Error('no run was spawned');
  const cause = { kind: 'crashed', code: 'oops' } as const;
  await sessionActor.childEnded?.(kit.state, { ...child, incarnation: 1, cause }, kit.self);
  await kit.advance(0);
  await kit.settle();
  assert.equal(begun(), [idOf(a), idOf(b), idOf(b)]);
  assert.is(inbox(b)?.row.crashes, 1);
  assert.is(spawned(), 2);
  await answer(idOf(b));
  assert.equal(begun().at(-1), idOf(c));
  assert.is(spawned(), 2);
});

test('a run actor that ends between two runs is charged to neither', async () => {
  const { route, open, inbox } = await openSession();
  const { kit, begun, answer } = await open();
  const [a, b] = [await route('a'), await route('b')];
  kit.receive('enqueue', a);
  await kit.settle();
  const [child] = kit.self.children();
  if (child === undefined) throw new Error('nobody runs');
  await answer(idOf(a));
  // One before it is missing: the rows are read before it begins.
  kit.receive('enqueue', { ...b, after: 'Z' });
  const cause = { kind: 'crashed', code: 'late' } as const;
  await sessionActor.childEnded?.(kit.state, { ...child, incarnation: 1, cause }, kit.self);
  await kit.settle();
  await kit.advance(0);
  await kit.settle();
  assert.equal(begun(), [idOf(a), idOf(b)]);
  assert.is(inbox(b)?.row.crashes, 0);
});

test('a message that is told again leaves what is counted of it', async () => {
  const { route, open, inbox, store } = await openSession();
  const { kit, begun, answer } = await open();
  const a = await route('a');
  kit.receive('enqueue', a);
  await kit.settle();
  const [child] = kit.self.children();
  if (child === undefined) throw new Error('nobody runs');
  const cause = { kind: 'crashed', code: 'oops' } as const;
  await sessionActor.childEnded?.(kit.state, { ...child, incarnation: 1, cause }, kit.self);
  await kit.advance(0);
  await kit.settle();
  assert.is(inbox(a)?.row.crashes, 1);
  kit.receive('enqueue', a);
  await kit.settle();
  await answer(idOf(a));
  assert.equal(begun(), [idOf(a), idOf(a)]);
  assert.is(store.read(RUNS, idOf(a))?.row.crashes, 1);
});

test('the end of a run without deliveries is made durable without the outbox, once, also where the answer is lost', async () => {
  const { route, open, store, script, finishes } = await openSession();
  const { kit, begun, answer } = await open();
  const [a, b] = [await route('a', { replyTo: null }), await route('b', { replyTo: null })];
  kit.receive('enqueue', a);
  kit.receive('enqueue', b);
  await kit.settle();
  let lost = 0;
  script.isAnswerLost = () => {
    lost += 1;
    return lost === 1;
  };
  await answer(idOf(a));
  assert.equal(begun(), [idOf(a)]);
  await kit.advance(1_000);
  await kit.settle();
  assert.equal(begun(), [idOf(a), idOf(b)]);
  await answer(idOf(b));
  assert.equal(
    [a, b].map((run) => store.read(RUNS, idOf(run))?.row.status),
    ['done', 'done'],
  );
  const ends = storedFacts(store).filter(({ type }) => type === 'run.finished');
  assert.is(ends.length, 2);
  assert.is(finishes.length, 0);
});

test('an answer that no row can hold ends its run as failed, with the code', async () => {
  const { store, route, open } = await openSession();
  const { kit, answered } = await open();
  const a = await route('a');
  kit.receive('enqueue', a);
  await kit.settle();
  await answered(idOf(a), { ...answerOf('ok'), promptTokens: Number.NaN });
  const run = store.read('runs', idOf(a))?.row;
  assert.is(run?.status, 'failed');
  assert.is(run?.reason, 'not_encodable');
});

test('an exchange that became durable unheard is in the next request, also when it is read at the second try only', async () => {
  const { store, route, open, script, finish } = await openSession();
  const { kit, answer } = await open();
  const [a, b] = [await route('a'), await route('b')];
  kit.receive('enqueue', a);
  kit.receive('enqueue', b);
  await kit.settle();
  script.finish = async (plan) => {
    script.finish = undefined;
    await finish(plan);
    throw new Error('the answer is lost');
  };
  let failures = 0;
  script.scanFails = ({ table }) => {
    failures += 1;
    return table === 'turns' && failures === 1;
  };
  await answer(idOf(a));
  for (let tries = 0; tries < 5; tries += 1) {
    await kit.advance(1_000);
    await kit.settle();
  }
  assert.ok(failures > 1, 'the turns were read again');
  const begun = kit.effects.flatMap((effect) =>
    effect.type === 'tell' && effect.kind === 'begin'
      ? [effect.payload as { runId: string; turns: readonly unknown[] }]
      : [],
  );
  assert.is(begun.at(-1)?.runId, idOf(b));
  assert.is(begun.at(-1)?.turns.length, 3);
  await answer(idOf(b));
  await kit.settle();
  assert.is(store.scan({ table: 'turns', limit: 10 }).rows.length, 2);
});

test('an exchange that an earlier incarnation ended late, behind what this one read first, is in the next request', async () => {
  const { store, route, open, script, commit, inbox } = await openSession();
  const a = await route('a');
  const stored = inbox(a);
  if (stored === undefined) throw new Error('not open');
  const task = { ...a, runId: idOf(a), revision: stored.revision, row: stored.row };
  const late = planFinish(task, answerOf('ok'), 1_000).changes;
  let isEnded = false;
  script.scanFails = ({ table }) => {
    if (table === 'turns' && !isEnded) queueMicrotask(() => void commit(late));
    isEnded ||= table === 'turns';
    return false;
  };
  const { kit } = await open();
  assert.is(store.read(RUNS, idOf(a))?.row.status, 'done');
  const b = await route('b');
  kit.receive('enqueue', b);
  await kit.settle();
  const turns = kit.effects.flatMap((effect) =>
    effect.type === 'tell' && effect.kind === 'begin'
      ? [(effect.payload as { turns: readonly unknown[] }).turns.length]
      : [],
  );
  assert.equal(turns, [3]);
});

test('the request after one that left turns out is without them, and the dispatcher is told how many', async () => {
  const { route, open } = await openSession();
  const { kit, answer, answered } = await open();
  const runs = [await route('a'), await route('b'), await route('c'), await route('d')];
  for (const run of runs) kit.receive('enqueue', run);
  await kit.settle();
  const [a, b, c] = runs.map(idOf);
  await answer(a ?? '');
  await answer(b ?? '');
  await answered(c ?? '', answerOf('ok', 2));
  const told = kit.effects.flatMap((effect) => (effect.type === 'tell' ? [effect] : []));
  const asked = told.flatMap(({ kind, payload }) =>
    kind === 'begin' ? [(payload as { turns: readonly unknown[] }).turns.length] : [],
  );
  assert.equal(asked, [1, 3, 5, 5]);
  const ended = told.flatMap(({ kind, payload }) =>
    kind === 'ended' ? [(payload as { leftOut?: number }).leftOut ?? 0] : [],
  );
  assert.equal(ended, [0, 0, 2]);
});

test('the dispatcher is told of the calls that failed, and counts them with those that answered', async () => {
  const { route, open } = await openSession();
  const { kit, answer, answered } = await open();
  const runs = [await route('a'), await route('b'), await route('c')];
  for (const run of runs) kit.receive('enqueue', run);
  await kit.settle();
  const [a, b, c] = runs.map(idOf);
  await answer(a ?? '');
  await answered(b ?? '', { ...answerOf('ok'), failedCalls: 2 });
  const result = { type: 'failed', reason: 'model_failed', detail: '', failedCalls: 5 } as const;
  await answered(c ?? '', result);
  const meter = new SessionsMeter();
  for (const effect of kit.effects) {
    if (effect.type === 'tell' && effect.kind === 'ended') {
      meter.countEnd(effect.payload as RunEnded);
    }
  }
  const metrics = meter.toMetrics({ openRuns: 0, children: 0, waiting: 0 });
  assert.equal(metrics.find(({ name }) => name === 'palyra_model_calls_total')?.samples, [
    { labels: { outcome: 'answered' }, value: 2 },
    { labels: { outcome: 'failed' }, value: 7 },
  ]);
});

test('a session reads as many exchanges as its limits allow, page by page, and no more', async () => {
  const { route, open, commit, inbox } = await openSession(false, new SessionMemory(), {
    exchanges: 30,
    bytes: 1_000,
  });
  for (let i = 0; i < 40; i += 1) {
    const run = await route(`m${i}`);
    const stored = inbox(run);
    if (stored === undefined) throw new Error('not open');
    const task = { ...run, runId: idOf(run), revision: stored.revision, row: stored.row };
    await commit(planFinish(task, answerOf('ok'), 1_000).changes);
  }
  const { kit } = await open();
  const last = await route('last');
  kit.receive('enqueue', last);
  await kit.settle();
  const [begun] = kit.effects.flatMap((effect) =>
    effect.type === 'tell' && effect.kind === 'begin'
      ? [(effect.payload as { turns: readonly { text: string }[] }).turns]
      : [],
  );
  assert.is(begun?.length, 61);
  assert.equal([begun?.[0]?.text, begun?.at(-1)?.text], ['m10', 'last']);
});

test('a run that the router lost the answer for is run before the one that came after it', async () => {
  const { route, open } = await openSession();
  const { kit, begun, answer } = await open();
  const [lost, told] = [await route('lost'), await route('told')];
  kit.receive('enqueue', told);
  await kit.settle();
  assert.equal(begun(), [idOf(lost)]);
  await answer(idOf(lost));
  assert.equal(begun(), [idOf(lost), idOf(told)]);
});

test('a run told of after it has ended is not run again', async () => {
  const { route, open } = await openSession();
  const { kit, begun, answer } = await open();
  const a = await route('a');
  kit.receive('enqueue', a);
  await kit.settle();
  await answer(idOf(a));
  kit.receive('enqueue', a);
  await kit.settle();
  assert.equal(begun(), [idOf(a)]);
});

test('a finish without an answer is asked again, and a conflict with its own first end is its end', async () => {
  // A failure writes no turns: its row in the inbox alone tells the second end from the first.
  for (const status of ['done', 'failed']) {
    const { store, route, open, script, finish } = await openSession();
    const { kit, answer, fail } = await open();
    const a = await route('a');
    kit.receive('enqueue', a);
    await kit.settle();
    script.finish = async (plan) => {
      await finish(plan);
      throw new Error('ask_timeout');
    };
    await (status === 'done' ? answer : fail)(idOf(a));
    script.finish = undefined;
    kit.take();
    await kit.advance(1_000);
    await kit.settle();
    const ended = kit
      .take()
      .flatMap((effect) =>
        effect.type === 'tell' && effect.kind === 'ended' ? [effect.payload] : [],
      );
    assert.equal(ended, [{ sessionKey: KEY, envelopeId: a.envelopeId, status }]);
    const finished = store.journal(0, 99).flatMap((entry) => entry.facts);
    assert.is(finished.filter((fact) => fact.type === 'run.finished').length, 1);
  }
});

test('a crash counted while the finish was under way does not make the model answer twice', async () => {
  const { store, route, open, change, inbox } = await openSession();
  const { kit, begun, answer } = await open();
  const a = await route('a');
  kit.receive('enqueue', a);
  await kit.settle();
  await change(a, { ...inbox(a)?.row, v: 1, crashes: 1 });
  await answer(idOf(a));
  assert.is(store.read(RUNS, idOf(a))?.row.status, 'done');
  assert.is(store.read(RUNS, idOf(a))?.row.crashes, 1);
  assert.is(begun().length, 1);
});

test('a run that an earlier life left counts an attempt before it is tried again', async () => {
  const { store, route, open, inbox } = await openSession(true);
  const a = await route('a');
  const b = await route('b');
  const { begun, answer } = await open();
  assert.is(inbox(a)?.row.attempts, 1);
  await answer(idOf(a));
  assert.equal(begun(), [idOf(a), idOf(b)]);
  assert.is(inbox(b)?.row.attempts, 0);
  assert.is(inbox(a), undefined);
  assert.is(store.read(RUNS, idOf(a))?.row.status, 'done');
  assert.is(store.read(RUNS, idOf(a))?.row.attempts, 1);
});

test('a run whose event cannot be read fails instead of stopping its session', async () => {
  const { store, route, open, change } = await openSession();
  const a = await route('a');
  await change(a, { v: 99 });
  await open();
  assert.is(store.read(RUNS, idOf(a))?.row.status, 'failed');
  assert.is(store.read(RUNS, idOf(a))?.row.reason, 'event_unreadable');
  assert.is(store.scan({ table: 'inbox', limit: 5 }).rows.length, 0);
});

test.run();
