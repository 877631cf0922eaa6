/** A place for a thread: the worker that runs there now, its loss and its replacement. The slot outlives its workers. */
import { createDeferred, type Deferral } from '../deferred.ts';
import { RuntimeError } from '../errors.ts';
import type { Host, Timer } from '../host/host.ts';
import type { LinkPorts } from '../link/port.ts';
import { ThreadCounters } from '../observe/thread-counters.ts';
import type { Recording } from './flight-recorder.ts';
import type { Thread } from './thread.ts';
import type { ThreadCalls } from './thread-control.ts';
import { Watchdog, type WatchdogLimits } from './watchdog.ts';

export interface ThreadLoss {
  readonly code: string;
  readonly recording: Recording;
}

export interface ThreadSlotOptions {
  readonly slot: number;
  readonly name: string;
  readonly isUrgent: boolean;
  readonly limits: WatchdogLimits;
  readonly host: Host;
  /** A thread whose setup has run. */
  take(): Promise<Thread>;
  /** A thread has this place: its link can be made. */
  connect(slot: ThreadSlot, ports: LinkPorts): void;
  ready(slot: ThreadSlot): void;
  /** None could be made; it is tried again, ever later. */
  notStarted(slot: ThreadSlot, error: unknown): void;
  stalled(slot: ThreadSlot, forMs: number, recording: Recording): void;
  /** Whether an actor is charged with the loss. */
  lost(slot: ThreadSlot, loss: ThreadLoss): boolean;
}

/** Told of in one call. */
const DISPOSED_AT_ONCE = 1_024;
const DISPOSE_TIMEOUT_MS = 1_000;
const ADOPT_TIMEOUT_MS = 5_000;
const RESPAWN_MIN_MS = 100;
const RESPAWN_MAX_MS = 10_000;
/** A thread that lived so long is replaced at once. */
const RESPAWN_RESET_MS = 10_000;

export class ThreadSlot {
  readonly slot: number;
  readonly name: string;
  readonly counters = new ThreadCounters();
  readonly #options: ThreadSlotOptions;
  readonly #watchdog: Watchdog;
  #thread: Thread | undefined = undefined;
  #ready: Deferral<void> = createDeferred<void>();
  #respawn: Timer | undefined = undefined;
  #startedAtMs = 0;
  /** In a row, that no actor answers for. */
  #losses = 0;
  /** Uids of children that are not coming back, of which the thread has not heard. */
  #disposed: number[] = [];
  #isStopping = false;
  state: 'starting' | 'running' | 'lost' = 'starting';
  restarts = 0;
  /** Children placed here. */
  actors = 0;

  constructor(options: ThreadSlotOptions) {
    this.#options = options;
    this.slot = options.slot;
    this.name = options.name;
    this.#watchdog = new Watchdog(options.host, options.limits, {
      stalled: (forMs, recording) => options.stalled(this, forMs, recording),
      bites: (code) => this.kill(code),
    });
    this.#guard();
  }

  /** Settles when a thread runs here, after a loss the next one. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Rejects with the setup's error. */
  async start(): Promise<void> {
    await this.#install(await this.#take());
  }

  /** The name of the thread that runs here now; '' while none does. */
  get worker(): string {
    return this.#thread?.name ?? '';
  }

  /** Of its buffers, at its last beat. */
  get externalBytes(): number {
    return this.#thread?.recorder.externalBytes ?? 0;
  }

  /** A call that ends: by its answer, the thread's loss, or the deadline. */
  async call<T>(
    what: string,
    make: (thread: ThreadCalls) => Promise<T>,
    deadlineMs: number,
  ): Promise<T> {
    this.#tellDisposed();
    return this.#running().call(what, make, deadlineMs);
  }

  /** Forgets a child that is not coming back: before the next call, and together with those that go in the same turn. */
  dispose(uid: number): void {
    this.#disposed.push(uid);
    if (this.#disposed.length === 1) this.#options.host.nextTurn(() => this.#tellDisposed());
  }

  async connectTo(peer: number, ports: LinkPorts): Promise<void> {
    await this.#running().connectTo(peer, ports);
  }

  /** Asks the thread to end by itself, terminates it at the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    this.#tellDisposed();
    this.#respawn?.cancel();
    this.#watchdog.stop();
    if (this.state === 'running') await this.#thread?.close(deadlineMs);
    else this.#thread?.terminate('shutdown');
    await this.#thread?.exited;
  }

  /** Its thread ends now, and another one takes its place. */
  kill(code: string): void {
    this.#thread?.terminate(code);
  }

  #tellDisposed(): void {
    const disposed = this.#disposed;
    if (disposed.length === 0) return;
    this.#disposed = [];
    const thread = this.#thread;
    // Whom a lost thread held went with it.
    if (thread === undefined || this.state === 'lost') return;
    for (let from = 0; from < disposed.length; from += DISPOSED_AT_ONCE) {
      const uids = disposed.slice(from, from + DISPOSED_AT_ONCE);
      thread
        .call('dispose', (calls) => calls.dispose(uids), DISPOSE_TIMEOUT_MS)
        .catch(() => undefined);
    }
  }

  #running(): Thread {
    if (this.#thread !== undefined && this.state !== 'lost') return this.#thread;
    const message = `${this.name} is not running`;
    throw new RuntimeError('thread_unavailable', message, { retryable: true });
  }

  #exited(thread: Thread, code: string): void {
    this.#thread = undefined;
    this.#disposed = [];
    this.#watchdog.stop();
    this.state = 'lost';
    if (this.#isStopping) return;
    const { host } = this.#options;
    this.restarts += 1;
    this.counters.lost();
    this.#ready = createDeferred<void>();
    this.#guard();
    const isCharged = this.#options.lost(this, { code, recording: thread.recorder.read() });
    const livedMs = host.monotonicMs() - this.#startedAtMs;
    // Whoever is charged waits itself; a thread that nobody answers for must not be made again and again.
    this.#losses = isCharged || livedMs > RESPAWN_RESET_MS ? 0 : this.#losses + 1;
    if (this.#losses <= 1) this.#replace();
    else {
      const delayMs = Math.min(RESPAWN_MAX_MS, RESPAWN_MIN_MS * 2 ** (this.#losses - 2));
      this.#respawn = host.setTimer(delayMs, () => this.#replace());
    }
  }

  #replace(): void {
    this.#take().then(
      // Its exit is heard by itself, and is what has it replaced.
      (thread) => this.#install(thread).catch(() => thread.terminate('start_failed')),
      (error: unknown) => {
        if (this.#isStopping) return;
        this.#options.notStarted(this, error);
        this.#retry();
      },
    );
  }

  #take(): Promise<Thread> {
    this.state = 'starting';
    this.#startedAtMs = this.#options.host.monotonicMs();
    return this.#options.take();
  }

  async #install(thread: Thread): Promise<void> {
    const { slot, name, isUrgent } = this.#options;
    if (this.#isStopping) {
      thread.terminate('shutdown');
      throw new RuntimeError('system_stopped', `${name} is stopping`);
    }
    this.#thread = thread;
    void thread.exited.then((code) => this.#exited(thread, code));
    this.#options.connect(this, thread.ports);
    const place = { slot, name, isUrgent };
    await thread.call('adopt', (calls) => calls.adopt(place), ADOPT_TIMEOUT_MS);
    this.state = 'running';
    this.#watchdog.watch(thread.recorder);
    this.#ready.resolve();
    this.#options.ready(this);
  }

  #retry(): void {
    this.#losses += 1;
    const delayMs = Math.min(RESPAWN_MAX_MS, RESPAWN_MIN_MS * 2 ** this.#losses);
    this.#respawn = this.#options.host.setTimer(delayMs, () => this.#replace());
  }

  /** Nobody may be waiting when it rejects. */
  #guard(): void {
    this.#ready.promise.catch(() => undefined);
  }
}
