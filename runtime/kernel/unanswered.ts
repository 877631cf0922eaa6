/** Asks that an incarnation has taken and not answered yet: each ends by its answer or with the incarnation. */
import { codeOf, messageOf } from '../errors.ts';
import { type Linked, LinkedList } from '../linked-list.ts';
import type { AskEnvelope } from './asks.ts';

/** A deferred answer's place among them. */
export interface UnansweredPlace extends Linked<UnansweredPlace> {
  ask: AskEnvelope | undefined;
}

export class Unanswered {
  /** Most actors never answer late. */
  #deferred: LinkedList<UnansweredPlace> | undefined = undefined;
  /** Of the message that parks the mailbox. */
  #parked: AskEnvelope | undefined = undefined;
  /** Since when it does; 0 while none does. */
  parkedAtMs = 0;

  get isEmpty(): boolean {
    return this.#parked === undefined && (this.#deferred?.size ?? 0) === 0;
  }

  add(place: UnansweredPlace, ask: AskEnvelope): void {
    place.ask = ask;
    this.#deferred ??= new LinkedList();
    this.#deferred.add(place);
  }

  answer(place: UnansweredPlace, value: unknown): void {
    this.#take(place)?.reply(value);
  }

  refuse(place: UnansweredPlace, error: unknown): void {
    this.#take(place)?.fail('refused', `${codeOf(error)}: ${messageOf(error)}`);
  }

  /** The message being handled, asked or told, is not over. */
  park(ask: AskEnvelope | undefined, nowMs: number): void {
    this.#parked = ask;
    this.parkedAtMs = nowMs;
  }

  /** It is. */
  answerParked(value: unknown): void {
    const ask = this.#unpark();
    ask?.reply(value);
  }

  failAll(code: string): void {
    this.#unpark()?.fail('actor_crashed', code);
    for (const place of this.#deferred ?? []) this.#take(place)?.fail('actor_crashed', code);
  }

  #unpark(): AskEnvelope | undefined {
    const parked = this.#parked;
    this.#parked = undefined;
    this.parkedAtMs = 0;
    return parked;
  }

  #take(place: UnansweredPlace): AskEnvelope | undefined {
    const { ask } = place;
    if (ask === undefined) return undefined;
    place.ask = undefined;
    this.#deferred?.remove(place);
    return ask;
  }
}
