/** What an actor is to its author: protocols, refs, `Self`, definitions. How they run is `kernel/`'s business. */
import type { ChildSpec, Supervision } from './child-spec.ts';
import type { Clock } from './clock.ts';
import type { StandardSchema } from './schema.ts';

/** A protocol is an interface: one method per message. `void` = tell only, anything else = its reply. */
export type Kind<P> = keyof P & string;
export type In<P, K extends Kind<P>> = P[K] extends (payload: infer I) => unknown ? I : never;
export type Out<P, K extends Kind<P>> = P[K] extends (payload: never) => infer O
  ? Awaited<O>
  : never;
export type Asks<P> = { [K in Kind<P>]: [Out<P, K>] extends [void] ? never : K }[Kind<P>];

/** Where an actor is, not what it is: plain data, valid in any thread, survives restart, safe to store. */
export interface ActorRef<P> {
  /** `system/path#uid` as `spawn` gives it; without `#uid` it is a name that finds whoever lives there now. */
  readonly address: string;
  /** Phantom, never written. */
  readonly protocol?: P;
}

/** When an ask gives up: at a monotonic instant of this process, or after so many milliseconds. */
export type Deadline = {
  readonly inMs: number;
  readonly signal?: AbortSignal;
};

/** How an incarnation ended. `subject` is the durable id it was handling, where the flight recorder knew one. */
export interface ExitCause {
  readonly kind: 'stopped' | 'crashed' | 'thread-lost' | 'killed' | 'unreachable';
  /** Stable: the error's `code` for a crash, else `shutdown`, `thread_exit`, `thread_stalled`, `no_such_actor`… */
  readonly code: string;
  readonly message?: string;
  readonly stack?: string;
  readonly subject?: string;
  /** Only on `thread-lost`: whether the thread's flight recorder names this actor as the one that was running. */
  readonly culprit?: boolean;
}

/** Told once per `watch`: the watched incarnation is over. The ref may live on in a new incarnation. */
export interface Down {
  readonly ref: ActorRef<unknown>;
  readonly incarnation: number;
  readonly cause: ExitCause;
}

/** Told to a parent before a child's restart is decided; what it returns is awaited first. */
export interface ChildEnded extends Down {
  readonly id: string;
}

export type Settled<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown };

/** The outcome of a `request`, as a message: what it was about, and its reply or its error. */
export interface Replied<About, T> {
  readonly about: About;
  readonly outcome: Settled<T>;
}

export interface Deferred<T> {
  readonly promise: PromiseLike<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** What long work is given, as `fetch` takes it. */
export interface WorkOptions {
  /** Made when it is first looked at. */
  readonly signal: AbortSignal;
}

/**
 * When a `save` counts as done. `memory`: kept by the process, as long as that lives. `queued`: it is written, behind what was
 * saved before it. `committed`: it is flushed.
 */
export type Durability = 'memory' | 'queued' | 'committed';

/** What an actor keeps over a restart: one value of plain data for its path, the last one that was saved. */
export interface ActorState {
  /**
   * The value, migrated to the version of the definition; a copy. Undefined where none was saved. `T` is what the definition
   * says that it saves. From now on earlier incarnations are refused. Rejects with `state_unavailable` in a system without a
   * store, `state_version`, `store_failed`, `stale_incarnation`, or an `AskError`.
   */
  load<T>(): Promise<T | undefined>;
  /**
   * Takes the value as it is now, at most 1 MiB of it; undefined removes what was saved. Rejects as `load` does, with
   * `not_encodable` for what is no plain data, and with `state_full` where too much waits or is kept in memory.
   */
  save(value: unknown, options: { readonly durability: Durability }): Promise<void>;
}

/**
 * When a reminder is due: after so long, or at an instant of the wall clock; with `everyMs`, of at least a second, again and
 * again from then on. It is an instant of the wall clock that is kept.
 */
export type ReminderTime = (
  | { readonly afterMs: number; readonly atWallMs?: never }
  | { readonly atWallMs: number; readonly afterMs?: never }
) & { readonly everyMs?: number };

/** What runs a restarted actor's saved value through its changes of shape. */
export interface StateShape {
  /** A whole number, one more with each change of the shape. Default 1, where nothing is said. */
  readonly version: number;
  /** The value in the present shape. What it throws fails the load as `state_version`. */
  migrate?(value: unknown, fromVersion: number): unknown;
}

/** What a running incarnation may do. Revoked when it ends: a zombie's late call throws `StaleIncarnation`. */
export interface Self<P> {
  readonly ref: ActorRef<P>;
  /** 1 for the first start of this ref in this process, one more for each restart. */
  readonly incarnation: number;
  readonly clock: Clock;
  /** In [0, 1), seeded in simulations. Never for secrets. */
  readonly random: () => number;
  /** Aborts when this incarnation ends. Lazy: touching it costs about 760 B. */
  readonly signal: AbortSignal;
  /** What it keeps over restarts, in the system's store. */
  readonly state: ActorState;
  /** The trace id of the message being handled, carried on by its tells and asks. */
  trace: string | undefined;
  /** true: taken here, not yet handled; false: refused and counted. Throws only `StaleIncarnation`, and `bad_transfer` (see `transfer`). */
  tell<Q, K extends Kind<Q>>(ref: ActorRef<Q>, kind: K, payload: In<Q, K>): boolean;
  /** Rejects with an `AskError`: `ask_timeout`, `actor_dead`, `mailbox_full`, `ask_cycle`, `thread_lost`… */
  ask<Q, K extends Asks<Q>>(
    ref: ActorRef<Q>,
    kind: K,
    payload: In<Q, K>,
    deadline: Deadline,
  ): Promise<Out<Q, K>>;
  /**
   * Settles once a tell to `ref` would be taken: its mailbox has room, and the way to it too. It gives the number of messages
   * for which there is room, at least 1, and does not keep it. Who waits for the same mailbox is served in the order of
   * coming, one at a time. Rejects with an `AskError`: `actor_dead`, `thread_lost`, `ask_timeout`, `ask_aborted`, or
   * `mailbox_full` where too many wait already.
   */
  ready(ref: ActorRef<unknown>, deadline: Deadline): Promise<number>;
  /**
   * An ask whose outcome, good or bad, comes back as one message `done` that no limit refuses, with `about` beside it:
   * what `run(() => ask(…), done, …)` does, without a promise. An outcome of an earlier incarnation is dropped and counted.
   */
  request<Q, K extends Asks<Q>, L extends Kind<P>>(
    ref: ActorRef<Q>,
    kind: K,
    payload: In<Q, K>,
    deadline: Deadline,
    done: L,
    about: In<P, L> extends Replied<infer About, Out<Q, K>> ? About : never,
  ): void;
  /** Return `later.promise` from `receive` to answer without parking the mailbox; any other promise parks it. */
  defer<T>(): Deferred<T>;
  /** One named timer each; setting a name again replaces it. It fires as a message that no limit refuses. */
  after<K extends Kind<P>>(name: string, delayMs: number, kind: K, payload: In<P, K>): void;
  cancel(name: string): void;
  /**
   * A timer that outlives this incarnation, its thread and the process: from when the promise settles it is in the system's
   * store, under a name of 1 to 64 characters without `#`, and setting a name again replaces it. It comes as a message to the
   * mailbox, at least once: again and again, until a handler was done with it. Up to 64 of an actor, with a payload of up to
   * 64 KiB each. Rejects as `state.save` does, with `reminders_full`, `unknown_kind`, or `bad_option`, also where the
   * definition does not say `reminders`.
   */
  remind<K extends Kind<P>>(
    name: string,
    when: ReminderTime,
    kind: K,
    payload: In<P, K>,
  ): Promise<void>;
  /** When it settles, the reminder is in the store no more; one in the mailbox already is still handled. Rejects as `remind` does. */
  cancelReminder(name: string): Promise<void>;
  /**
   * Long work outside the mailbox; its outcome, good or bad, comes back as one message that no limit refuses. Its signal
   * aborts when this incarnation ends, or when the returned function is called.
   */
  run<T, K extends Kind<P>>(
    work: (options: WorkOptions) => Promise<T>,
    done: K,
    toPayload: (outcome: Settled<T>) => In<P, K>,
  ): () => void;
  /** Exactly one `down` per call, also when the actor is already gone. */
  watch(ref: ActorRef<unknown>): void;
  unwatch(ref: ActorRef<unknown>): void;
  /** Starts a child under this actor's supervision; the ref takes messages at once. Throws `bad_child_spec`. */
  spawn<Q, A>(spec: ChildSpec<Q, A>): ActorRef<Q>;
  /** Stops a child and settles once it is gone (by its shutdown deadline at the latest). Unknown ids settle too. */
  stopChild(id: string): Promise<void>;
  children(): readonly { readonly id: string; readonly ref: ActorRef<unknown> }[];
  /** Ends this incarnation after the current message, as `stopped`. */
  stop(): void;
}

export const OVERFLOWS = ['reject', 'drop-oldest', 'drop-newest'] as const;

/** How much may wait for an actor, and which message is lost where it is too much. */
export interface Mailbox {
  readonly limitMessages: number;
  /**
   * Of all payloads that wait, counted as `runtime/SEMANTICS.md` M16 says; a larger one is never taken. Counting reads each
   * payload once. Default: no limit, and nothing is counted.
   */
  readonly limitBytes?: number;
  readonly overflow: (typeof OVERFLOWS)[number];
}

/**
 * One shared table per kind of actor; the only thing an instance owns is its state.
 * `Own`: kinds it sends to itself (timers, outcomes of `run` and `request`); refs know `P` only.
 */
export interface ActorDefinition<P, Own, A, S, D> {
  /** `import.meta.url` */
  readonly module: string;
  /** The name under which `module` exports this definition, so that a child spec can name it. */
  readonly export: string;
  readonly name: string;
  readonly mailbox: Mailbox;
  /** Of what it saves with `self.state`. */
  readonly state?: StateShape;
  /** Whether it sets reminders: those that are late come when it has started. Default false. */
  readonly reminders?: boolean;
  start(self: Self<P & Own>, args: A, deps: D): S | Promise<S>;
  readonly receive: {
    readonly [K in Kind<P & Own>]: (
      state: S,
      payload: In<P & Own, K>,
      self: Self<P & Own>,
    ) => Out<P & Own, K> | PromiseLike<Out<P & Own, K>>;
  };
  /**
   * What messages have to be, by kind, as a Standard Schema of any library says it (zod, valibot, ArkType…). What comes from
   * another thread is held against it before it is handled, and is handled as the schema gives it; outside of production also
   * inline, where threads would part the two. What does not pass fails its asker with `invalid_message` and is a dead letter.
   * What a schema throws, and one that answers with a promise (`bad_schema`), crashes the actor: it is its own code.
   */
  readonly schemas?: { readonly [K in Kind<P & Own>]?: StandardSchema<In<P & Own, K>> };
  /** Durable id of a message for the flight recorder, at most 64 bytes; '' for none. */
  subject?(kind: Kind<P & Own>, payload: unknown): string;
  down?(state: S, down: Down, self: Self<P & Own>): void | Promise<void>;
  /** How this actor supervises its children; static ones are started in order before `start` counts as done. */
  supervise?(args: A): Supervision;
  /** A child's incarnation ended abnormally; its restart waits for what this returns. */
  childEnded?(state: S, ended: ChildEnded, self: Self<P & Own>): void | Promise<void>;
  stop?(state: S, self: Self<P & Own>): void | Promise<void>;
}

export function defineActor<P, Own, A, S, D>(
  definition: ActorDefinition<P, Own, A, S, D>,
): ActorDefinition<P, Own, A, S, D> {
  return definition;
}

/** Where a child spec remembers the definition that it was made of: in the same thread nobody has to look for it, in another copy of the package neither. */
export const DEFINITION: unique symbol = Symbol.for('palyra.definition');

const DEFAULT_SHUTDOWN_TIMEOUT_MS = 5_000;

/** A child spec for `definition`: permanent, with its parent, five seconds to stop, unless `spec` says otherwise. */
export function child<P, Own, A, S, D>(
  definition: ActorDefinition<P, Own, A, S, D>,
  spec: { readonly id: string; readonly args: A } & Partial<
    Omit<ChildSpec<P, A>, 'id' | 'start' | 'protocol'>
  >,
): ChildSpec<P, A> {
  const { restartLimit, significant, passivateAfterMs } = spec;
  const made: ChildSpec<P, A> = {
    id: spec.id,
    start: {
      module: definition.module,
      export: definition.export,
      args: spec.args,
      [DEFINITION]: definition,
    } as ChildSpec<P, A>['start'],
    restart: spec.restart ?? 'permanent',
    shutdownTimeoutMs: spec.shutdownTimeoutMs ?? DEFAULT_SHUTDOWN_TIMEOUT_MS,
    placement: spec.placement ?? 'with-parent',
  };
  if ((restartLimit ?? significant ?? passivateAfterMs) === undefined) return made;
  return {
    ...made,
    ...(passivateAfterMs === undefined ? {} : { passivateAfterMs }),
    ...(restartLimit === undefined ? {} : { restartLimit }),
    ...(significant === undefined ? {} : { significant }),
  };
}

/** A ref by name: it finds the actor that lives at `path` (below the system's name) when a message is sent. */
export function refTo<P>(system: string, path: string): ActorRef<P> {
  return { address: `${system}/${path}` };
}
