/** One worker thread from its birth to its exit: its ports, its page, and the calls that main makes to it. */
import { extname } from 'node:path';
import { MessageChannel, Worker, type WorkerOptions } from 'node:worker_threads';
import { type Remote, transfer, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { createDeferred, type Deferral } from '../deferred.ts';
import { codeOf, RuntimeError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { LinkPorts } from '../link/link.ts';
import { FlightRecorder } from './flight-recorder.ts';
import type { ThreadControl, WorkerBirth } from './thread-control.ts';

/** Makes a worker thread of the runtime's entry; the options are to be passed on as they are. */
export type CreateWorker = (entry: URL, options: WorkerOptions) => Worker;

export interface ThreadBirth {
  /** Counts from 1 in a system, never used twice. */
  readonly number: number;
  readonly name: string;
  readonly setup: WorkerBirth['setup'];
  readonly heard: WorkerBirth['heard'];
  readonly maxHeapMb: number;
  readonly host: Host;
  readonly createWorker?: CreateWorker;
}

/** A setup that has not run by then counts as a lost thread. */
const SETUP_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;

export class Thread {
  readonly number: number;
  readonly name: string;
  readonly recorder = new FlightRecorder();
  /** Main's ends of its link. */
  readonly ports: LinkPorts;
  /** Settles with the code of its end, whatever ended it. */
  readonly exited: Promise<string>;
  isOver = false;
  readonly #birth: ThreadBirth;
  readonly #worker: Worker;
  readonly #calls: Remote<ThreadControl>;
  /** Calls without an answer yet, each its own: a race with one long-lived promise would keep every answer. */
  readonly #open = new Set<Deferral<never>>();
  #code = '';

  constructor(birth: ThreadBirth) {
    this.#birth = birth;
    this.number = birth.number;
    this.name = birth.name;
    const { number, name, setup, heard, maxHeapMb } = birth;
    const calls = new MessageChannel();
    const data = new MessageChannel();
    const control = new MessageChannel();
    this.ports = { data: data.port1, control: control.port1 };
    const workerData: WorkerBirth = {
      name,
      number,
      page: this.recorder.page,
      setup,
      heard,
      calls: calls.port2,
      data: data.port2,
      control: control.port2,
    };
    const create: CreateWorker =
      birth.createWorker ?? ((entry, options) => new Worker(entry, options));
    this.#worker = create(new URL(`./worker-entry${extname(import.meta.url)}`, import.meta.url), {
      workerData,
      transferList: [calls.port2, data.port2, control.port2],
      name,
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    });
    this.#worker.on('error', (error) => {
      this.#code ||= codeOf(error) === 'uncoded' ? 'thread_error' : codeOf(error);
    });
    this.#worker.on('messageerror', () => this.terminate('bad_frame'));
    this.#calls = wrap<ThreadControl>(nodeEndpoint(calls.port1));
    this.exited = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        calls.port1.close();
        this.#over();
        resolve(this.#code);
      });
    });
  }

  /** Runs the thread setup; rejects with its error. */
  setUp(): Promise<void> {
    return this.call('setUp', (thread) => thread.setUp(), SETUP_TIMEOUT_MS);
  }

  /** A call that ends: by its answer, the thread's exit, or the deadline. */
  async call<T>(
    what: string,
    make: (thread: Remote<ThreadControl>) => Promise<T>,
    deadlineMs: number,
  ): Promise<T> {
    const { host, name } = this.#birth;
    if (this.isOver) throw this.#gone();
    const late = createDeferred<never>();
    const timer = host.setTimer(deadlineMs, () => {
      const message = `${name} did not answer ${what} in ${deadlineMs} ms`;
      late.reject(new RuntimeError('control_timeout', message));
    });
    this.#open.add(late);
    try {
      return await Promise.race([make(this.#calls), late.promise]);
    } finally {
      this.#open.delete(late);
      timer.cancel();
    }
  }

  /** Gives it its end of a direct link to another worker. */
  async connectTo(peer: number, { data, control }: LinkPorts): Promise<void> {
    await this.call(
      'connect',
      (thread) => thread.connect(peer, transfer(data, [data]), transfer(control, [control])),
      CONNECT_TIMEOUT_MS,
    );
  }

  /** Asks it to end by itself, terminates it at the deadline. */
  async close(deadlineMs: number): Promise<void> {
    const late = createDeferred<void>();
    const timer = this.#birth.host.setTimer(deadlineMs, () => late.resolve());
    this.call('close', (thread) => thread.close(), deadlineMs).catch(() => late.resolve());
    await Promise.race([this.exited, late.promise]);
    timer.cancel();
    await this.#worker.terminate();
  }

  /** It ends now; the first code that is given is that of its end. */
  terminate(code: string): void {
    this.#code ||= code;
    void this.#worker.terminate();
  }

  #over(): void {
    this.#code ||= 'thread_exit';
    this.isOver = true;
    for (const call of this.#open) call.reject(this.#gone());
  }

  #gone(): RuntimeError {
    const message = `${this.#birth.name} is gone: ${this.#code}`;
    return new RuntimeError('thread_unavailable', message, { retryable: true });
  }
}
