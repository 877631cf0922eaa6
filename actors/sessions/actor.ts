/** The dispatcher of all sessions: starts a child where a conversation has work, stops it when idle, finds lost runs again. */

import type { OperationReply } from '../../proto/control/owner.ts';
import { type EnvelopeId, isUlid, runIdOf } from '../../proto/ids.ts';
import {
  type ActorRef,
  type ChildEnded,
  child,
  type Deferred,
  defineActor,
  type Self,
  type Settled,
} from '../../runtime/actor.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import type { OutboxProtocol } from '../outbox/protocol.ts';
import type { RouterProtocol } from '../router/protocol.ts';
import type { OpenRun } from '../router/rows.ts';
import { blameRun } from './blame.ts';
import { operate, SessionsMeter } from './control.ts';
import type { RunEnded, SessionsProtocol } from './protocol.ts';
import { LEDGER_DEADLINE, readOpenRuns } from './reading.ts';
import { type Entry, Roster } from './roster.ts';
import { sessionActor } from './session-actor.ts';
import type { RunStart, SessionArgs } from './session-state.ts';

export interface SessionsArgs {
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly outbox: ActorRef<OutboxProtocol>;
  readonly router: ActorRef<RouterProtocol>;
  /** `{ module, export }` of the actor that makes one run. */
  readonly run: RunStart;
  /** Sessions in memory at once, in fair shares of their channels; the others wait for their turn. Default 4,096. */
  readonly maxLive?: number;
}

interface Scan {
  readonly open: readonly OpenRun[];
  /** Of the store, behind the scan. */
  readonly revision: number;
}

interface Own {
  scanned(outcome: Settled<Scan>): void;
  /** Looks for idle sessions and for silent ones. */
  sweep(nothing: null): void;
  stopped(session: { readonly sessionKey: string }): void;
  /** Tells sessions what stands to be told; those whose mailbox was full once more. */
  remind(nothing: null): void;
  sayEnded(nothing: null): void;
  operated(done: {
    readonly answer: Deferred<OperationReply>;
    readonly outcome: Settled<OperationReply>;
  }): void;
}

interface SessionsState {
  readonly args: SessionsArgs;
  readonly ref: ActorRef<SessionsProtocol>;
  readonly roster: Roster;
  readonly meter: SessionsMeter;
  scan: 'idle' | 'planned' | 'running' | 'again';
  /** Until the first scan has told which runs an earlier life left, no session starts. */
  isFirstScan: boolean;
  /** Of the store, before a session started. */
  sinceRevision: number;
  /** To be told to look for open runs again. */
  readonly behind: Set<string>;
  /** To be told that their turns have changed. */
  readonly outdated: Set<string>;
  /** Ends that the router refused to hear. */
  readonly unsaid: RunEnded[];
}

type SessionsSelf = Self<SessionsProtocol & Own>;

const MAX_LIVE = 4_096;
const IDLE_MS = 60_000;
const SWEEP_MS = 10_000;
/** A session that has work and says nothing for so long may never have been told of it. */
const SILENT_MS = 60_000;
const MAX_REMINDS = 64;
/** Stops a sweep may begin; the rest waits for the next one. */
const MAX_STOPS = 256;
const SCAN_AGAIN_MS = 1_000;
const REMIND_MS = 200;

export const sessionsActor = defineActor<
  SessionsProtocol,
  Own,
  SessionsArgs,
  SessionsState,
  unknown
>({
  module: import.meta.url,
  export: 'sessionsActor',
  name: 'sessions',
  mailbox: { limitMessages: 16_384, overflow: 'reject' },
  start(self, args) {
    self.after('scan', 0, 'reconcile', null);
    self.after('sweep', SWEEP_MS, 'sweep', null);
    return {
      args,
      ref: self.ref,
      roster: new Roster(args.maxLive ?? MAX_LIVE),
      meter: new SessionsMeter(),
      scan: 'planned',
      isFirstScan: true,
      sinceRevision: 0,
      behind: new Set(),
      outdated: new Set(),
      unsaid: [],
    };
  },
  supervise: () => ({
    strategy: 'one_for_one',
    intensity: 10,
    periodMs: 60_000,
    whenExhausted: 'degrade',
  }),
  subject: (_kind, payload) => subjectOf(payload),
  receive: {
    routed(state, run, self) {
      const entry = state.roster.open(run, self.clock.monotonicMs());
      startWaiting(state, self);
      const { envelopeId, after, row } = run;
      const { ref } = entry;
      if (ref === undefined || self.tell(ref, 'enqueue', { envelopeId, after, row })) return;
      remindAfter(state, REMIND_MS, self);
      state.behind.add(run.sessionKey);
    },
    ended(state, run, self) {
      const wasOpen = state.roster.end(run, self.clock.monotonicMs());
      if (wasOpen) state.meter.countEnd(run);
      sayEnded(state, run, self);
      makeRoom(state, self);
    },
    gaveBack: (state, text) => state.meter.countGivenBack(text),
    turnsChanged(state, { sessionKey }, self) {
      // One that is not in memory reads them when it begins.
      if (state.roster.find(sessionKey)?.ref === undefined) return;
      remindAfter(state, 0, self);
      state.outdated.add(sessionKey);
    },
    reconcile: (state, _nothing, self) => scan(state, self),
    scanned(state, outcome, self) {
      const isWantedAgain = state.scan === 'again' || !outcome.ok;
      state.scan = 'idle';
      if (outcome.ok) takeScan(state, outcome.value, self);
      else state.roster.scanFailed();
      if (isWantedAgain) planScan(state, self);
    },
    sweep(state, _nothing, self) {
      self.after('sweep', SWEEP_MS, 'sweep', null);
      const nowMs = self.clock.monotonicMs();
      for (const entry of state.roster.idle(nowMs - IDLE_MS, MAX_STOPS)) {
        stopSession(state, entry, self);
      }
      const silent = state.roster.silent(nowMs - SILENT_MS, MAX_REMINDS);
      for (const entry of silent) {
        state.roster.touch(entry, nowMs);
        if (entry.ref !== undefined) self.tell(entry.ref, 'refresh', null);
      }
      // What the dispatcher alone believes to be open is found gone.
      if (silent.length > 0) planScan(state, self);
    },
    stopped(state, { sessionKey }, self) {
      const entry = state.roster.find(sessionKey);
      if (entry?.status !== 'stopping') return;
      state.roster.stopped(entry);
      startWaiting(state, self);
    },
    remind(state, _nothing, self) {
      remindAll(state, state.behind, 'refresh', self);
      remindAll(state, state.outdated, 'turnsChanged', self);
      if (isBehind(state)) self.after('remind', REMIND_MS, 'remind', null);
    },
    sayEnded(state, _nothing, self) {
      for (const run of state.unsaid.splice(0)) sayEnded(state, run, self);
    },
    open: (state) => ({ runs: state.roster.openRuns }),
    operate(state, call, self) {
      const answer = self.defer<OperationReply>();
      self.run(
        () => operate(call, state.roster.runs(), self, state.args.ledger),
        'operated',
        (outcome) => ({ answer, outcome }),
      );
      return answer.promise;
    },
    operated(_state, { answer, outcome }) {
      if (outcome.ok) answer.resolve(outcome.value);
    },
    metrics: (state) => state.meter.toMetrics(state.roster),
  },
  async childEnded(state, ended, self) {
    state.meter.countCrash();
    // It may have died between a durable end and its word.
    planScan(state, self);
    const blamed = blamedRun(state, ended);
    if (blamed !== undefined) await blameRun(blamed, self, state.args.ledger);
  },
});

function isBehind({ behind, outdated }: SessionsState): boolean {
  return behind.size + outdated.size > 0;
}

/** Before one more is to be told: where others are, the timer is set. */
function remindAfter(state: SessionsState, delayMs: number, self: SessionsSelf): void {
  if (!isBehind(state)) self.after('remind', delayMs, 'remind', null);
}

function remindAll(
  { roster }: SessionsState,
  sessionKeys: Set<string>,
  kind: 'refresh' | 'turnsChanged',
  self: SessionsSelf,
): void {
  for (const sessionKey of [...sessionKeys]) {
    const ref = roster.find(sessionKey)?.ref;
    if (ref === undefined || self.tell(ref, kind, null)) sessionKeys.delete(sessionKey);
  }
}

/** A scan of all open runs; one at a time, and another one where it was asked for meanwhile. */
function scan(state: SessionsState, self: SessionsSelf): void {
  if (state.scan === 'running' || state.scan === 'again') {
    state.scan = 'again';
    return;
  }
  self.cancel('scan');
  state.scan = 'running';
  state.roster.scanBegins();
  self.run(
    async () => {
      const open = await readOpenRuns(self, state.args.ledger);
      const { revision } = await self.ask(state.args.ledger, 'health', null, LEDGER_DEADLINE);
      return { open, revision };
    },
    'scanned',
    (outcome) => outcome,
  );
}

/** Setting the timer again would put it off for as long as sessions crash. */
function planScan(state: SessionsState, self: SessionsSelf): void {
  if (state.scan === 'running') state.scan = 'again';
  if (state.scan !== 'idle') return;
  state.scan = 'planned';
  self.after('scan', SCAN_AGAIN_MS, 'reconcile', null);
}

function takeScan(state: SessionsState, { open, revision }: Scan, self: SessionsSelf): void {
  const { unknown, gone } = state.roster.scanEnds(open);
  if (state.isFirstScan) state.sinceRevision = revision;
  for (const run of unknown) {
    const entry = state.roster.open(run, self.clock.monotonicMs());
    if (entry.status === 'live') state.behind.add(run.sessionKey);
    else if (state.isFirstScan && entry.cutRun === '') entry.cutRun = run.envelopeId;
  }
  if (state.behind.size > 0) self.after('remind', 0, 'remind', null);
  for (const run of gone) {
    state.roster.end(run, self.clock.monotonicMs());
    self.tell(state.args.router, 'runEnded', run);
  }
  state.isFirstScan = false;
  startWaiting(state, self);
}

/** Starts sessions that have work, as long as there is room. */
function startWaiting(state: SessionsState, self: SessionsSelf): void {
  if (state.isFirstScan) return;
  const { roster, args, sinceRevision } = state;
  const { ledger, outbox, run } = args;
  for (let entry = roster.nextWaiting(); entry !== undefined; entry = roster.nextWaiting()) {
    const { sessionKey, childId, cutRun } = entry;
    const sessionArgs: SessionArgs = {
      sessionKey,
      ledger,
      outbox,
      sessions: state.ref,
      run,
      cutRun,
      sinceRevision,
    };
    const spec = child(sessionActor, {
      id: childId,
      args: sessionArgs,
      placement: { hash: sessionKey, group: 'sessions' },
    });
    roster.started(entry, self.spawn(spec), self.clock.monotonicMs());
  }
  makeRoom(state, self);
}

/** Where sessions wait for a place, an idle one gives its own up at once. */
function makeRoom(state: SessionsState, self: SessionsSelf): void {
  const { roster } = state;
  if (roster.waiting === 0) return;
  const nowMs = self.clock.monotonicMs();
  for (const entry of roster.idle(nowMs, roster.waiting)) stopSession(state, entry, self);
}

function stopSession(state: SessionsState, entry: Entry, self: SessionsSelf): void {
  const { sessionKey, childId } = entry;
  state.roster.stopping(entry);
  self.run(
    () => self.stopChild(childId),
    'stopped',
    () => ({ sessionKey }),
  );
}

function sayEnded(state: SessionsState, run: RunEnded, self: SessionsSelf): void {
  const { sessionKey, envelopeId } = run;
  if (self.tell(state.args.router, 'runEnded', { sessionKey, envelopeId })) return;
  state.unsaid.push(run);
  self.after('say-ended', REMIND_MS, 'sayEnded', null);
}

/** The open run of this session that its end is charged to. */
function blamedRun(state: SessionsState, { id, cause }: ChildEnded): OpenRun | undefined {
  const subject = cause.subject ?? '';
  const isCharged = cause.kind === 'crashed' || cause.culprit === true;
  const entry = state.roster.findChild(id);
  if (!isCharged || !isUlid(subject) || entry === undefined) return undefined;
  for (const envelopeId of entry.open) {
    const isSubject = envelopeId === subject || runIdOf(envelopeId as EnvelopeId) === subject;
    if (isSubject) return { sessionKey: entry.sessionKey, envelopeId };
  }
  return undefined;
}

function subjectOf(payload: unknown): string {
  if (typeof payload !== 'object' || payload === null || !('envelopeId' in payload)) return '';
  return typeof payload.envelopeId === 'string' ? payload.envelopeId : '';
}
