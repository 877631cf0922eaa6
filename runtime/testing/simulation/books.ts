/** What an observer writes down of the crowd, in his own words, and the invariants that he holds the runtime to. */
import { pathOf } from '../../kernel/ref.ts';
import type { SystemEvent } from '../../system.ts';
import type { Digest } from './digest.ts';
import { charged, type Life, objectionToStop, parentPathOf } from './lives.ts';

export const INVARIANTS = [
  'fifo',
  'at_most_once',
  'refused_but_handled',
  'ask_ends_once',
  'ask_ends_in_time',
  'expired_ask_handled',
  'wrong_reply',
  'one_down_per_watch',
  'handled_after_end',
  'stop_order',
  'restart_budget',
  'mailbox_bound',
  'credits',
  'machine_state',
  'memory_moves',
  'books_balance',
  'recovery',
  'main_threw',
] as const;
export type Invariant = (typeof INVARIANTS)[number];

export interface Violation {
  readonly invariant: Invariant;
  /** What was seen, and of whom. */
  readonly detail: string;
}

type CrashReport = Extract<SystemEvent, { readonly type: 'actor.crashed' }>;

/** A deadline is kept to within a sweep of the open asks. */
const SWEEP_MS = 25.001;

/** All messages from one sender to one receiver, by number. */
interface Pair {
  readonly sent: ('sending' | 'taken' | 'asked' | 'refused' | 'handled')[];
  last: number;
}

interface OpenAsk {
  readonly deadlineMs: number;
  readonly asker: Life;
  /** How often its thread had been held up. */
  readonly pauses: number;
}

export class Books {
  violation: Violation | undefined = undefined;
  /** The latest of each path. */
  readonly lives = new Map<string, Life>();
  readonly counts = { handled: 0, asks: 0, downs: 0, starts: 0, crashes: 0, losses: 0 };
  /** By sender, then by receiver. */
  readonly #pairs = new Map<string, Map<string, Pair>>();
  readonly #asks = new Map<number, OpenAsk>();
  /** Dead letters by path, of tells only. */
  readonly #dead = new Map<string, number>();
  readonly #pauses = new Map<string, number>();
  readonly #digest: Digest;
  readonly #clock: { readonly nowMs: number };
  #lastAsk = 0;
  #deadBefore = 0;

  constructor(digest: Digest, clock: { readonly nowMs: number }) {
    this.#digest = digest;
    this.#clock = clock;
  }

  get nowMs(): number {
    return this.#clock.nowMs;
  }

  /** The first one counts: what follows may come of it. */
  fail(invariant: Invariant, detail: string): void {
    this.violation ??= { invariant, detail };
  }

  started(life: Life): void {
    this.counts.starts += 1;
    this.#note('start', life.path, life.incarnation);
    const before = this.lives.get(life.path);
    if (before !== undefined) before.isOver = true;
    this.lives.set(life.path, life);
    const parent = this.lives.get(parentPathOf(life.path));
    if (parent?.order.includes(life.path) === false) parent.order.push(life.path);
  }

  /** Its `stop` runs. */
  stopped(life: Life): void {
    this.#note('stop', life.path, life.incarnation);
    const objection = objectionToStop(life, this.lives);
    if (objection !== '') this.fail('stop_order', objection);
    if (life.isOver) return;
    life.isOver = true;
  }

  /** It is about to throw. */
  crashing(life: Life): void {
    this.counts.crashes += 1;
    this.#note('crash', life.path, life.incarnation);
    life.isOver = true;
  }

  threadLost(thread: string): void {
    this.counts.losses += 1;
    for (const life of this.lives.values()) if (life.thread === thread) life.isOver = true;
  }

  threadPaused(thread: string): void {
    this.#pauses.set(thread, this.#pausesOf(thread) + 1);
  }

  /** Gives a tell its number; `told` says what became of it. */
  telling(from: string, to: string): number {
    this.#deadBefore = this.#dead.get(to) ?? 0;
    return this.#pairOf(from, to).sent.push('sending') - 1;
  }

  told(from: string, to: string, number: number, isTaken: boolean): void {
    this.#pairOf(from, to).sent[number] = isTaken ? 'taken' : 'refused';
    // One that was refused may have been counted as a dead letter too.
    if (!isTaken) this.#dead.set(to, this.#deadBefore);
  }

  handled(life: Life, incarnation: number, from: string, number: number): void {
    this.counts.handled += 1;
    this.#note(from, life.path, number);
    const what = `${from} → ${life.path}: message ${number}`;
    if (life.isOver || incarnation !== life.incarnation)
      this.fail('handled_after_end', `${what} was handled by incarnation ${incarnation}`);
    const pair = this.#pairOf(from, life.path);
    const was = pair.sent[number];
    if (was === 'handled') this.fail('at_most_once', `${what} came twice`);
    else if (was !== 'taken' && was !== 'asked')
      this.fail('refused_but_handled', `${what}: ${was}`);
    else if (number < pair.last) this.fail('fifo', `${what} came after message ${pair.last}`);
    pair.sent[number] = 'handled';
    pair.last = Math.max(pair.last, number);
  }

  /** An ask is a message with a number, and has one of its own. */
  asking(asker: Life, to: string, inMs: number): { readonly id: number; readonly number: number } {
    this.counts.asks += 1;
    this.#lastAsk += 1;
    const deadlineMs = this.nowMs + inMs;
    this.#asks.set(this.#lastAsk, { deadlineMs, asker, pauses: this.#pausesOf(asker.thread) });
    return { id: this.#lastAsk, number: this.#pairOf(asker.path, to).sent.push('asked') - 1 };
  }

  /** By its reply, which is its number, or an error's code. `isPrompt`: heard in the moment of its end. */
  askEnded(id: number, outcome: number | string, isPrompt: boolean): void {
    const ask = this.#asks.get(id);
    this.#note('ask', String(outcome), id);
    if (ask === undefined) {
      this.fail('ask_ends_once', `ask ${id} ended again: ${outcome}`);
      return;
    }
    this.#asks.delete(id);
    const { deadlineMs, asker, pauses } = ask;
    const wasHeldUp = pauses !== this.#pausesOf(asker.thread);
    if (isPrompt && !wasHeldUp && this.nowMs > deadlineMs + SWEEP_MS)
      this.fail('ask_ends_in_time', `ask ${id}, due at ${deadlineMs}, ended at ${this.nowMs}`);
    if (typeof outcome === 'number' && outcome !== id)
      this.fail('wrong_reply', `ask ${id} got the reply to ${outcome}`);
  }

  /** It waits within a message: who stops it has to wait too. */
  waits(life: Life): void {
    const parent = this.#parentOf(life);
    if (parent !== undefined && parent.strategy !== 'one_for_one') parent.isInterleaved = true;
  }

  watching(life: Life, target: string): void {
    life.watches.set(target, (life.watches.get(target) ?? 0) + 1);
  }

  down(life: Life, target: string): void {
    this.counts.downs += 1;
    this.#note('down', life.path, target.length);
    const left = (life.watches.get(target) ?? 0) - 1;
    if (left < 0) this.fail('one_down_per_watch', `${life.path} heard of ${target} once too often`);
    life.watches.set(target, left);
  }

  /** What a thread says of itself, in the moment. */
  event(event: SystemEvent): void {
    if (event.type === 'actor.crashed' && event.restartInMs >= 0) this.#restarts(event);
    if (event.type === 'supervisor.exhausted' && !event.degraded) {
      const supervisor = this.lives.get(event.address);
      if (supervisor !== undefined) supervisor.isExhausted = true;
    }
    if (event.type !== 'dead_letter' || (event.kind !== 'note' && event.kind !== 'act')) return;
    const path = pathOf(event.address);
    this.#dead.set(path, (this.#dead.get(path) ?? 0) + 1);
  }

  /** A supervisor brings a child back that crashed. */
  #restarts({ address, cause }: CrashReport): void {
    const path = pathOf(address);
    const parent = this.lives.get(parentPathOf(path));
    const isCharged = cause.kind !== 'thread-lost' || cause.culprit === true;
    if (parent?.limit === undefined || !isCharged) return;
    parent.charges = charged(parent.charges, this.nowMs, parent.limit);
    if (parent.charges.length > parent.limit.intensity)
      this.fail('restart_budget', `${path} restarts beyond its supervisor's limit`);
  }

  /** All is quiet: what is open now stays open. */
  settle(hasEnded: (target: string) => boolean): void {
    for (const [id, { asker, deadlineMs }] of this.#asks) {
      if (!asker.isOver) this.fail('ask_ends_once', `ask ${id}, due at ${deadlineMs}, never ended`);
    }
    for (const life of this.lives.values()) {
      for (const [target, left] of life.watches) {
        if (!life.isOver && left > 0 && hasEnded(target))
          this.fail('one_down_per_watch', `${life.path} never heard that ${target} ended`);
      }
    }
  }

  /** Where no thread was lost: accepted = handled + dead-lettered, or dropped in silence where that is the way. */
  balance(isSilent: (path: string) => boolean): void {
    const open = new Map<string, number>();
    for (const sender of this.#pairs.values()) {
      for (const [to, { sent }] of sender) {
        const left = sent.reduce((sum, state) => (state === 'taken' ? sum + 1 : sum), 0);
        open.set(to, (open.get(to) ?? 0) + left);
      }
    }
    for (const [path, left] of open) {
      const dead = this.#dead.get(path) ?? 0;
      if (isSilent(path) ? dead > left : dead !== left)
        this.fail('books_balance', `${path}: ${left} not handled, ${dead} dead letters`);
    }
  }

  #parentOf({ path }: Life): Life | undefined {
    const parent = this.lives.get(parentPathOf(path));
    return parent?.isOver === true ? undefined : parent;
  }

  #pairOf(from: string, to: string): Pair {
    let sender = this.#pairs.get(from);
    if (sender === undefined) {
      sender = new Map();
      this.#pairs.set(from, sender);
    }
    let pair = sender.get(to);
    if (pair === undefined) {
      pair = { sent: [], last: -1 };
      sender.set(to, pair);
    }
    return pair;
  }

  #pausesOf(thread: string): number {
    return this.#pauses.get(thread) ?? 0;
  }

  #note(what: string, who: string, number: number): void {
    this.#digest.text(what);
    this.#digest.text(who);
    this.#digest.number(number);
  }
}
