/** One run: how it calls the model, gives up, and reports. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runActor } from '../../../actors/runs/actor.ts';
import { decideNext, MAX_CALLS } from '../../../actors/runs/decide.ts';
import type { RunAnswer } from '../../../actors/runs/protocol.ts';
import type { Model, ModelOutcome } from '../../../connectors/models/model.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';
import { until } from '../../support/within.ts';

const test = suite('actors/runs');

const TASK = { runId: '0'.repeat(26), turns: [{ role: 'user' as const, text: 'hi' }], trace: 't' };

async function openRun(answer: Model['answer'], takes?: () => boolean) {
  let calls = 0;
  const model: Model = {
    answer: (request, options) => {
      calls += 1;
      return answer(request, options);
    },
  };
  const kit = await createBehaviorKit(
    runActor,
    { owner: { address: 'test/session' } },
    { openModel: async () => model },
    takes === undefined ? {} : { takes },
  );
  const told = () => kit.take().flatMap((effect) => (effect.type === 'tell' ? [effect] : []));
  return { kit, told, calls: () => calls };
}

const answered: ModelOutcome = {
  type: 'answer',
  text: 'ho',
  promptTokens: 1,
  completionTokens: 2,
};

test('an answer is reported once, with its tokens', async () => {
  const { kit, told, calls } = await openRun(async () => answered);
  kit.receive('begin', TASK);
  kit.receive('begin', TASK);
  await kit.settle();
  assert.is(calls(), 1);
  assert.equal(
    told().map((effect) => effect.payload),
    [
      {
        runId: TASK.runId,
        result: { type: 'answered', text: 'ho', promptTokens: 1, completionTokens: 2, leftOut: 0 },
      },
    ],
  );
});

test('one run after the other is made, and what comes of a call that an earlier one gave up is not its answer', async () => {
  const answers: ((outcome: ModelOutcome) => void)[] = [];
  const { kit, told } = await openRun(() => new Promise((resolve) => answers.push(resolve)));
  kit.receive('begin', TASK);
  await until('the model is asked', () => answers.length === 1);
  await kit.advance(125_000);
  await until('the model is asked a second time', () => answers.length === 2);
  answers[1]?.(answered);
  await until('the first is reported', () => told().length === 1);
  kit.receive('begin', { ...TASK, runId: '1'.repeat(26) });
  await until('the model is asked again', () => answers.length === 3);
  answers[0]?.({ ...answered, text: 'late' });
  answers[2]?.({ ...answered, text: 'own' });
  await kit.settle();
  assert.equal(
    told().map(({ payload }) => payload),
    [
      {
        runId: '1'.repeat(26),
        result: { type: 'answered', text: 'own', promptTokens: 1, completionTokens: 2, leftOut: 0 },
      },
    ],
  );
});

test('a run that begins while another one is under way takes its place', async () => {
  const calls: { readonly signal: AbortSignal; answer(outcome: ModelOutcome): void }[] = [];
  const { kit, told } = await openRun(
    (_request, { signal }) => new Promise((answer) => calls.push({ signal, answer })),
  );
  kit.receive('begin', TASK);
  await until('the model is asked', () => calls.length === 1);
  kit.receive('begin', { ...TASK, runId: '1'.repeat(26) });
  await until('the model is asked for the second', () => calls.length === 2);
  assert.ok(calls[0]?.signal.aborted);
  assert.not.ok(calls[1]?.signal.aborted);
  calls[0]?.answer({ ...answered, text: 'late' });
  calls[1]?.answer({ ...answered, text: 'own' });
  await kit.settle();
  assert.equal(
    told().map(({ payload }) => payload),
    [
      {
        runId: '1'.repeat(26),
        result: { type: 'answered', text: 'own', promptTokens: 1, completionTokens: 2, leftOut: 0 },
      },
    ],
  );
});

test('a model that is open is called by the very message that begins the run', async () => {
  let calls = 0;
  const model: Model = {
    answer: async () => {
      calls += 1;
      return answered;
    },
  };
  const owner = { address: 'test/session' };
  const kit = await createBehaviorKit(runActor, { owner }, { openModel: () => model });
  kit.receive('begin', TASK);
  assert.is(calls, 1);
});

test('a model that fails for a while is called again, five times at most', async () => {
  const { kit, told, calls } = await openRun(async () => {
    throw Object.assign(new Error('secret in a message'), { code: 'ECONNRESET' });
  });
  kit.receive('begin', TASK);
  for (let i = 0; i < 10; i += 1) {
    await kit.settle();
    await kit.advance(60_000);
  }
  assert.is(calls(), MAX_CALLS);
  const [report] = told();
  assert.equal(report?.payload, {
    runId: TASK.runId,
    result: {
      type: 'failed',
      reason: 'model_failed',
      detail: 'ECONNRESET',
      failedCalls: MAX_CALLS,
    },
  });
});

test('a permanent failure is not tried again', async () => {
  const { kit, told, calls } = await openRun(async () => ({
    type: 'permanent',
    reason: 'http_401',
  }));
  kit.receive('begin', TASK);
  await kit.settle();
  assert.is(calls(), 1);
  assert.is(told().length, 1);
});

test('a request that is too long is made again at once without its older half, down to the bare message', async () => {
  const said: string[] = [];
  const { kit, told } = await openRun(async ({ turns }) => {
    said.push(turns.map(({ text }) => text).join(' '));
    return turns.length > 4 ? { type: 'context_too_long', reason: 'http_400' } : answered;
  });
  const turns = Array.from({ length: 10 }, (_, i) => [
    { role: 'user' as const, text: `q${i}` },
    { role: 'assistant' as const, text: `a${i}` },
  ]).flat();
  kit.receive('begin', { ...TASK, turns: [...turns, ...TASK.turns] });
  await kit.settle();
  assert.equal(
    said.map((text) => text.split(' ').length),
    [21, 11, 5, 3],
  );
  assert.is(said.at(-1), 'q9 a9 hi');
  assert.equal(
    told().map(({ payload }) => (payload as { result: { leftOut: number } }).result.leftOut),
    [18],
  );
});

test('a bare message that is too long ends the run, with a code that says so', async () => {
  const { kit, told, calls } = await openRun(async () => ({
    type: 'context_too_long',
    reason: 'http_413',
  }));
  const earlier = { role: 'assistant' as const, text: 'welcome' };
  kit.receive('begin', { ...TASK, turns: [earlier, ...TASK.turns] });
  await kit.settle();
  assert.is(calls(), 2);
  assert.equal(told()[0]?.payload, {
    runId: TASK.runId,
    result: { type: 'failed', reason: 'context_too_long', detail: 'http_413', failedCalls: 1 },
  });
});

test('a call for which the turns were too many is none of the five', async () => {
  const { kit, told, calls } = await openRun(async ({ turns }) =>
    turns.length > 1
      ? { type: 'context_too_long', reason: 'http_400' }
      : { type: 'transient', reason: 'http_503' },
  );
  const earlier = { role: 'user' as const, text: 'before' };
  kit.receive('begin', { ...TASK, turns: [earlier, ...TASK.turns] });
  for (let i = 0; i < 10; i += 1) {
    await kit.settle();
    await kit.advance(60_000);
  }
  assert.is(calls(), 1 + MAX_CALLS);
  assert.is(told().length, 1);
  kit.receive('begin', { ...TASK, runId: '1'.repeat(26) });
  for (let i = 0; i < 10; i += 1) {
    await kit.settle();
    await kit.advance(60_000);
  }
  assert.is(calls(), 1 + MAX_CALLS + MAX_CALLS);
  assert.is(told().length, 1);
});

test('a call that never answers is given up at its deadline, aborted, and tried again', async () => {
  const signals: AbortSignal[] = [];
  const { kit, calls } = await openRun((_request, { signal }) => {
    signals.push(signal);
    return new Promise(() => undefined);
  });
  kit.receive('begin', TASK);
  await Promise.resolve();
  await kit.advance(119_000);
  assert.is(signals[0]?.aborted, false);
  await kit.advance(2_000);
  assert.is(signals[0]?.aborted, true);
  assert.is(calls(), 2);
});

test('a session that refuses the report is told again', async () => {
  let takes = false;
  const { kit, told } = await openRun(
    async () => answered,
    () => takes,
  );
  kit.receive('begin', TASK);
  await kit.settle();
  takes = true;
  told();
  await kit.advance(1_000);
  assert.is(told().length, 1);
});

test('waits between calls have full jitter, grow to a minute, and keep to what the model asked for', () => {
  const delayOf = (calls: number, random: number, retryAfterMs?: number) => {
    const asked = retryAfterMs === undefined ? {} : { retryAfterMs };
    const progress = { calls, turns: TASK.turns, leftOut: 0 };
    const next = decideNext({ type: 'transient', reason: 'x', ...asked }, progress, random);
    return next.type === 'retry' ? next.delayMs : -1;
  };
  assert.is(delayOf(1, 0.5), 500);
  assert.is(delayOf(3, 1), 4_000);
  assert.is(delayOf(1, 0.5, 30_000), 30_000);
  assert.is(delayOf(1, 0.5, 86_400_000), 300_000);
  assert.is(delayOf(MAX_CALLS, 0.5), -1);
});

test('an answer says how many calls before it failed, those with too many turns left out', async () => {
  const outcomes: ModelOutcome[] = [
    { type: 'transient', reason: 'x' },
    { type: 'context_too_long', reason: 'y' },
    { type: 'transient', reason: 'x' },
    answered,
  ];
  const { kit, told } = await openRun(async () => outcomes.shift() ?? answered);
  const turns = ['a', 'b', 'c'].map((text) => ({ role: 'user', text }) as const);
  kit.receive('begin', { ...TASK, turns });
  for (let i = 0; i < 4; i += 1) {
    await kit.settle();
    await kit.advance(60_000);
  }
  const failed = told().map(({ payload }) => (payload as RunAnswer).result.failedCalls);
  assert.equal(failed, [2]);
});

test.run();
