/** The runs of one session, one after the other: calls the model for a message until it answers or fails for good, and tells the session. */
import type { Model, ModelOutcome, ModelTurn } from '../../connectors/models/model.ts';
import { assertNever } from '../../proto/errors.ts';
import { defineActor, type Self, type Settled } from '../../runtime/actor.ts';
import { isThenable } from '../../runtime/deferred.ts';
import { codeOf } from '../../runtime/errors.ts';
import { decideNext, shortened } from './decide.ts';
import type { RunAnswer, RunArgs, RunProtocol, RunTask } from './protocol.ts';

export interface RunDeps {
  /** One model a thread, itself where it is open already. Rejects when its credential or its library is not there. */
  openModel(): Model | Promise<Model>;
}

/** One call of the model. What comes of one that is not under way any more is nobody's. */
interface Call {
  readonly runId: string;
  /** From 1. */
  readonly number: number;
}

interface CallEnd<T> {
  readonly runId: string;
  readonly call: Call;
  readonly outcome: Settled<T>;
}

interface Own {
  call(call: Call): void;
  opened(end: CallEnd<Model>): void;
  called(end: CallEnd<ModelOutcome>): void;
  expired(call: Call): void;
  report(answer: RunAnswer): void;
}

interface RunState {
  readonly args: RunArgs;
  readonly deps: RunDeps;
  /** Until its answer is reported. */
  task: RunTask | undefined;
  /** The task's turns, without those that the model has no room for. */
  turns: readonly ModelTurn[];
  /** Calls for which the turns were too many. */
  tooLong: number;
  /** The call under way. */
  call: Call | undefined;
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
    call: undefined,
    abort: undefined,
  }),
  subject: (_kind, payload) => (payload as { readonly runId: string }).runId,
  receive: {
    begin(state, task, self) {
      if (state.task?.runId === task.runId) return;
      if (state.task !== undefined) giveUp(state, self);
      state.task = task;
      state.turns = task.turns;
      state.tooLong = 0;
      openModel(state, task, 1, self);
    },
    call(state, { number }, self) {
      if (state.task !== undefined) openModel(state, state.task, number, self);
    },
    opened(state, { call, outcome }, self) {
      if (call !== state.call || state.task === undefined) return;
      if (outcome.ok) callModel(state, state.task, call, outcome.value, self);
      else settle(state, { type: 'transient', reason: codeOf(outcome.error) }, self);
    },
    called(state, { call, outcome }, self) {
      if (call !== state.call) return;
      const found: ModelOutcome = outcome.ok
        ? outcome.value
        : { type: 'transient', reason: codeOf(outcome.error) };
      settle(state, found, self);
    },
    expired(state, call, self) {
      if (call !== state.call) return;
      state.abort?.();
      settle(state, { type: 'transient', reason: 'deadline_exceeded' }, self);
    },
    report,
  },
});

function openModel(state: RunState, task: RunTask, number: number, self: RunSelf): void {
  const { runId } = task;
  const call: Call = { runId, number };
  state.call = call;
  self.after('deadline', MODEL_DEADLINE_MS, 'expired', call);
  const model = state.deps.openModel();
  if (!isThenable(model)) {
    callModel(state, task, call, model, self);
    return;
  }
  self.run(
    () => model,
    'opened',
    (outcome) => ({ runId, call, outcome }),
  );
}

/** Called straight from a message's handler, so that the flight recorder names this run where the model kills its thread. */
function callModel(
  state: RunState,
  { runId, trace }: RunTask,
  call: Call,
  model: Model,
  self: RunSelf,
): void {
  const { turns } = state;
  self.trace = trace;
  state.abort = self.run(
    (options) => model.answer({ runId, turns }, options),
    'called',
    (outcome) => ({ runId, call, outcome }),
  );
}

function settle(state: RunState, outcome: ModelOutcome, self: RunSelf): void {
  const { task, call, turns } = state;
  if (task === undefined || call === undefined) return;
  const { runId, number } = call;
  self.cancel('deadline');
  state.call = undefined;
  state.abort = undefined;
  const calls = number - state.tooLong;
  const leftOut = task.turns.length - turns.length;
  const next = decideNext(outcome, { calls, turns, leftOut }, self.random());
  switch (next.type) {
    case 'retry':
      self.after('call', next.delayMs, 'call', { runId, number: number + 1 });
      return;
    case 'shorten':
      state.tooLong += 1;
      state.turns = shortened(turns);
      openModel(state, task, number + 1, self);
      return;
    case 'end':
      report(state, { runId, result: next.result }, self);
      return;
    default:
      assertNever(next);
  }
}

function giveUp(state: RunState, self: RunSelf): void {
  state.abort?.();
  state.abort = undefined;
  for (const timer of ['deadline', 'call', 'report']) self.cancel(timer);
}

/** The run's end: its owner has the answer, and may begin the next one. */
function report(state: RunState, answer: RunAnswer, self: RunSelf): void {
  if (state.task?.runId !== answer.runId) return;
  if (self.tell(state.args.owner, 'answered', answer)) {
    state.task = undefined;
    state.turns = [];
  } else self.after('report', REPORT_AGAIN_MS, 'report', answer);
}
