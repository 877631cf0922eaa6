/** A run: calls the model for one message until it answers or fails for good, tells its session, and ends. */
import type { Model, ModelOutcome, ModelTurn } from '../../connectors/models/model.ts';
import { assertNever } from '../../proto/errors.ts';
import { defineActor, type Self, type Settled } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import { decideNext, shortened } from './decide.ts';
import type { RunAnswer, RunArgs, RunProtocol, RunTask } from './protocol.ts';

export interface RunDeps {
  /** One model a thread. Rejects when its credential or its library is not there. */
  openModel(): Promise<Model>;
}

/** `call` counts from 1: the outcome of a call that was given up is nobody's. */
interface Call {
  readonly runId: string;
  readonly call: number;
}

interface Own {
  call(call: Call): void;
  opened(call: Call & { readonly outcome: Settled<Model> }): void;
  called(call: Call & { readonly outcome: Settled<ModelOutcome> }): void;
  expired(call: Call): void;
  report(answer: RunAnswer): void;
}

interface RunState {
  readonly args: RunArgs;
  readonly deps: RunDeps;
  task: RunTask | undefined;
  /** The task's turns, without those that the model has no room for. */
  turns: readonly ModelTurn[];
  /** Calls for which the turns were too many. */
  tooLong: number;
  /** The call under way; 0 = none. */
  call: number;
  abort: (() => void) | undefined;
}

type RunSelf = Self<RunProtocol & Own>;

export const MODEL_DEADLINE_MS = 120_000;
const REPORT_AGAIN_MS = 100;

export const runActor = defineActor<RunProtocol, Own, RunArgs, RunState, RunDeps>({
  module: import.meta.url,
  export: 'runActor',
  name: 'run',
  mailbox: { limitMessages: 8, overflow: 'reject' },
  start: (_self, args, deps) => ({
    args,
    deps,
    task: undefined,
    turns: [],
    tooLong: 0,
    call: 0,
    abort: undefined,
  }),
  subject: (_kind, payload) => (payload as { readonly runId: string }).runId,
  receive: {
    begin(state, task, self) {
      if (state.task !== undefined) return;
      state.task = task;
      state.turns = task.turns;
      openModel(state, task, 1, self);
    },
    call(state, { call }, self) {
      if (state.task !== undefined) openModel(state, state.task, call, self);
    },
    opened(state, { call, outcome }, self) {
      if (call !== state.call || state.task === undefined) return;
      if (outcome.ok) callModel(state, state.task, outcome.value, self);
      else settle(state, { type: 'transient', reason: codeOf(outcome.error) }, self);
    },
    called(state, { call, outcome }, self) {
      if (call !== state.call) return;
      const found: ModelOutcome = outcome.ok
        ? outcome.value
        : { type: 'transient', reason: codeOf(outcome.error) };
      settle(state, found, self);
    },
    expired(state, { call }, self) {
      if (call !== state.call) return;
      state.abort?.();
      settle(state, { type: 'transient', reason: 'deadline_exceeded' }, self);
    },
    report,
  },
});

function openModel(state: RunState, { runId }: RunTask, call: number, self: RunSelf): void {
  state.call = call;
  self.after('deadline', MODEL_DEADLINE_MS, 'expired', { runId, call });
  self.run(
    () => state.deps.openModel(),
    'opened',
    (outcome) => ({ runId, call, outcome }),
  );
}

/** Called straight from a message's handler, so that the flight recorder names this run where the model kills its thread. */
function callModel(state: RunState, task: RunTask, model: Model, self: RunSelf): void {
  const { runId, trace } = task;
  const { call, turns } = state;
  self.trace = trace;
  state.abort = self.run(
    (options) => model.answer({ runId, turns }, options),
    'called',
    (outcome) => ({ runId, call, outcome }),
  );
}

function settle(state: RunState, outcome: ModelOutcome, self: RunSelf): void {
  const { task, call, turns } = state;
  if (task === undefined) return;
  const { runId } = task;
  self.cancel('deadline');
  state.call = 0;
  state.abort = undefined;
  const calls = call - state.tooLong;
  const leftOut = task.turns.length - turns.length;
  const next = decideNext(outcome, { calls, turns, leftOut }, self.random());
  switch (next.type) {
    case 'retry':
      self.after('call', next.delayMs, 'call', { runId, call: call + 1 });
      return;
    case 'shorten':
      state.tooLong += 1;
      state.turns = shortened(turns);
      openModel(state, task, call + 1, self);
      return;
    case 'end':
      report(state, { runId, result: next.result }, self);
      return;
    default:
      assertNever(next);
  }
}

/** Its end: once its owner has the answer, nobody needs it. */
function report(state: RunState, answer: RunAnswer, self: RunSelf): void {
  if (self.tell(state.args.owner, 'answered', answer)) self.stop();
  else self.after('report', REPORT_AGAIN_MS, 'report', answer);
}
