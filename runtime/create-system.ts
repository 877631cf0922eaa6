/** Makes a system: the main thread's kernel, its pool of threads, and the root of the tree. */
import {
  type ActorRef,
  type Asks as AskKinds,
  child,
  type Deadline,
  type ExitCause,
  type In,
  type Kind,
  type Out,
} from './actor.ts';
import type { ChildSpec } from './child-spec.ts';
import { createDeferred } from './deferred.ts';
import { RuntimeError } from './errors.ts';
import type { Host } from './host/host.ts';
import { createNodeHost, externalBytes, isProduction } from './host/node-host.ts';
import { PromiseEnd } from './kernel/asks.ts';
import { Border } from './kernel/border.ts';
import { Kernel } from './kernel/kernel.ts';
import { carryAlone } from './link/frame.ts';
import { everything } from './observe/inspection.ts';
import { Observers } from './observe/observers.ts';
import { type KeeperArgs, keeperActor } from './state/keeper.ts';
import { KEEPER_ID } from './state/protocol.ts';
import { checkPhases, runPhases } from './stop-phases.ts';
import type { Store } from './store/store.ts';
import { ChildSet } from './supervision/child-set.ts';
import type {
  StopOptions,
  System,
  SystemEvent,
  SystemOptions,
  SystemSnapshot,
  ThreadContext,
  ThreadOptions,
  ThreadWorld,
} from './system.ts';
import { FlightRecorder } from './thread/flight-recorder.ts';
import { Heartbeat, NO_DELAY } from './thread/heartbeat.ts';
import { createNodeThreads } from './thread/node-threads.ts';
import { setUpThread } from './thread/resolve.ts';
import type { ThreadMaker } from './thread/thread-maker.ts';
import { ThreadPool } from './thread/thread-pool.ts';
import { pack } from './transfer.ts';

const DEFAULT_STOP_DEADLINE_MS = 24_000;
/** At most so much of it, and a quarter of a shorter one, is the tree's, whatever the phases of the stop take. */
const TREE_MS = 6_000;
/** At most so much of it the threads get to join, and the main thread's world to close. */
const JOIN_MS = 2_000;

/**
 * A running system: its threads are up and their setups have run. Rejects with the setup's error, or `bad_option`.
 * It installs no signal handler and never ends the process.
 */
export async function createSystem(options: SystemOptions): Promise<System> {
  checkOptions(options);
  const { threads } = options;
  const { system } = await createSystemOn(options, {
    host: options.host ?? createNodeHost(),
    threads: createNodeThreads(threads === 'inline' ? undefined : threads.createWorker),
    setUp: (context) => setUpThread(options.thread, context),
  });
  return system;
}

/** What a system stands on. */
export interface Ground {
  readonly host: Host;
  readonly threads: ThreadMaker;
  /** Of the main thread. */
  setUp(context: ThreadContext): Promise<ThreadWorld>;
  /** Hears what happens on the main thread itself, in place of `onEvent`. */
  observe?(event: SystemEvent): void;
}

/** The same on a ground of the caller's, who sees the main thread's kernel too. */
export async function createSystemOn(
  options: Omit<SystemOptions, 'host'>,
  { host, threads, setUp, observe }: Ground,
): Promise<{ readonly system: System; readonly kernel: Kernel }> {
  const observers = new Observers(options.name);
  if (options.onEvent !== undefined) observers.add(options.onEvent);
  const pool =
    options.threads === 'inline'
      ? undefined
      : new ThreadPool({
          ...options.threads,
          name: options.name,
          setup: options.thread,
          host,
          maker: threads,
          observers,
        });
  const kernel: Kernel = new Kernel({
    thread: 'main',
    host,
    recorder: new FlightRecorder(),
    inspection: observe === undefined ? observers : everything(observe),
    ...(pool === undefined
      ? {}
      : { placeElsewhere: (spec, path, owner) => pool.place(spec, path, owner) }),
    firstUid: 1,
    ...(pool === undefined && (options.checkMessages ?? !isProduction())
      ? { border: new Border(carryAlone()) }
      : {}),
  });
  const system = new RunningSystem(options.name, kernel, pool, observers);
  const world = await setUp({
    name: 'main',
    isMain: true,
    clock: host,
    inspect: () => system.inspect(),
  });
  kernel.deps = world.deps;
  kernel.tracing = world.tracing;
  const { resolve } = world;
  if (resolve !== undefined) kernel.code.resolve = resolve;
  system.closeWorld = async () => world.close?.();
  try {
    await pool?.start(kernel);
    if (pool !== undefined) system.watchLoop();
    if (options.store !== undefined) system.keepState(options.store);
  } catch (error) {
    await system.stop({ deadlineMs: JOIN_MS });
    throw error;
  }
  return { system, kernel };
}

class RunningSystem implements System {
  readonly name: string;
  readonly ended: Promise<ExitCause>;
  closeWorld: () => Promise<void> = async () => undefined;
  readonly #kernel: Kernel;
  readonly #pool: ThreadPool | undefined;
  readonly #observers: Observers;
  readonly #root: ChildSet;
  readonly #end = createDeferred<ExitCause>();
  /** Inline nobody looks: the loop is the host's. */
  #heartbeat: Heartbeat | undefined = undefined;
  #firstId: string | undefined = undefined;
  #cause: ExitCause = { kind: 'stopped', code: 'shutdown' };
  #stopping: Promise<void> | undefined = undefined;
  #isTreeStopping = false;
  readonly #treeEnded = createDeferred<void>();

  constructor(name: string, kernel: Kernel, pool: ThreadPool | undefined, observers: Observers) {
    this.name = name;
    this.#kernel = kernel;
    this.#pool = pool;
    this.#observers = observers;
    this.ended = this.#end.promise;
    this.#root = new ChildSet(
      { strategy: 'one_for_one', intensity: 0, periodMs: 1, startTimeoutMs: 120_000 },
      {
        host: kernel.host,
        address: name,
        place: (spec, owner) => kernel.createRoot(`${name}/${spec.id}`, spec, owner),
        escalate: (cause) => this.#over(cause),
        shutDown: () => undefined,
        childEnded: (ended) => {
          if (ended.id === this.#firstId && !this.#isTreeStopping) this.#cause = ended.cause;
        },
        removed: (id, cause) => {
          if (id === this.#firstId) this.#over(cause);
        },
        inspection: observers,
      },
    );
  }

  watchLoop(): void {
    this.#heartbeat = new Heartbeat(this.#kernel.host, () => this.#observers.look());
  }

  /**
   * The first child of the root, so that it stops last, for as long as the whole stop may take. Its crash ends the system:
   * what it held is lost.
   */
  keepState(store: Store): void {
    const args: KeeperArgs = {
      store,
      host: this.#kernel.host,
      ask: (ref, kind, payload, deadline) => this.ask(ref, kind, payload, deadline),
      failed: (code) => this.#tell({ type: 'store.failed', code }),
    };
    const shutdownTimeoutMs = Number.MAX_SAFE_INTEGER;
    const spec = child(keeperActor, { id: KEEPER_ID, args, placement: 'main', shutdownTimeoutMs });
    this.#root.spawn(spec as ChildSpec<unknown, unknown>);
  }

  spawn<P, A>(spec: ChildSpec<P, A>): ActorRef<P> {
    this.#firstId ??= spec.id;
    // Nobody is above the root to bring its children back: their end is the host's to judge.
    return this.#root.spawn({ ...spec, restart: 'temporary' } as ChildSpec<
      unknown,
      unknown
    >) as ActorRef<P>;
  }

  async started(ref: ActorRef<unknown>): Promise<void> {
    await this.#root.whenStarted(ref);
  }

  tell<P, K extends Kind<P>>(ref: ActorRef<P>, kind: K, payload: In<P, K>): boolean {
    return this.#kernel.send(ref, kind, pack(payload), this.#kernel.tracing?.current());
  }

  ask<P, K extends AskKinds<P>>(
    ref: ActorRef<P>,
    kind: K,
    payload: In<P, K>,
    deadline: Deadline,
  ): Promise<Out<P, K>> {
    const end = new PromiseEnd();
    const request = { ref, kind, payload: pack(payload), deadline, chain: [], trace: undefined };
    this.#kernel.ask(request, end);
    return end.promise as Promise<Out<P, K>>;
  }

  ready(ref: ActorRef<unknown>, deadline: Deadline): Promise<number> {
    const end = new PromiseEnd();
    this.#kernel.ready(ref, deadline, end);
    return end.promise as Promise<number>;
  }

  async inspect(): Promise<SystemSnapshot> {
    const counters: Record<string, number> = {
      ...this.#kernel.counters,
      asks_timed_out: this.#kernel.asks.timedOut,
      asks_open: this.#kernel.asks.size,
      observer_failures: this.#observers.failures,
    };
    const threads = (await this.#pool?.inspect()) ?? [];
    for (const thread of threads) {
      for (const [name, count] of Object.entries(thread.counters))
        counters[name] = (counters[name] ?? 0) + count;
    }
    const own = this.#kernel.snapshot();
    const actors = [...own, ...threads.flatMap((thread) => thread.actors)];
    return {
      actors: actors.sort((a, b) => (a.path < b.path ? -1 : 1)),
      threads: [
        {
          name: 'main',
          state: 'running',
          restarts: 0,
          actors: own.length,
          loopDelayMs: this.#heartbeat?.delays() ?? NO_DELAY,
          externalBytes: externalBytes(),
        },
        ...threads.map(({ counters: _counters, actors: placed, ...thread }) => ({
          ...thread,
          actors: placed.length,
        })),
      ],
      counters,
    };
  }

  observe(listener: (event: SystemEvent) => unknown): () => void {
    return this.#observers.add(listener);
  }

  async stop(options: StopOptions = {}): Promise<void> {
    checkPhases(options.phases ?? []);
    this.#stopping ??= this.#stop(options);
    await this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop({ deadlineMs = DEFAULT_STOP_DEADLINE_MS, phases = [] }: StopOptions): Promise<void> {
    const { host } = this.#kernel;
    const endMs = host.monotonicMs() + deadlineMs;
    if (phases.length > 0)
      await runPhases(phases, {
        host,
        endMs: endMs - Math.min(TREE_MS, deadlineMs / 4),
        treeEnded: this.#treeEnded.promise,
        ended: (phase, code) => this.#tell({ type: 'phase.ended', phase, code }),
      });
    this.#isTreeStopping = true;
    const leftMs = Math.max(0, endMs - host.monotonicMs());
    const shareMs = Math.min(JOIN_MS, leftMs / 4);
    this.#heartbeat?.stop();
    try {
      await this.#within(this.#root.stopAll(), leftMs - 2 * shareMs);
      this.#root.killAll('shutdown_timeout');
      await this.#pool?.stop(shareMs);
      await this.#within(this.closeWorld(), shareMs);
    } finally {
      this.#kernel.asks.stop();
      this.#kernel.close();
      this.#tell({ type: 'system.stopped', cause: this.#cause });
      this.#end.resolve(this.#cause);
    }
  }

  async #within(work: Promise<void>, ms: number): Promise<void> {
    const late = createDeferred<void>();
    const timer = this.#kernel.host.setTimer(ms, () => late.resolve());
    try {
      await Promise.race([work, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  #tell(event: SystemEvent): void {
    if (this.#observers.hears(event.type)) this.#observers.emit(event);
  }

  /** The tree has ended by itself, perhaps before the phases of a stop have. */
  #over(cause: ExitCause): void {
    if (this.#isTreeStopping) return;
    this.#cause = cause;
    this.#treeEnded.resolve();
    // Whoever calls `stop` hears how it failed; that it is over is told by `ended`.
    this.stop().catch(() => undefined);
  }
}

function checkOptions(options: SystemOptions): void {
  if (!/^[a-z][a-z0-9_-]{0,31}$/.test(options.name)) {
    throw new RuntimeError(
      'bad_option',
      `name is '${options.name}', expected lower-case letters, digits, - and _`,
    );
  }
  if (options.host !== undefined && options.threads !== 'inline') {
    throw new RuntimeError('bad_option', "host is given, expected threads: 'inline'");
  }
  if (options.threads !== 'inline' && !(options.threads.pool >= 1 && options.threads.pool <= 64)) {
    throw new RuntimeError(
      'bad_option',
      `threads.pool is ${options.threads.pool}, expected 1 to 64, or threads: 'inline'`,
    );
  }
  if (options.threads !== 'inline') checkGroups(options.threads);
}

function checkGroups({ pool, groups = {} }: ThreadOptions): void {
  for (const [name, { threads }] of Object.entries(groups)) {
    const isInPool = (thread: number) => Number.isInteger(thread) && thread >= 0 && thread < pool;
    if (threads.length > 0 && threads.every(isInPool)) continue;
    throw new RuntimeError(
      'bad_option',
      `threads.groups.${name}.threads is [${threads.join(', ')}], expected one or more of 0 to ${pool - 1}`,
    );
  }
}
