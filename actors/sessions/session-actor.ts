/** One conversation: runs its messages strictly one by one and has each end made durable before the next begins. */
import { type ActorRef, defineActor } from '../../runtime/actor.ts';
import { codeOf, messageOf } from '../../runtime/errors.ts';
import { type EncodedChangeSet, encodeChangeSet } from '../../runtime/store/encoding.ts';
import type { InboxRow } from '../router/rows.ts';
import type { RunArgs, RunProtocol } from '../runs/protocol.ts';
import { givenUpFor, waitAfterProcessEndMs } from './cuts.ts';
import { planFinish, type RunOutcome, toEnded } from './finish.ts';
import type { RunEnded, SessionProtocol } from './protocol.ts';
import { LEDGER_DEADLINE, readEndedRun, readOpenRun, readOpenRuns, readTurns } from './reading.ts';
import { cutRunChanges } from './rows.ts';
import {
  createSession,
  type HeadCut,
  headOf,
  isHeadTaken,
  type Refreshed,
  type SessionArgs,
  type SessionDeps,
  type SessionOwn,
  type SessionSelf,
  type SessionState,
  subjectOf,
  waitingOf,
} from './session-state.ts';
import { type Task, toTask } from './task.ts';

/** A session holds at most 1,000 open runs; the router refuses more. */
const MAX_OPEN = 1_024;
const AGAIN_MIN_MS = 100;
const AGAIN_MAX_MS = 10_000;
const RUN_SHUTDOWN_MS = 1_000;
/** Whether it was written its rows know, at the next try. */
const UNANSWERED = { ok: false, code: 'busy', retryAfterMs: 0 } as const;

export const sessionActor = defineActor<
  SessionProtocol,
  SessionOwn,
  SessionArgs,
  SessionState,
  SessionDeps
>({
  module: import.meta.url,
  export: 'sessionActor',
  name: 'session',
  mailbox: { limitMessages: MAX_OPEN + 64, overflow: 'reject' },
  start(self, args, deps) {
    self.tell(self.ref, 'next', null);
    return createSession(args, deps);
  },
  subject: subjectOf,
  receive: {
    enqueue(state, routed, self) {
      const { envelopeId } = routed;
      const run = waitingOf(state, envelopeId);
      // Told late, it may have ended meanwhile: then its row says so.
      if (envelopeId > state.lastEnded) run.row = routed.row;
      if (routed.after > state.newest) state.hasGap = true;
      if (envelopeId > state.newest) state.newest = envelopeId;
      state.queue.add(run, isHeadTaken(state));
      takeNext(state, self);
    },
    refresh(state, _nothing, self) {
      state.hasGap = true;
      takeNext(state, self);
    },
    turnsChanged(state) {
      state.history.forget(
        state.phase === 'loading' || (state.phase === 'refreshing' && state.isNew),
      );
    },
    refreshed(state, outcome, self) {
      if (state.phase !== 'refreshing') return;
      if (!outcome.ok) {
        state.hasGap = true;
        again(state, self);
        return;
      }
      state.phase = 'idle';
      state.failures = 0;
      takeFound(state, outcome.value, self.incarnation > 1);
      sayGivenBack(state, self);
      takeNext(state, self);
    },
    next: (state, _nothing, self) => takeNext(state, self),
    loaded(state, { runId, outcome }, self) {
      const head = headOf(state, 'loading', runId);
      if (head === undefined) return;
      if (!outcome.ok) {
        again(state, self);
        return;
      }
      const { inbox, status, turns } = outcome.value;
      if (turns !== undefined) state.history.set(turns);
      sayGivenBack(state, self);
      state.failures = 0;
      if (inbox === undefined) {
        complete(state, status ?? 'failed', self);
        return;
      }
      const task = toTask(head, inbox);
      state.queue.setHead(task);
      begin(state, task, self);
    },
    count(state, { runId }, self) {
      const task = headOf(state, 'counting', runId)?.task;
      if (task?.row === undefined || state.cut === undefined) return;
      count(state, { ...task, row: task.row }, state.cut, self);
    },
    counted(state, { about: { runId, row }, outcome }, self) {
      const head = headOf(state, 'counting', runId);
      if (head?.task === undefined) return;
      if (!outcome.ok || !outcome.value.ok) {
        // Written or not, the row knows.
        state.queue.setHead(undefined);
        again(state, self);
        return;
      }
      state.cut = undefined;
      state.failures = 0;
      const task = { ...head.task, revision: outcome.value.revision, row };
      state.queue.setHead(task);
      begin(state, task, self);
    },
    answered(state, { runId, result }, self) {
      const head = headOf(state, 'running', runId);
      if (head?.task === undefined) return;
      finish(state, head.task, result, self);
    },
    runLost(state, { runId }, self) {
      const head = headOf(state, 'running', runId);
      if (head === undefined) return;
      const { envelopeId } = head;
      state.cut = { envelopeId, countedAs: 0, attempt: true, blamed: true, processEnd: false };
      state.phase = 'idle';
      takeNext(state, self);
    },
    finish(state, { runId }, self) {
      const head = headOf(state, 'finishing', runId);
      if (head?.task !== undefined) begin(state, head.task, self);
    },
    finished(state, { about: { runId, status, turns, leftOut }, outcome }, self) {
      if (headOf(state, 'finishing', runId) === undefined) return;
      const reply = outcome.ok ? outcome.value : UNANSWERED;
      if (reply.ok) {
        state.history.leaveOut(leftOut);
        state.history.append(turns);
        sayGivenBack(state, self);
        complete(state, status, self);
      } else if (reply.code === 'conflict') {
        // Another end was first, or a crash was counted meanwhile: the rows know which.
        load(state, self);
      } else {
        const waitMs = Math.max(reply.retryAfterMs, backoffMs(state, self));
        self.after('finish', waitMs, 'finish', { runId });
      }
    },
    sayEnded: (state, _nothing, self) => sayEnded(state, self),
  },
  supervise: () => ({ strategy: 'one_for_one', intensity: 1, periodMs: 1_000 }),
  /** A run that ended without an answer was cut by its own crash. */
  childEnded(state, { cause }, self) {
    const { head } = state.queue;
    state.run = undefined;
    if (cause.kind === 'stopped' || head === undefined || state.phase !== 'running') return;
    self.after('run-lost', 0, 'runLost', { runId: head.runId });
  },
  stop(state) {
    state.history.close();
    state.queue.close();
  },
});

function takeNext(state: SessionState, self: SessionSelf): void {
  if (state.phase !== 'idle') return;
  if (state.hasGap) {
    refresh(state, self);
    return;
  }
  const task = state.queue.openHead();
  if (task === undefined) load(state, self);
  else begin(state, task, self);
}

function refresh(state: SessionState, self: SessionSelf): void {
  const { ledger, sessionKey } = state.args;
  const { isNew, limits } = state;
  state.phase = 'refreshing';
  state.hasGap = false;
  self.run(
    async () => {
      const [open, turns] = await Promise.all([
        readOpenRuns(self, ledger, sessionKey),
        isNew ? readTurns(self, ledger, sessionKey, limits) : undefined,
      ]);
      return { open, turns };
    },
    'refreshed',
    (outcome) => outcome,
  );
}

function takeFound(state: SessionState, found: Refreshed, isRestarted: boolean): void {
  for (const { envelopeId } of found.open) {
    if (envelopeId > state.newest) state.newest = envelopeId;
    state.queue.add(waitingOf(state, envelopeId), false);
  }
  if (!state.isNew) return;
  state.isNew = false;
  state.history.set(found.turns ?? []);
  const first = found.open[0]?.envelopeId;
  // Runs go one by one: of those that an earlier life left, only the first can have begun.
  const processEnd = first === state.args.cutRun;
  if (first === undefined || !(processEnd || isRestarted)) return;
  state.cut = { envelopeId: first, countedAs: 0, attempt: true, blamed: false, processEnd };
}

/** Reads the head's rows; behind them the turns, where they are not known or it has ended by an end that was not heard of here. */
function load(state: SessionState, self: SessionSelf): void {
  const { head } = state.queue;
  if (head === undefined) return;
  const { runId } = head;
  const { ledger, sessionKey } = state.args;
  const { limits } = state;
  const { isKnown } = state.history;
  state.phase = 'loading';
  state.queue.setHead(undefined);
  self.run(
    async () => {
      const [inbox, ended] = await Promise.all([
        readOpenRun(self, ledger, head),
        readEndedRun(self, ledger, runId),
      ]);
      const isWhole = isKnown && inbox !== undefined;
      const turns = isWhole ? undefined : await readTurns(self, ledger, sessionKey, limits);
      return { inbox, status: ended?.row.status, turns };
    },
    'loaded',
    (outcome) => ({ runId, outcome }),
  );
}

/** Ends a run that has its outcome, counts a cut, gives up a run that was cut too often; else starts it. */
function begin(state: SessionState, task: Task, self: SessionSelf): void {
  const { row } = task;
  if (state.outcome?.runId === task.runId) {
    finish(state, task, state.outcome.result, self);
  } else if (row === undefined) {
    finish(state, task, { type: 'failed', reason: 'event_unreadable', detail: '' }, self);
  } else if (state.cut?.envelopeId === task.envelopeId) {
    takeUpAgain(state, { ...task, row }, state.cut, self);
  } else if (givenUpFor(row) !== '') {
    finish(state, task, { type: 'quarantined', reason: givenUpFor(row) }, self);
  } else if (!state.history.isKnown) {
    load(state, self);
  } else {
    startRun(state, task.runId, row, self);
  }
}

/**
 * A cut is counted when the run is about to begin anew: one that still waits is not charged with the next end of the process,
 * nor with one of its thread. One whose count had no answer, or was refused, has waited, and its row knows whether it is counted.
 */
function takeUpAgain(
  state: SessionState,
  task: Task & { readonly row: InboxRow },
  cut: HeadCut,
  self: SessionSelf,
): void {
  const { attempts, processEnds } = task.row;
  const isTried = cut.countedAs > 0;
  if (isTried && attempts >= cut.countedAs) {
    state.cut = undefined;
    begin(state, task, self);
    return;
  }
  // Of a session that began again only the row knows whether the end of the process was counted, and the run begun.
  const isCounted = self.incarnation > 1 && task.revision > state.args.sinceRevision;
  const known = isCounted && !isTried ? { ...cut, processEnd: false } : cut;
  const mayWait = known.processEnd && !isTried;
  const waitMs = mayWait ? waitAfterProcessEndMs(processEnds, self.random()) : 0;
  if (waitMs === 0) {
    count(state, task, known, self);
    return;
  }
  state.phase = 'counting';
  self.after('count', waitMs, 'count', { runId: task.runId });
}

/** What any session of this thread had to give back, for the dispatcher to count. */
function sayGivenBack({ memory, args }: SessionState, self: SessionSelf): void {
  if (memory.givenBack.times === 0) return;
  if (self.tell(args.sessions, 'gaveBack', memory.givenBack)) memory.noted();
}

function count(
  state: SessionState,
  task: Task & { readonly row: InboxRow },
  cut: HeadCut,
  self: SessionSelf,
): void {
  const { runId } = task;
  const { changes, row } = cutRunChanges(task, task, cut);
  state.cut = { ...cut, countedAs: row.attempts };
  state.phase = 'counting';
  const request = { changes, admits: false };
  self.request(state.args.ledger, 'commit', request, LEDGER_DEADLINE, 'counted', { runId, row });
}

function startRun(state: SessionState, runId: string, inbox: InboxRow, self: SessionSelf): void {
  state.phase = 'running';
  state.run ??= spawnRun(state, self);
  self.trace = inbox.trace;
  const turns = state.history.toRequest(inbox.event.body);
  self.tell(state.run, 'begin', { runId, turns, trace: inbox.trace });
}

/** It makes all runs of this session, until one of them crashes it. */
function spawnRun({ args }: SessionState, self: SessionSelf): ActorRef<RunProtocol> {
  const { module, export: name } = args.run;
  return self.spawn<RunProtocol, RunArgs>({
    id: 'run',
    start: { module, export: name, args: { owner: self.ref } },
    restart: 'temporary',
    shutdownTimeoutMs: RUN_SHUTDOWN_MS,
    placement: 'with-parent',
  });
}

function finish(state: SessionState, task: Task, outcome: RunOutcome, self: SessionSelf): void {
  const { runId } = task;
  const plan = planFinish(task, outcome, self.clock.wallMs());
  let changes: EncodedChangeSet;
  try {
    // The rows become bytes on this thread: the ledger's has the most to do.
    changes = encodeChangeSet(plan.changes);
  } catch (error) {
    if (outcome.type !== 'answered') throw error;
    const reason = codeOf(error);
    finish(state, task, { type: 'failed', reason, detail: messageOf(error) }, self);
    return;
  }
  state.phase = 'finishing';
  state.outcome = { runId, result: outcome };
  const { trace, outputs, end } = plan;
  const { ledger, outbox } = state.args;
  self.trace = trace;
  if (outputs.length === 0) {
    const request = { changes, admits: false };
    self.request(ledger, 'commit', request, LEDGER_DEADLINE, 'finished', end);
  } else {
    const request = { runId, trace, changes, outputs };
    self.request(outbox, 'finish', request, LEDGER_DEADLINE, 'finished', end);
  }
}

/** The head's end is durable. */
function complete(state: SessionState, status: RunEnded['status'], self: SessionSelf): void {
  const { head } = state.queue;
  if (head === undefined) return;
  state.queue.shift();
  state.phase = 'idle';
  const outcome = state.outcome?.runId === head.runId ? state.outcome.result : undefined;
  if (outcome !== undefined) state.outcome = undefined;
  state.failures = 0;
  if (state.cut?.envelopeId === head.envelopeId) state.cut = undefined;
  if (head.envelopeId > state.lastEnded) state.lastEnded = head.envelopeId;
  state.unsaid.push(toEnded(head, status, outcome));
  sayEnded(state, self);
  takeNext(state, self);
}

function sayEnded(state: SessionState, self: SessionSelf): void {
  for (let ended = state.unsaid[0]; ended !== undefined; ended = state.unsaid[0]) {
    if (!self.tell(state.args.sessions, 'ended', ended)) {
      self.after('say-ended', AGAIN_MIN_MS, 'sayEnded', null);
      return;
    }
    state.unsaid.shift();
  }
}

/** The ledger gave no answer: the head is taken up anew after a while. */
function again(state: SessionState, self: SessionSelf): void {
  state.phase = 'idle';
  self.after('next', backoffMs(state, self), 'next', null);
}

function backoffMs(state: SessionState, self: SessionSelf): number {
  const ceilingMs = Math.min(AGAIN_MAX_MS, AGAIN_MIN_MS * 2 ** state.failures);
  state.failures += 1;
  return AGAIN_MIN_MS + self.random() * ceilingMs;
}
