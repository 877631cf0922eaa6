/** Makes a system: the main thread's kernel, its pool of threads, and the root of the tree. */
import type { ActorRef, Asks as AskKinds, Deadline, ExitCause, In, Kind, Out } from './actor.ts';
import { type ChildSpec, checkChildSpec } from './child-spec.ts';
import { createDeferred } from './deferred.ts';
import { RuntimeError } from './errors.ts';
import { createNodeHost } from './host/node-host.ts';
import { PromiseEnd } from './kernel/asks.ts';
import { Kernel } from './kernel/kernel.ts';
import { ChildSet } from './supervision/child-set.ts';
import type {
  System,
  SystemEvent,
  SystemOptions,
  SystemSnapshot,
  ThreadOptions,
  ThreadSetup,
} from './system.ts';
import { FlightRecorder } from './thread/flight-recorder.ts';
import { resolveByImport } from './thread/resolve.ts';
import { ThreadPool } from './thread/thread-pool.ts';

const DEFAULT_STOP_DEADLINE_MS = 24_000;
/** At most so much of it the threads get to join, and the main thread's world to close. */
const JOIN_MS = 2_000;

/**
 * A running system: its threads are up and their setups have run. Rejects with the setup's error, or `bad_option`.
 * It installs no signal handler and never ends the process.
 */
export async function createSystem(options: SystemOptions): Promise<System> {
  checkOptions(options);
  const emit = createEmitter(options);
  const host = options.host ?? createNodeHost();
  const setupModule = (await import(options.thread.module)) as Record<string, unknown>;
  const setup = setupModule[options.thread.export];
  if (typeof setup !== 'function') {
    throw new RuntimeError(
      'unknown_module',
      `${options.thread.module} exports no thread setup '${options.thread.export}'`,
    );
  }
  let resolve = resolveByImport;
  const pool =
    options.threads === 'inline'
      ? undefined
      : new ThreadPool({
          ...options.threads,
          name: options.name,
          thread: options.thread,
          host,
          emit,
        });
  const kernel: Kernel = new Kernel({
    thread: 'main',
    host,
    recorder: new FlightRecorder(),
    emit,
    resolve: (module, exportName) => resolve(module, exportName),
    ...(pool === undefined
      ? {}
      : { placeElsewhere: (spec, path, owner) => pool.place(spec, path, owner) }),
    firstUid: 1,
  });
  const system = new RunningSystem(options.name, kernel, pool, emit);
  const world = await (setup as ThreadSetup)(options.thread.args, {
    name: 'main',
    isMain: true,
    clock: host,
    inspect: () => system.inspect(),
  });
  kernel.deps = world.deps;
  if (world.resolve !== undefined) resolve = world.resolve;
  system.closeWorld = async () => world.close?.();
  try {
    await pool?.start(kernel);
  } catch (error) {
    await system.stop({ deadlineMs: JOIN_MS });
    throw error;
  }
  return system;
}

class RunningSystem implements System {
  readonly name: string;
  readonly ended: Promise<ExitCause>;
  closeWorld: () => Promise<void> = async () => undefined;
  readonly #kernel: Kernel;
  readonly #pool: ThreadPool | undefined;
  readonly #root: ChildSet;
  readonly #end = createDeferred<ExitCause>();
  #firstId: string | undefined = undefined;
  #cause: ExitCause = { kind: 'stopped', code: 'shutdown' };
  #stopping: Promise<void> | undefined = undefined;

  constructor(
    name: string,
    kernel: Kernel,
    pool: ThreadPool | undefined,
    emit: (event: SystemEvent) => void,
  ) {
    this.name = name;
    this.#kernel = kernel;
    this.#pool = pool;
    this.ended = this.#end.promise;
    this.#root = new ChildSet(
      { strategy: 'one_for_one', intensity: 0, periodMs: 1, startTimeoutMs: 120_000 },
      {
        host: kernel.host,
        address: name,
        place: (spec, owner) => kernel.create(`${name}/${spec.id}`, checkChildSpec(spec), owner),
        escalate: (cause) => this.#over(cause),
        childEnded: (ended) => {
          if (ended.id === this.#firstId && this.#stopping === undefined) this.#cause = ended.cause;
        },
        removed: (id, cause) => {
          if (id === this.#firstId) this.#over(cause);
        },
        emit,
      },
    );
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
    return this.#kernel.send(ref, kind, payload, undefined);
  }

  ask<P, K extends AskKinds<P>>(
    ref: ActorRef<P>,
    kind: K,
    payload: In<P, K>,
    deadline: Deadline,
  ): Promise<Out<P, K>> {
    const end = new PromiseEnd();
    this.#kernel.ask({ ref, kind, payload, deadline, chain: [], trace: undefined }, end);
    return end.promise as Promise<Out<P, K>>;
  }

  async inspect(): Promise<SystemSnapshot> {
    const counters: Record<string, number> = {
      ...this.#kernel.counters,
      asks_timed_out: this.#kernel.asks.timedOut,
      asks_open: this.#kernel.asks.size,
    };
    const threads = (await this.#pool?.inspect()) ?? [];
    for (const thread of threads) {
      for (const [name, count] of Object.entries(thread.counters))
        counters[name] = (counters[name] ?? 0) + count;
    }
    const actors = [...this.#kernel.snapshot(), ...threads.flatMap((thread) => thread.actors)];
    return {
      actors: actors.sort((a, b) => (a.path < b.path ? -1 : 1)),
      threads: [
        { name: 'main', state: 'running', restarts: 0, actors: this.#kernel.snapshot().length },
        ...threads.map(({ name, state, restarts, actors: own }) => ({
          name,
          state,
          restarts,
          actors: own.length,
        })),
      ],
      counters,
    };
  }

  stop(options: { readonly deadlineMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.deadlineMs ?? DEFAULT_STOP_DEADLINE_MS);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(deadlineMs: number): Promise<void> {
    const shareMs = Math.min(JOIN_MS, deadlineMs / 4);
    try {
      await this.#within(this.#root.stopAll(), deadlineMs - 2 * shareMs);
      this.#root.killAll('shutdown_timeout');
      await this.#pool?.stop(shareMs);
      await this.#within(this.closeWorld(), shareMs);
    } finally {
      this.#kernel.asks.stop();
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

  #over(cause: ExitCause): void {
    if (this.#stopping !== undefined) return;
    this.#cause = cause;
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

/** An observer that throws must not bring an actor down. */
function createEmitter(options: SystemOptions): (event: SystemEvent) => void {
  const { onEvent } = options;
  if (onEvent === undefined) return () => undefined;
  return (event) => {
    try {
      onEvent(event);
    } catch {
      return;
    }
  };
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
