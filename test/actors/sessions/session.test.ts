/** One session's table by hand: order, gaps, conflicts and retries. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FinishReply, FinishRequest } from '../../../actors/outbox/protocol.ts';
import { planAdmission } from '../../../actors/router/admission.ts';
import { decide } from '../../../actors/router/decide.ts';
import type { RoutedRun } from '../../../actors/sessions/protocol.ts';
import { MAX_ATTEMPTS, RUNS, type RunRow } from '../../../actors/sessions/rows.ts';
import { sessionActor } from '../../../actors/sessions/session-actor.ts';
import { createEnvelopeId, createUlids } from '../../../proto/ids.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ChangeSet, ScanQuery } from '../../../runtime/store/store.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';
import { OPEN_RULES, request } from './story-fakes.ts';

const test = suite('actors/sessions/session');

const KEY = 'channel:echo:default:conversation:one';

async function openSession(mayBeCut = false) {
  const store = createMemoryStore();
  const nextUlid = createUlids({
    wallMs: () => 1_800_000_000_000,
    randomBytes: (n) => new Uint8Array(n),
  });
  const finishes: FinishRequest[] = [];
  const script: {
    finish: ((plan: FinishRequest) => FinishReply | Promise<FinishReply>) | undefined;
    scanFails: ((query: ScanQuery) => boolean) | undefined;
  } = {
    finish: undefined,
    scanFails: undefined,
  };
  const commit = async (changes: ChangeSet) => {
    const [outcome] = await store.commit([changes], 0);
    if (outcome === undefined) throw new Error('no outcome');
    return outcome;
  };
  const finish = async (plan: FinishRequest): Promise<FinishReply> => {
    const outcome = await commit(plan.changes);
    if (outcome.ok) return { type: 'finished', deliveryIds: [] };
    return { type: 'conflict', table: outcome.table, key: outcome.key };
  };
  const reads: string[] = [];
  const options = {
    answer: async (_to: string, kind: string, payload: unknown) => {
      if (kind === 'finish') {
        finishes.push(payload as FinishRequest);
        return (script.finish ?? finish)(payload as FinishRequest);
      }
      if (kind === 'commit') return commit((payload as { changes: ChangeSet }).changes);
      if (kind === 'scan') {
        const query = payload as ScanQuery;
        if (script.scanFails?.(query) === true) throw new Error('the ledger is starting again');
        return store.scan(query);
      }
      const { table, key } = payload as { table: string; key: string };
      reads.push(table);
      const stored = store.read(table, key);
      return stored === undefined ? [] : [stored];
    },
  };
  const args = {
    sessionKey: KEY,
    ledger: { address: 'test/ledger' },
    outbox: { address: 'test/outbox' },
    sessions: { address: 'test/sessions' },
    run: { module: 'test', export: 'run' },
    mayBeCut,
  };
  let newest = '';
  /** A durable run, as the router would tell of it. */
  const route = async (nativeId: string): Promise<RoutedRun> => {
    const admitted = request('one', nativeId);
    const envelopeId = createEnvelopeId(nextUlid);
    const decision = decide(OPEN_RULES, admitted.offer);
    const plan = planAdmission(admitted, decision, { envelopeId, after: newest });
    newest = envelopeId;
    const outcome = await commit(plan.changes);
    if (!outcome.ok || plan.run === undefined) throw new Error('not routed');
    return { ...plan.run, revision: outcome.revision };
  };
  const open = async () => {
    const kit = await createBehaviorKit(sessionActor, args, undefined, options);
    kit.receive('next', null);
    await kit.settle();
    kit.take();
    const begun = () =>
      kit.effects.flatMap((effect) =>
        effect.type === 'tell' && effect.kind === 'begin'
          ? [(effect.payload as { runId: string }).runId]
          : [],
      );
    const answer = async (runId: string) => {
      const result = { type: 'answered', text: 'ok', promptTokens: 0, completionTokens: 0 };
      kit.receive('answered', { runId, result });
      await kit.settle();
    };
    return { kit, begun, answer };
  };
  return { store, route, open, finishes, script, finish, commit, reads };
}

test('a fresh run begins at once, without reading what the router just said', async () => {
  const { route, open, reads } = await openSession();
  const { kit, begun } = await open();
  const first = await route('a');
  kit.receive('enqueue', first);
  kit.receive('enqueue', first);
  await kit.settle();
  assert.equal(begun(), [first.runId]);
  assert.equal(reads, []);
});

test('the next run begins only after the end of the one before is durable', async () => {
  const { route, open, script, finishes } = await openSession();
  const { kit, begun, answer } = await open();
  const [a, b] = [await route('a'), await route('b')];
  kit.receive('enqueue', a);
  kit.receive('enqueue', b);
  await kit.settle();
  script.finish = () => ({ type: 'busy', retryAfterMs: 500 });
  await answer(a.runId);
  await kit.settle();
  assert.equal(begun(), [a.runId]);
  script.finish = undefined;
  await kit.advance(1_000);
  await kit.settle();
  assert.equal(begun(), [a.runId, b.runId]);
  assert.is(finishes.length, 2);
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
  await answer(a.runId);
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
  assert.is(begun.at(-1)?.runId, b.runId);
  assert.is(begun.at(-1)?.turns.length, 3);
  await answer(b.runId);
  await kit.settle();
  assert.is(store.scan({ table: 'turns', limit: 10 }).rows.length, 2);
});

test('a run that the router lost the answer for is run before the one that came after it', async () => {
  const { route, open } = await openSession();
  const { kit, begun, answer } = await open();
  const [lost, told] = [await route('lost'), await route('told')];
  kit.receive('enqueue', told);
  await kit.settle();
  assert.equal(begun(), [lost.runId]);
  await answer(lost.runId);
  assert.equal(begun(), [lost.runId, told.runId]);
});

test('a run told of after it has ended is not run again', async () => {
  const { route, open } = await openSession();
  const { kit, begun, answer } = await open();
  const a = await route('a');
  kit.receive('enqueue', a);
  await kit.settle();
  await answer(a.runId);
  kit.receive('enqueue', a);
  await kit.settle();
  assert.equal(begun(), [a.runId]);
});

test('a finish without an answer is asked again, and a conflict with its own first end is its end', async () => {
  const { store, route, open, script, finish } = await openSession();
  const { kit, answer } = await open();
  const a = await route('a');
  kit.receive('enqueue', a);
  await kit.settle();
  script.finish = async (plan) => {
    await finish(plan);
    throw new Error('ask_timeout');
  };
  await answer(a.runId);
  script.finish = undefined;
  kit.take();
  await kit.advance(1_000);
  await kit.settle();
  const ended = kit.take().filter((effect) => effect.type === 'tell' && effect.kind === 'ended');
  assert.is(ended.length, 1);
  const finished = store.journal(0, 99).flatMap((entry) => entry.facts);
  assert.is(finished.filter((fact) => fact.type === 'run.finished').length, 1);
});

test('a crash counted while the finish was under way does not make the model answer twice', async () => {
  const { store, route, open, commit } = await openSession();
  const { kit, begun, answer } = await open();
  const a = await route('a');
  kit.receive('enqueue', a);
  await kit.settle();
  const stored = store.read(RUNS, a.runId);
  const row = { ...(stored?.row as RunRow), crashes: 1 };
  await commit({ expect: [], put: [{ table: RUNS, key: a.runId, row }], remove: [], facts: [] });
  await answer(a.runId);
  assert.is(store.read(RUNS, a.runId)?.row.status, 'done');
  assert.is(begun().length, 1);
});

test('a run that an earlier life left counts an attempt before it is tried again', async () => {
  const { store, route, open } = await openSession(true);
  const a = await route('a');
  const b = await route('b');
  const { kit, begun, answer } = await open();
  kit.take();
  assert.is(store.read(RUNS, a.runId)?.row.attempts, 1);
  await answer(a.runId);
  assert.equal(begun(), [b.runId]);
  assert.is(store.read(RUNS, b.runId)?.row.attempts, 0);
  assert.is(store.read(RUNS, a.runId)?.row.status, 'done');
});

test('a run that was cut again and again is given up, whoever cut it', async () => {
  const { store, route, open, commit } = await openSession(true);
  const a = await route('a');
  const row = { ...(store.read(RUNS, a.runId)?.row as RunRow), attempts: MAX_ATTEMPTS - 1 };
  await commit({ expect: [], put: [{ table: RUNS, key: a.runId, row }], remove: [], facts: [] });
  const { begun } = await open();
  assert.equal(begun(), []);
  assert.is(store.read(RUNS, a.runId)?.row.status, 'quarantined');
  assert.is(store.read(RUNS, a.runId)?.row.reason, 'cut_too_often');
});

test('a run whose event cannot be read fails instead of stopping its session', async () => {
  const { store, route, open, commit } = await openSession();
  const a = await route('a');
  const put = [{ table: 'inbox', key: a.envelopeId, row: { v: 99 } }];
  await commit({ expect: [], put, remove: [], facts: [] });
  await open();
  assert.is(store.read(RUNS, a.runId)?.row.status, 'failed');
  assert.is(store.read(RUNS, a.runId)?.row.reason, 'event_unreadable');
  assert.is(store.scan({ table: 'inbox', limit: 5 }).rows.length, 0);
});

test.run();
