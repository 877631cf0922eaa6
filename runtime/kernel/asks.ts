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

interface Pending {
  readonly address: string;
  readonly kind: string;
  readonly deadlineMs: number;
  resolve(value: unknown): void;
  reject(error: AskError): void;
  /** The thread slot it waits for; -1 for this thread. */
  slot: number;
  removeListener: (() => void) | undefined;
}

export class Asks {
  readonly #host: Host;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #sweep: Timer | undefined = undefined;
  timedOut = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Opens an ask; `promise` settles however it ends. */
  open(
    address: string,
    kind: string,
    inMs: number,
    signal: AbortSignal | undefined,
  ): { readonly id: number; readonly promise: Promise<unknown> } {
    const id = this.#nextId;
    this.#nextId += 1;
    const promise = new Promise<unknown>((resolve, reject) => {
      if (this.#pending.size >= LIMIT) {
        reject(new AskError('too_many_asks', address, kind, { detail: `${LIMIT} are open` }));
        return;
      }
      const deadlineMs = this.#host.monotonicMs() + inMs;
      const pending: Pending = {
        address,
        kind,
        deadlineMs,
        resolve,
        reject,
        slot: -1,
        removeListener: undefined,
      };
      this.#pending.set(id, pending);
      if (signal !== undefined) this.#listen(id, pending, signal);
    });
    if (this.#sweep === undefined && this.#pending.size > 0) this.#planSweep();
    return { id, promise };
  }

  /** What is left of its time; undefined when it has ended. */
  leftMs(id: number): number | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    return Math.max(0, pending.deadlineMs - this.#host.monotonicMs());
  }

  waitFor(id: number, slot: number): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined) pending.slot = slot;
  }

  resolve(id: number, value: unknown): void {
    this.#take(id)?.resolve(value);
  }

  fail(id: number, code: AskCode, detail: string): void {
    const pending = this.#take(id);
    if (pending === undefined) return;
    pending.reject(new AskError(code, pending.address, pending.kind, { detail }));
  }

  /** Ends every ask that waits for a thread slot, or all. */
  failAll(code: AskCode, detail: string, slot?: number): void {
    for (const [id, pending] of this.#pending) {
      if (slot === undefined || pending.slot === slot) this.fail(id, code, detail);
    }
  }

  close(): void {
    this.failAll('actor_dead', 'the system has stopped');
    this.#sweep?.cancel();
    this.#sweep = undefined;
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.removeListener?.();
    return pending;
  }

  #listen(id: number, pending: Pending, signal: AbortSignal): void {
    const abort = () => this.fail(id, 'ask_aborted', 'its signal was aborted');
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    pending.removeListener = () => signal.removeEventListener('abort', abort);
  }

  #planSweep(): void {
    this.#sweep = this.#host.setTimer(SWEEP_MS, () => {
      this.#sweep = undefined;
      const nowMs = this.#host.monotonicMs();
      for (const [id, pending] of this.#pending) {
        if (pending.deadlineMs > nowMs) continue;
        this.timedOut += 1;
        this.fail(id, 'ask_timeout', 'no reply before the deadline');
      }
      if (this.#pending.size > 0) this.#planSweep();
    });
  }
}
