/** The asks of one thread that wait for a reply: each ends once, by its reply, its deadline, its signal or a loss. */

import { type AskCode, AskError, codeOf } from '../errors.ts';
import type { Host, Timer } from '../host/host.ts';
import { pack, unpack } from '../transfer.ts';
import type { AskRequest } from './remotes.ts';

/** One sweep for all deadlines instead of a timer per ask; a deadline is kept to within this. */
const SWEEP_MS = 25;
const LIMIT = 65_536;
const FIRST_PLACES = 64;

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

/** Who hears how an ask ended: one of the two, once. */
export interface AskEnd {
  replied(value: unknown): void;
  failed(error: AskError): void;
}

/** What is known of an ask before it is one. */
type AskTerms = Pick<AskRequest, 'ref' | 'kind' | 'deadline' | 'trace' | 'chain'>;

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
  /** What its reply goes through, where a border stands between the actors. */
  wayBack: ((value: unknown) => unknown) | undefined = undefined;
  readonly #asks: Asks;
  readonly #end: AskEnd;

  constructor(asks: Asks, id: number, nowMs: number, request: AskTerms, end: AskEnd) {
    this.#asks = asks;
    this.#end = end;
    this.id = id;
    this.address = request.ref.address;
    this.kind = request.kind;
    this.deadlineMs = nowMs + request.deadline.inMs;
    this.trace = request.trace;
    this.chain = request.chain;
  }

  reply(value: unknown): void {
    if (!this.#asks.close(this)) return;
    let reply: unknown;
    try {
      reply = pack(value);
      if (this.wayBack !== undefined) reply = this.wayBack(reply);
    } catch (error) {
      this.#failed('not_encodable', codeOf(error));
      return;
    }
    this.#end.replied(unpack(reply));
  }

  fail(code: AskCode, detail: string, isUnsent = false): void {
    if (this.#asks.close(this)) this.#failed(code, detail, isUnsent);
  }

  #failed(code: AskCode, detail: string, isUnsent = false): void {
    this.#end.failed(new AskError(code, this.address, this.kind, { detail, isUnsent }));
  }
}

export class Asks {
  readonly #host: Host;
  /**
   * Each open ask stands at its id modulo the length, a power of two; an id whose place is taken is not given. No `Map`:
   * one that grows and shrinks with the load leaves tables behind which, once they are old, keep what was in them alive.
   */
  #open: (OpenAsk | undefined)[] = emptyPlaces(FIRST_PLACES);
  #size = 0;
  #lastId = 0;
  #sweep: Timer | undefined = undefined;
  timedOut = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  get size(): number {
    return this.#size;
  }

  open(request: AskTerms, end: AskEnd): OpenAsk {
    const id = this.#nextId();
    const ask = new OpenAsk(this, id, this.#host.monotonicMs(), request, end);
    const { signal } = request.deadline;
    this.#open[id & (this.#open.length - 1)] = ask;
    this.#size += 1;
    if (this.#size > LIMIT) ask.fail('too_many_asks', `${LIMIT} are open`);
    else if (signal !== undefined) listen(ask, signal);
    if (this.#sweep === undefined && this.#size > 0) this.#planSweep();
    return ask;
  }

  /** Undefined when it has ended. */
  at(id: number): OpenAsk | undefined {
    const ask = this.#open[id & (this.#open.length - 1)];
    return ask?.id === id ? ask : undefined;
  }

  isOpen(ask: OpenAsk): boolean {
    return this.at(ask.id) === ask;
  }

  /** For the ask itself, before it settles; false where it had ended already. */
  close(ask: OpenAsk): boolean {
    if (!this.isOpen(ask)) return false;
    this.#open[ask.id & (this.#open.length - 1)] = undefined;
    this.#size -= 1;
    ask.removeListener?.();
    return true;
  }

  /** What is left of its time; undefined when it has ended. */
  leftMs(id: number): number | undefined {
    const ask = this.at(id);
    if (ask === undefined) return undefined;
    return Math.max(0, ask.deadlineMs - this.#host.monotonicMs());
  }

  waitFor(id: number, slot: number): void {
    const ask = this.at(id);
    if (ask !== undefined) ask.slot = slot;
  }

  resolve(id: number, value: unknown): void {
    this.at(id)?.reply(value);
  }

  fail(id: number, code: AskCode, detail: string): void {
    this.at(id)?.fail(code, detail);
  }

  /** Its message has not left this thread. */
  notSent(id: number, code: AskCode): void {
    this.at(id)?.fail(code, 'not sent', true);
  }

  /** Ends every ask that waits for a thread slot, or all. */
  failAll(code: AskCode, detail: string, slot?: number): void {
    for (const ask of this.#open) {
      if (ask !== undefined && (slot === undefined || ask.slot === slot)) ask.fail(code, detail);
    }
  }

  /** Ends all of them, and itself. */
  stop(): void {
    this.failAll('actor_dead', 'the system has stopped');
    this.#sweep?.cancel();
    this.#sweep = undefined;
  }

  #nextId(): number {
    if (this.#size * 2 >= this.#open.length) this.#resize(this.#open.length * 2);
    do this.#lastId += 1;
    while (this.#open[this.#lastId & (this.#open.length - 1)] !== undefined);
    return this.#lastId;
  }

  /** Ids that differ modulo the old length differ modulo a longer one; where they do not modulo a shorter one, it stays. */
  #resize(length: number): void {
    const places = emptyPlaces(length);
    for (const ask of this.#open) {
      if (ask === undefined) continue;
      const at = ask.id & (length - 1);
      if (places[at] !== undefined) return;
      places[at] = ask;
    }
    this.#open = places;
  }

  #planSweep(): void {
    this.#sweep = this.#host.setTimer(SWEEP_MS, () => {
      this.#sweep = undefined;
      const nowMs = this.#host.monotonicMs();
      for (const ask of this.#open) {
        if (ask === undefined || ask.deadlineMs > nowMs) continue;
        this.timedOut += 1;
        ask.fail('ask_timeout', 'no reply before the deadline');
      }
      const { length } = this.#open;
      if (length > FIRST_PLACES && this.#size * 8 < length) this.#resize(length / 2);
      if (this.#size > 0) this.#planSweep();
    });
  }
}

function emptyPlaces(length: number): (OpenAsk | undefined)[] {
  return new Array<OpenAsk | undefined>(length).fill(undefined);
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
