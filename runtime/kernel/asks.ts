/** The asks of one thread that wait for a reply: each ends once, by its reply, its deadline, its signal or a loss. */

import { type AskCode, AskError } from '../errors.ts';
import type { Host, Timer } from '../host/host.ts';

/** One sweep for all deadlines instead of a timer per ask; a deadline is kept to within this. */
const SWEEP_MS = 25;
const LIMIT = 65_536;

/** What an asked actor's thread knows of an ask. It is replied to exactly once. */
export interface AskEnvelope {
  readonly isAsk: true;
  readonly deadlineMs: number;
  readonly trace: string | undefined;
  /** Paths of the actors that wait for this ask, outermost first. */
  readonly chain: readonly string[];
  reply(value: unknown): void;
  fail(code: AskCode, detail: string): void;
}

export function isAsk(meta: unknown): meta is AskEnvelope {
  return typeof meta === 'object' && meta !== null;
}

export interface AskOptions {
  readonly address: string;
  readonly kind: string;
  readonly inMs: number;
  readonly trace: string | undefined;
  readonly chain: readonly string[];
}

/** Who hears how an ask ended: one of the two, once. */
export interface AskEnd {
  replied(value: unknown): void;
  failed(error: AskError): void;
}

/** An asker that waits for a promise. */
export class PromiseEnd implements AskEnd {
  replied!: (value: unknown) => void;
  failed!: (error: AskError) => void;
  readonly promise = new Promise<unknown>((resolve, reject) => {
    this.replied = resolve;
    this.failed = reject;
  });
}

/** An ask of this thread: what waits for its end, and to an actor of this thread the envelope too. */
export class OpenAsk implements AskEnvelope {
  readonly isAsk = true;
  readonly id: number;
  readonly address: string;
  readonly kind: string;
  readonly deadlineMs: number;
  readonly trace: string | undefined;
  readonly chain: readonly string[];
  /** The thread slot it waits for; -1 for this thread. */
  slot = -1;
  removeListener: (() => void) | undefined = undefined;
  readonly #asks: Asks;
  readonly #end: AskEnd;

  constructor(asks: Asks, id: number, nowMs: number, options: AskOptions, end: AskEnd) {
    this.#asks = asks;
    this.#end = end;
    this.id = id;
    this.address = options.address;
    this.kind = options.kind;
    this.deadlineMs = nowMs + options.inMs;
    this.trace = options.trace;
    this.chain = options.chain;
  }

  reply(value: unknown): void {
    if (this.#asks.close(this)) this.#end.replied(value);
  }

  fail(code: AskCode, detail: string): void {
    if (!this.#asks.close(this)) return;
    this.#end.failed(new AskError(code, this.address, this.kind, { detail }));
  }
}

export class Asks {
  readonly #host: Host;
  readonly #open = new Map<number, OpenAsk>();
  #nextId = 1;
  #sweep: Timer | undefined = undefined;
  timedOut = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  get size(): number {
    return this.#open.size;
  }

  open(options: AskOptions, signal: AbortSignal | undefined, end: AskEnd): OpenAsk {
    const id = this.#nextId;
    this.#nextId += 1;
    const ask = new OpenAsk(this, id, this.#host.monotonicMs(), options, end);
    this.#open.set(id, ask);
    if (this.#open.size > LIMIT) ask.fail('too_many_asks', `${LIMIT} are open`);
    else if (signal !== undefined) listen(ask, signal);
    if (this.#sweep === undefined && this.#open.size > 0) this.#planSweep();
    return ask;
  }

  isOpen(ask: OpenAsk): boolean {
    return this.#open.has(ask.id);
  }

  /** For the ask itself, before it settles; false where it had ended already. */
  close(ask: OpenAsk): boolean {
    if (!this.#open.delete(ask.id)) return false;
    ask.removeListener?.();
    return true;
  }

  /** What is left of its time; undefined when it has ended. */
  leftMs(id: number): number | undefined {
    const ask = this.#open.get(id);
    if (ask === undefined) return undefined;
    return Math.max(0, ask.deadlineMs - this.#host.monotonicMs());
  }

  waitFor(id: number, slot: number): void {
    const ask = this.#open.get(id);
    if (ask !== undefined) ask.slot = slot;
  }

  resolve(id: number, value: unknown): void {
    this.#open.get(id)?.reply(value);
  }

  fail(id: number, code: AskCode, detail: string): void {
    this.#open.get(id)?.fail(code, detail);
  }

  /** Ends every ask that waits for a thread slot, or all. */
  failAll(code: AskCode, detail: string, slot?: number): void {
    for (const ask of this.#open.values()) {
      if (slot === undefined || ask.slot === slot) ask.fail(code, detail);
    }
  }

  /** Ends all of them, and itself. */
  stop(): void {
    this.failAll('actor_dead', 'the system has stopped');
    this.#sweep?.cancel();
    this.#sweep = undefined;
  }

  #planSweep(): void {
    this.#sweep = this.#host.setTimer(SWEEP_MS, () => {
      this.#sweep = undefined;
      const nowMs = this.#host.monotonicMs();
      for (const ask of this.#open.values()) {
        if (ask.deadlineMs > nowMs) continue;
        this.timedOut += 1;
        ask.fail('ask_timeout', 'no reply before the deadline');
      }
      if (this.#open.size > 0) this.#planSweep();
    });
  }
}

function listen(ask: OpenAsk, signal: AbortSignal): void {
  const abort = () => ask.fail('ask_aborted', 'its signal was aborted');
  if (signal.aborted) {
    abort();
    return;
  }
  signal.addEventListener('abort', abort, { once: true });
  ask.removeListener = () => signal.removeEventListener('abort', abort);
}
