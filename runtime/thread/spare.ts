/** Makes the threads of a system, and keeps one warm: set up, with the code of the actors that run elsewhere, and no place yet. */
import { codeOf } from '../errors.ts';
import type { Host, Timer } from '../host/host.ts';
import type { Thread } from './thread.ts';

/** What an actor's code is known by. */
export interface CodeName {
  readonly module: string;
  readonly export: string;
}

export interface SpareThreadOptions {
  readonly host: Host;
  readonly isWanted: boolean;
  create(): Thread;
}

/** Who takes the spare has work for the processors first. */
const REFILL_DELAY_MS = 500;
const RETRY_DELAY_MS = 10_000;
const PRELOAD_TIMEOUT_MS = 30_000;

export class SpareThread {
  readonly #options: SpareThreadOptions;
  readonly #code = new Map<string, CodeName>();
  readonly #inSetup = new Set<Thread>();
  #warm: Thread | undefined = undefined;
  #refill: Timer | undefined = undefined;
  #isStopping = false;

  constructor(options: SpareThreadOptions) {
    this.#options = options;
  }

  /** A thread whose setup has run; rejects with its error. */
  async take(): Promise<Thread> {
    const warm = this.#warm;
    this.#warm = undefined;
    if (warm === undefined || warm.isOver) return this.#make();
    this.#plan(REFILL_DELAY_MS);
    return warm;
  }

  /** An actor with this code was placed: the spare one may have to run it. */
  heardOf(name: CodeName): void {
    const key = `${name.module}\0${name.export}`;
    if (this.#code.has(key)) return;
    this.#code.set(key, name);
    if (this.#warm !== undefined) this.#preload(this.#warm, [name]);
  }

  /** Makes it; before that there is none. */
  fill(): void {
    this.#plan(0);
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    this.#refill?.cancel();
    for (const thread of this.#inSetup) thread.terminate('shutdown');
    await Promise.all([
      this.#warm?.close(deadlineMs),
      ...Array.from(this.#inSetup, (thread) => thread.exited),
    ]);
  }

  #plan(delayMs: number): void {
    if (!this.#options.isWanted || this.#isStopping) return;
    this.#refill?.cancel();
    this.#refill = this.#options.host.setTimer(delayMs, () => {
      this.#make().then(
        (thread) => this.#keep(thread),
        () => this.#plan(RETRY_DELAY_MS),
      );
    });
  }

  #keep(thread: Thread): void {
    if (this.#isStopping || this.#warm !== undefined) {
      thread.terminate('shutdown');
      return;
    }
    this.#warm = thread;
    this.#preload(thread, [...this.#code.values()]);
    void thread.exited.then(() => {
      if (this.#warm !== thread) return;
      this.#warm = undefined;
      this.#plan(RETRY_DELAY_MS);
    });
  }

  /** What cannot be loaded is met again by the actor that needs it. */
  #preload(thread: Thread, names: readonly CodeName[]): void {
    thread
      .call('preload', (calls) => calls.preload(names), PRELOAD_TIMEOUT_MS)
      .catch((error: unknown) => codeOf(error));
  }

  async #make(): Promise<Thread> {
    const thread = this.#options.create();
    this.#inSetup.add(thread);
    try {
      await thread.setUp();
      return thread;
    } catch (error) {
      thread.terminate('setup_failed');
      throw error;
    } finally {
      this.#inSetup.delete(thread);
    }
  }
}
