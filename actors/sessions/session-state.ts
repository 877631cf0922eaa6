/** What one session holds, and what it sends to itself. Memory only: all of it can be read again from the ledger. */
import { type EnvelopeId, runIdOf } from '../../proto/ids.ts';
import type { ActorRef, Replied, Self, Settled } from '../../runtime/actor.ts';
import type { StoredRow } from '../../runtime/store/store.ts';
import type { CommitReply, LedgerProtocol } from '../ledger/protocol.ts';
import type { OutboxProtocol } from '../outbox/protocol.ts';
import type { InboxRow, OpenRun } from '../router/rows.ts';
import type { RunProtocol } from '../runs/protocol.ts';
import type { Cut } from './cuts.ts';
import type { Finished, RunOutcome } from './finish.ts';
import { History, type HistoryLimits } from './history.ts';
import type { QueuedRun, RunEnded, SessionProtocol, SessionsProtocol } from './protocol.ts';
import type { RunEndStatus, Turn } from './rows.ts';
import { RunQueue, type Waiting } from './run-queue.ts';
import type { SessionMemory } from './session-memory.ts';

/** How the tree starts a run: this folder does not know its code. */
export interface RunStart {
  readonly module: string;
  readonly export: string;
}

export interface SessionArgs {
  readonly sessionKey: string;
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly outbox: ActorRef<OutboxProtocol>;
  readonly sessions: ActorRef<SessionsProtocol>;
  readonly run: RunStart;
  /** Envelope of its first open run, where that may have begun before these sessions did, in an earlier life of the process as a rule; '' for none. */
  readonly cutRun: string;
  /** What these sessions write has a greater revision. */
  readonly sinceRevision: number;
}

export interface SessionDeps {
  /** The same for all sessions of a thread. */
  readonly sessionMemory: SessionMemory;
  readonly historyLimits: HistoryLimits;
}

/** The head's own cut. */
export interface HeadCut extends Cut {
  readonly envelopeId: string;
  /** The attempts that its row has once this is counted; 0: nobody has tried to count it, and it may have to wait first. */
  readonly countedAs: number;
}

export interface Loaded {
  /** Absent: the run has ended. */
  readonly inbox: StoredRow | undefined;
  /** How it ended, where it has. */
  readonly status: RunEndStatus | undefined;
  /** Absent where the session has them, and they are whole: while a run is open nobody else can have added to them. */
  readonly turns: readonly Turn[] | undefined;
}

export interface Refreshed {
  readonly open: readonly OpenRun[];
  /** Absent but for the first time. */
  readonly turns: readonly Turn[] | undefined;
}

/** Kinds that a session sends to itself. */
export interface SessionOwn {
  /** Takes up the next run where none is under way. */
  next(nothing: null): void;
  loaded(found: Subject & { readonly outcome: Settled<Loaded> }): void;
  /** The head has waited long enough. */
  count(subject: Subject): void;
  counted(done: Replied<Subject & { readonly row: InboxRow }, CommitReply>): void;
  runLost(lost: Subject): void;
  finish(subject: Subject): void;
  finished(done: Replied<Finished, CommitReply>): void;
  refreshed(outcome: Settled<Refreshed>): void;
  sayEnded(nothing: null): void;
}

export interface Subject {
  readonly runId: string;
}

/** What is done for the head of the queue; a message that belongs to another phase is late and ignored. */
export type Phase = 'idle' | 'refreshing' | 'loading' | 'counting' | 'running' | 'finishing';

export interface SessionState {
  readonly args: SessionArgs;
  readonly memory: SessionMemory;
  readonly limits: HistoryLimits;
  readonly queue: RunQueue;
  readonly history: History;
  phase: Phase;
  /** Nothing was read from the ledger yet. */
  isNew: boolean;
  /** Why the head must be counted before it is tried (again). */
  cut: HeadCut | undefined;
  /** Of a run whose end is not yet durable. */
  outcome: { readonly runId: string; readonly result: RunOutcome } | undefined;
  /** Who makes its runs; undefined before the first one, and after one that crashed it. */
  run: ActorRef<RunProtocol> | undefined;
  failures: number;
  /** The newest envelope that ended here. */
  lastEnded: string;
  /** The newest envelope it ever heard of. */
  newest: string;
  /** There may be earlier runs that it does not have: it looks before it takes up the next one. */
  hasGap: boolean;
  /** Ends that the dispatcher refused to hear. */
  readonly unsaid: RunEnded[];
}

export type SessionSelf = Self<SessionProtocol & SessionOwn>;

/** Knows nothing yet: it looks before it takes up anything. */
export function createSession(args: SessionArgs, deps: SessionDeps): SessionState {
  const { sessionMemory: memory, historyLimits: limits } = deps;
  return {
    args,
    memory,
    limits,
    queue: new RunQueue(memory),
    history: new History(memory, limits),
    phase: 'idle',
    isNew: true,
    cut: undefined,
    outcome: undefined,
    run: undefined,
    failures: 0,
    lastEnded: '',
    newest: '',
    hasGap: true,
    unsaid: [],
  };
}

/** True where the head of the queue is being worked on, so that nothing may go before it. */
export function isHeadTaken({ phase }: SessionState): boolean {
  return phase !== 'idle' && phase !== 'refreshing';
}

/** The head, where it is this run in this phase. */
export function headOf(state: SessionState, phase: Phase, runId: string): Waiting | undefined {
  const { head } = state.queue;
  return state.phase === phase && head?.runId === runId ? head : undefined;
}

/** A run that is known by name only. */
export function waitingOf({ args }: SessionState, envelopeId: string): Waiting {
  const runId = runIdOf(envelopeId as EnvelopeId);
  return { sessionKey: args.sessionKey, envelopeId, runId, row: undefined, task: undefined };
}

/** Which run a message is about; '' for none. What comes from the dispatcher names the envelope, everything else the run. */
export function subjectOf(kind: string, payload: unknown): string {
  switch (kind) {
    case 'enqueue':
      return (payload as QueuedRun).envelopeId;
    case 'finished':
    case 'counted':
      return (payload as { readonly about: Subject }).about.runId;
    case 'answered':
    case 'loaded':
    case 'count':
    case 'runLost':
    case 'finish':
      return (payload as Subject).runId;
    default:
      return '';
  }
}
