/** What a host sees of an actor system: options in, a handle out. Several systems may live in one process. */

import type {
  ActorDefinition,
  ActorRef,
  Asks,
  Deadline,
  ExitCause,
  In,
  Kind,
  Mailbox,
  Out,
} from './actor.ts';
import type { ChildSpec } from './child-spec.ts';
import type { Clock } from './clock.ts';
import type { Host } from './host/host.ts';
import type { Tracing } from './observe/tracing.ts';
import type { StopPhase } from './stop-phases.ts';
import type { Store } from './store/store.ts';
import type { CreateWorker } from './thread/node-threads.ts';

/** A definition whose types have been forgotten, as the kernel handles it. */
// biome-ignore lint/suspicious/noExplicitAny: the kernel runs definitions of every type
export type AnyDefinition = ActorDefinition<any, any, any, any, any>;

/** Told to the thread setup: where it runs. */
export interface ThreadContext {
  /** `main`, `worker-1`…; no two of a system have the same. */
  readonly name: string;
  readonly isMain: boolean;
  readonly clock: Clock;
  /** The system as it stands; only on main. */
  inspect(): Promise<SystemSnapshot>;
}

export interface ThreadWorld {
  /** What every actor of this thread gets as `deps`. */
  readonly deps: unknown;
  /** Finds a definition; the default is `import(module)` and its `export`. */
  readonly resolve?: (module: string, exportName: string) => Promise<AnyDefinition>;
  /** Spans of the actors of this thread; `palyra/runtime/otel` has one. Default: none. */
  readonly tracing?: Tracing | undefined;
  /** Called when the thread ends in order. */
  close?(): Promise<void>;
}

/** The only way code and dependencies enter a thread: runs once in each, the main thread included. */
export type ThreadSetup = (
  args: unknown,
  thread: ThreadContext,
) => Promise<ThreadWorld> | ThreadWorld;

/** A `ThreadSetup` as data. */
export interface ThreadSetupName {
  readonly module: string;
  readonly export: string;
  readonly args: unknown;
}

export interface ThreadOptions {
  /** Pool threads, at least 1. */
  readonly pool: number;
  /** Work that must not wait for other work has threads of its own. A group that is not named here has the whole pool. */
  readonly groups?: Readonly<Record<string, ThreadGroup>>;
  /** One more thread, set up and idle, that takes the place of a lost one at once. Default true. */
  readonly spare?: boolean;
  /** A thread whose loop has not turned for so long is reported. Default 2,000. */
  readonly stallWarnMs?: number;
  /** A thread whose loop has not turned for so long is killed. Default 10,000. */
  readonly stallKillMs?: number;
  /** V8 heap limit of each thread. Default 256. */
  readonly maxHeapMb?: number;
  /** A thread whose buffers, which V8's limit does not count, are larger is killed. Default 512. */
  readonly maxExternalMb?: number;
  /** Makes the workers, where a bundle or another environment has its own way. Default `new Worker(entry, options)`. */
  readonly createWorker?: CreateWorker;
}

/** The pool threads that the actors of one group share by the hash of their placement. */
export interface ThreadGroup {
  /** From 0. */
  readonly threads: readonly number[];
  /** They keep the priority of the main thread, to which the rest of the pool gives way; on Linux. Default false. */
  readonly urgent?: boolean;
}

export interface SystemOptions {
  /** The first part of every address. */
  readonly name: string;
  /** `inline`: everything on the calling thread, with the same semantics. */
  readonly threads: 'inline' | ThreadOptions;
  /** The setup that runs in each thread, the calling one included. Default: none, `deps` is undefined. */
  readonly thread?: ThreadSetupName;
  /**
   * Where actors keep what they save (`self.state`), on the calling thread; the system writes its tables `actor_*`. Whoever
   * opened it closes it after `stop`. Default: none, and nothing can be saved.
   */
  readonly store?: Store;
  /** The powers of the machine. Default: Node's. Another one (a simulator's) only works inline. */
  readonly host?: Host;
  /**
   * Inline: a message that threads could not carry is refused as `not_encodable`, one that they would copy is copied, and
   * one that goes by reference is frozen to its ends. Default: unless `NODE_ENV` is `production`. Threads need no check.
   */
  readonly checkMessages?: boolean;
  /** The first observer (see `System.observe`): it hears the start of the threads too. */
  readonly onEvent?: (event: SystemEvent) => unknown;
}

/** Each has a channel `palyra.runtime.<type>` of `node:diagnostics_channel`, whose messages are `{ system, event }`. */
export const EVENT_TYPES = [
  'actor.started',
  'actor.restarted',
  'actor.crashed',
  'actor.stopped',
  'supervisor.exhausted',
  'thread.started',
  'thread.not_started',
  'thread.stalled',
  'thread.lost',
  'mailbox.refused',
  'dead_letter',
  'store.failed',
  'phase.ended',
  'system.stopped',
] as const satisfies readonly SystemEvent['type'][];

/**
 * What tools observe, and all they do. A `temporary` child that starts, or ends in order by itself, is no news: there may
 * be thousands in a second. Of `mailbox.refused` and `dead_letter` a thread tells 100 a second each; all are counted.
 */
export type SystemEvent =
  /** Its first incarnation runs. */
  | { readonly type: 'actor.started'; readonly address: string }
  /** A later incarnation runs; the first is 1. */
  | { readonly type: 'actor.restarted'; readonly address: string; readonly incarnation: number }
  /** Once for each end that was not in order: its own, by a lost thread, or by a deadline. */
  | {
      readonly type: 'actor.crashed';
      readonly address: string;
      readonly cause: ExitCause;
      readonly stack: string;
      /** -1: it does not come back for this. */
      readonly restartInMs: number;
    }
  /** It is gone for good. */
  | { readonly type: 'actor.stopped'; readonly address: string; readonly cause: ExitCause }
  | {
      readonly type: 'supervisor.exhausted';
      readonly address: string;
      readonly child: string;
      readonly degraded: boolean;
    }
  | {
      readonly type: 'thread.lost';
      readonly thread: string;
      readonly code: string;
      readonly culprit: string;
      readonly subject: string;
      readonly actors: number;
    }
  | {
      readonly type: 'thread.stalled';
      readonly thread: string;
      readonly forMs: number;
      readonly culprit: string;
      readonly subject: string;
    }
  /** In the place of a lost one none could be made, or its setup failed: its error's message, `uncoded`. It is tried again, ever later. */
  | {
      readonly type: 'thread.not_started';
      readonly thread: string;
      readonly code: string;
      readonly message: string;
    }
  /** `worker` is the name that its setup was given. */
  | { readonly type: 'thread.started'; readonly thread: string; readonly worker: string }
  /** A mailbox was full: the message, or with `drop-oldest` the oldest one, is lost. */
  | {
      readonly type: 'mailbox.refused';
      readonly address: string;
      readonly kind: string;
      readonly overflow: Mailbox['overflow'];
    }
  | {
      readonly type: 'dead_letter';
      readonly address: string;
      readonly kind: string;
      readonly reason: string;
    }
  /** A commit of what actors keep has failed with this code: from now on nothing is kept, loaded or delivered. Told once. */
  | { readonly type: 'store.failed'; readonly code: string }
  /** Of a stop, one for each phase: '' or why it did not end by itself, the code of its error, `phase_late` or `phase_skipped`. */
  | { readonly type: 'phase.ended'; readonly phase: string; readonly code: string }
  /** The last one; `cause` as `System.ended` has it. */
  | { readonly type: 'system.stopped'; readonly cause: ExitCause };

export interface ActorSnapshot {
  readonly path: string;
  readonly thread: string;
  readonly state: 'starting' | 'running' | 'restarting' | 'stopping' | 'degraded' | 'passive';
  readonly incarnation: number;
  readonly restarts: number;
  readonly mailbox: number;
  /** For how long it has waited for the promise of the message that it handles; 0 where none parks its mailbox. */
  readonly handlingMs: number;
  readonly lastError: string;
}

export interface ThreadSnapshot {
  readonly name: string;
  readonly state: 'starting' | 'running' | 'lost';
  readonly restarts: number;
  readonly actors: number;
  /** How late the loop turned, over the last ten seconds; 0 where nobody looks (inline). */
  readonly loopDelayMs: LoopDelay;
  /** Of the thread's buffers, which its heap limit does not count. */
  readonly externalBytes: number;
}

export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface SystemSnapshot {
  readonly actors: readonly ActorSnapshot[];
  readonly threads: readonly ThreadSnapshot[];
  /** Over all threads, of lost or busy ones what was last known: `handled`, `refused`, `dead_letters`, `asks_timed_out`, `frames_sent`… */
  readonly counters: Readonly<Record<string, number>>;
}

export interface StopOptions {
  /** Of the whole stop. Default 24,000. */
  readonly deadlineMs?: number;
  /** Done before the tree is stopped. Default: none. */
  readonly phases?: readonly StopPhase[];
}

export interface System {
  readonly name: string;
  /** Starts a child of the root. It is not restarted, whatever its spec says: the first one's end ends the system. */
  spawn<P, A>(spec: ChildSpec<P, A>): ActorRef<P>;
  /** Settles when the actor and its static children run; rejects with the cause when its first start failed. */
  started(ref: ActorRef<unknown>): Promise<void>;
  tell<P, K extends Kind<P>>(ref: ActorRef<P>, kind: K, payload: In<P, K>): boolean;
  ask<P, K extends Asks<P>>(
    ref: ActorRef<P>,
    kind: K,
    payload: In<P, K>,
    deadline: Deadline,
  ): Promise<Out<P, K>>;
  /** As `Self.ready`. */
  ready(ref: ActorRef<unknown>, deadline: Deadline): Promise<number>;
  inspect(): Promise<SystemSnapshot>;
  /**
   * The listener hears every event of every thread from now on, until the function that is returned is called. What it
   * throws is counted as `observer_failures` and changes nothing.
   */
  observe(listener: (event: SystemEvent) => unknown): () => void;
  /**
   * Runs the phases one after the other while all actors run, then stops the tree in reverse, joins the threads, terminates
   * what is left at the deadline (24 s). The phases get all but a quarter of it, at most 6 s, which is the tree's. Twice is
   * once: the first call says what is done. Rejects with `bad_option` where a phase is wrong, and stops nothing then.
   */
  stop(options?: StopOptions): Promise<void>;
  /** Settles once, when the system is over: with the first root child's cause, or `stopped`. */
  readonly ended: Promise<ExitCause>;
  [Symbol.asyncDispose](): Promise<void>;
}
