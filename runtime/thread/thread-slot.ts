/** A place for a thread: the worker that runs there now, its loss and its replacement. The slot outlives its workers. */

import { extname } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { type Remote, transfer, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { createDeferred, type Deferral } from '../deferred.ts';
import { codeOf, RuntimeError } from '../errors.ts';
import type { Host, Timer } from '../host/host.ts';
import type { LinkPorts } from '../link/link.ts';
import { FlightRecorder, type Recording } from './flight-recorder.ts';
import type { ThreadControl, WorkerBirth } from './thread-control.ts';

export interface ThreadLoss {
  readonly code: string;
  readonly recording: Recording;
}

export interface ThreadSlotOptions {
  readonly slot: number;
  readonly name: string;
  readonly thread: WorkerBirth['thread'];
  readonly isUrgent: boolean;
  readonly stallKillMs: number;
  readonly maxHeapMb: number;
  readonly host: Host;
  /** A worker is up, its setup not yet run: its link can be made. */
  connect(slot: ThreadSlot, ports: LinkPorts): void;
  ready(slot: ThreadSlot): void;
  stalled(slot: ThreadSlot, forMs: number, recording: Recording): void;
  lost(slot: ThreadSlot, loss: ThreadLoss): void;
}

/** A setup that has not run by then counts as a lost thread. */
const SETUP_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
const RESPAWN_MIN_MS = 100;
const RESPAWN_MAX_MS = 10_000;
/** A thread that lived so long is replaced at once. */
const RESPAWN_RESET_MS = 10_000;

export class ThreadSlot {
  readonly slot: number;
  readonly name: string;
  readonly #options: ThreadSlotOptions;
  #worker: Worker | undefined = undefined;
  #calls: Remote<ThreadControl> | undefined = undefined;
  #callsPort: MessagePort | undefined = undefined;
  #recorder = new FlightRecorder();
  #ready: Deferral<void> = createDeferred<void>();
  /** Calls without an answer yet, each its own: a race with one long-lived promise would keep every answer. */
  readonly #open = new Set<Deferral<never>>();
  #whenExited: Deferral<void> = createDeferred<void>();
  #watchdog: Timer | undefined = undefined;
  #respawn: Timer | undefined = undefined;
  #lossCode = '';
  #startedAtMs = 0;
  #losses = 0;
  #isStopping = false;
  state: 'starting' | 'running' | 'lost' = 'starting';
  restarts = 0;
  /** Children placed here. */
  actors = 0;

  constructor(options: ThreadSlotOptions) {
    this.#options = options;
    this.slot = options.slot;
    this.name = options.name;
    this.#guard();
  }

  /** Settles when the thread's setup has run, after a loss that of the next worker. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  async start(): Promise<void> {
    this.state = 'starting';
    this.#startedAtMs = this.#options.host.monotonicMs();
    this.#recorder = new FlightRecorder();
    const calls = new MessageChannel();
    const data = new MessageChannel();
    const control = new MessageChannel();
    const birth: WorkerBirth = {
      name: this.name,
      slot: this.slot,
      page: this.#recorder.page,
      isUrgent: this.#options.isUrgent,
      thread: this.#options.thread,
      calls: calls.port2,
      data: data.port2,
      control: control.port2,
    };
    const worker = new Worker(
      new URL(`./worker-entry${extname(import.meta.url)}`, import.meta.url),
      {
        workerData: birth,
        transferList: [calls.port2, data.port2, control.port2],
        name: this.name,
        resourceLimits: { maxOldGenerationSizeMb: this.#options.maxHeapMb },
      },
    );
    this.#worker = worker;
    worker.on('error', (error) => {
      this.#lossCode = codeOf(error) === 'uncoded' ? 'thread_error' : codeOf(error);
    });
    worker.on('messageerror', () => void worker.terminate());
    worker.on('exit', () => this.#exited(worker));
    this.#callsPort = calls.port1;
    this.#calls = wrap<ThreadControl>(nodeEndpoint(calls.port1));
    this.#options.connect(this, { data: data.port1, control: control.port1 });
    await this.call('setUp', (thread) => thread.setUp(), SETUP_TIMEOUT_MS);
    this.state = 'running';
    this.#watch(this.#recorder.heartbeat, this.#options.host.monotonicMs());
    this.#ready.resolve();
    this.#options.ready(this);
  }

  /** A call that ends: by its answer, the thread's loss, or the deadline. */
  async call<T>(
    name: string,
    make: (thread: Remote<ThreadControl>) => Promise<T>,
    deadlineMs: number,
  ): Promise<T> {
    const calls = this.#calls;
    if (calls === undefined || this.state === 'lost') {
      throw new RuntimeError('thread_unavailable', `${this.name} is not running`, {
        retryable: true,
      });
    }
    const late = createDeferred<never>();
    const timer = this.#options.host.setTimer(deadlineMs, () => {
      late.reject(
        new RuntimeError(
          'control_timeout',
          `${this.name} did not answer ${name} in ${deadlineMs} ms`,
        ),
      );
    });
    this.#open.add(late);
    try {
      return await Promise.race([make(calls), late.promise]);
    } finally {
      this.#open.delete(late);
      timer.cancel();
    }
  }

  async connectTo(peer: number, { data, control }: LinkPorts): Promise<void> {
    await this.call(
      'connect',
      (thread) => thread.connect(peer, transfer(data, [data]), transfer(control, [control])),
      CONNECT_TIMEOUT_MS,
    );
  }

  /** Asks the thread to end by itself, terminates it at the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    this.#respawn?.cancel();
    this.#watchdog?.cancel();
    const worker = this.#worker;
    if (worker === undefined) return;
    const late = createDeferred<void>();
    const timer = this.#options.host.setTimer(deadlineMs, () => late.resolve());
    if (this.state === 'running') {
      this.call('close', (thread) => thread.close(), deadlineMs).catch(() => late.resolve());
    } else late.resolve();
    await Promise.race([this.#whenExited.promise, late.promise]);
    timer.cancel();
    await worker.terminate();
  }

  /** Its thread ends now, and another one takes its place; no actor of it is charged. */
  kill(code: string): void {
    this.#lossCode = code;
    void this.#worker?.terminate();
  }

  #exited(worker: Worker): void {
    if (worker !== this.#worker) return;
    const { host } = this.#options;
    this.#worker = undefined;
    this.#calls = undefined;
    this.#callsPort?.close();
    this.#watchdog?.cancel();
    this.state = 'lost';
    this.#whenExited.resolve();
    const code = this.#lossCode === '' ? 'thread_exit' : this.#lossCode;
    this.#lossCode = '';
    const gone = `${this.name} is gone: ${code}`;
    for (const call of this.#open)
      call.reject(new RuntimeError('thread_unavailable', gone, { retryable: true }));
    if (this.#isStopping) return;
    this.restarts += 1;
    this.#losses = host.monotonicMs() - this.#startedAtMs > RESPAWN_RESET_MS ? 0 : this.#losses + 1;
    this.#ready = createDeferred<void>();
    this.#whenExited = createDeferred<void>();
    this.#guard();
    this.#options.lost(this, { code, recording: this.#recorder.read() });
    const delayMs =
      this.#losses <= 1 ? 0 : Math.min(RESPAWN_MAX_MS, RESPAWN_MIN_MS * 2 ** (this.#losses - 2));
    this.#respawn = host.setTimer(delayMs, () => {
      this.start().catch(() => this.#worker?.terminate());
    });
  }

  /** Nobody may be waiting when it rejects. */
  #guard(): void {
    this.#ready.promise.catch(() => undefined);
  }

  #watch(lastBeat: number, sinceMs: number): void {
    const { host, stallKillMs } = this.#options;
    this.#watchdog = host.setTimer(stallKillMs / 4, () => {
      const beat = this.#recorder.heartbeat;
      const nowMs = host.monotonicMs();
      if (beat !== lastBeat) {
        this.#watch(beat, nowMs);
        return;
      }
      if (nowMs - sinceMs < stallKillMs) {
        this.#watch(lastBeat, sinceMs);
        return;
      }
      this.#lossCode = 'thread_stalled';
      this.#options.stalled(this, nowMs - sinceMs, this.#recorder.read());
      void this.#worker?.terminate();
    });
  }
}
