/** One worker thread from its birth to its exit: its ports, its page, and the calls that main makes to it. */
import { createDeferred, type Deferral } from '../deferred.ts';
import { codeOf, RuntimeError } from '../errors.ts';
import type { Host, Timer } from '../host/host.ts';
import type { LinkPorts } from '../link/port.ts';
import { FlightRecorder } from './flight-recorder.ts';
import type { ThreadCalls } from './thread-control.ts';
import type { MadeThread, ThreadMaker, ThreadOrder } from './thread-maker.ts';

/** `number` counts from 1 in a system, never used twice. */
export interface ThreadBirth extends Omit<ThreadOrder, 'page'> {
  readonly host: Host;
  readonly maker: ThreadMaker;
}

/** A setup that has not run by then counts as a lost thread. */
const SETUP_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** The ports of a thread that ends close first: by then its exit is heard, with what ended it. */
const HUNG_UP_MS = 500;

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
  readonly #made: MadeThread;
  /** Calls without an answer yet, each its own: a race with one long-lived promise would keep every answer. */
  readonly #open = new Set<Deferral<never>>();
  #code = '';
  #hangUp: Timer | undefined = undefined;
  #isClosing = false;

  constructor(birth: ThreadBirth) {
    this.#birth = birth;
    this.number = birth.number;
    this.name = birth.name;
    const { number, name, setup, heard, maxHeapMb, maker } = birth;
    const { page } = this.recorder;
    const exit = createDeferred<string>();
    this.exited = exit.promise;
    this.#made = maker.make(
      { number, name, setup, heard, maxHeapMb, page },
      {
        failed: (error) => {
          this.#code ||= codeOf(error) === 'uncoded' ? 'thread_error' : codeOf(error);
        },
        unreadable: () => this.terminate('bad_frame'),
        hungUp: () => this.#hungUp(),
        exited: () => {
          this.#over();
          exit.resolve(this.#code);
        },
      },
    );
    this.ports = this.#made.ports;
  }

  /** Runs the thread setup; rejects with its error. */
  setUp(): Promise<void> {
    return this.call('setUp', (thread) => thread.setUp(), SETUP_TIMEOUT_MS);
  }

  /** A call that ends: by its answer, the thread's exit, or the deadline. */
  async call<T>(
    what: string,
    make: (thread: ThreadCalls) => Promise<T>,
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
      return await Promise.race([make(this.#made.calls), late.promise]);
    } finally {
      this.#open.delete(late);
      timer.cancel();
    }
  }

  /** Gives it its end of a direct link to another worker. */
  async connectTo(peer: number, ports: LinkPorts): Promise<void> {
    await this.call('connect', () => this.#made.connect(peer, ports), CONNECT_TIMEOUT_MS);
  }

  /** Asks it to end by itself, terminates it at the deadline. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosing = true;
    this.#hangUp?.cancel();
    const late = createDeferred<void>();
    const timer = this.#birth.host.setTimer(deadlineMs, () => late.resolve());
    this.call('close', (thread) => thread.close(), deadlineMs).catch(() => late.resolve());
    await Promise.race([this.exited, late.promise]);
    timer.cancel();
    await this.#made.terminate();
  }

  /** It ends now; the first code that is given is that of its end. */
  terminate(code: string): void {
    this.#code ||= code;
    void this.#made.terminate();
  }

  /** One that lives on without one of its ports hears nothing, or is not heard. */
  #hungUp(): void {
    if (this.isOver || this.#isClosing) return;
    this.#hangUp ??= this.#birth.host.setTimer(HUNG_UP_MS, () => this.terminate('link_closed'));
  }

  #over(): void {
    this.#hangUp?.cancel();
    this.#code ||= 'thread_exit';
    this.isOver = true;
    for (const call of this.#open) call.reject(this.#gone());
  }

  #gone(): RuntimeError {
    const message = `${this.#birth.name} is gone: ${this.#code}`;
    return new RuntimeError('thread_unavailable', message, { retryable: true });
  }
}
