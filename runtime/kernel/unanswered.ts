/** Asks that an incarnation has taken and not answered yet: each ends by its answer or with the incarnation. */
import { codeOf, messageOf } from '../errors.ts';
import type { AskEnvelope } from './asks.ts';

/** A place in the list of them. */
export interface UnansweredPlace {
  ask: AskEnvelope | undefined;
  previous: UnansweredPlace | undefined;
  next: UnansweredPlace | undefined;
}

/**
 * A list through its places: a `Set` that grows and shrinks with the load leaves tables behind which, once they are old,
 * keep all that was in them alive until the next full collection.
 */
export class Unanswered {
  #last: UnansweredPlace | undefined = undefined;
  /** Of the message that parks the mailbox. */
  #parked: AskEnvelope | undefined = undefined;

  add(place: UnansweredPlace, ask: AskEnvelope): void {
    place.ask = ask;
    place.previous = this.#last;
    if (this.#last !== undefined) this.#last.next = place;
    this.#last = place;
  }

  answer(place: UnansweredPlace, value: unknown): void {
    this.#take(place)?.reply(value);
  }

  refuse(place: UnansweredPlace, error: unknown): void {
    this.#take(place)?.fail('refused', `${codeOf(error)}: ${messageOf(error)}`);
  }

  park(ask: AskEnvelope): void {
    this.#parked = ask;
  }

  answerParked(ask: AskEnvelope, value: unknown): void {
    if (this.#parked !== ask) return;
    this.#parked = undefined;
    ask.reply(value);
  }

  failAll(code: string): void {
    const parked = this.#parked;
    this.#parked = undefined;
    parked?.fail('actor_crashed', code);
    while (this.#last !== undefined) this.#take(this.#last)?.fail('actor_crashed', code);
  }

  /** Out of the list; what has left points at nothing that is younger. */
  #take(place: UnansweredPlace): AskEnvelope | undefined {
    const { ask, previous, next } = place;
    if (ask === undefined) return undefined;
    if (previous !== undefined) previous.next = next;
    if (next !== undefined) next.previous = previous;
    else this.#last = previous;
    place.ask = undefined;
    place.previous = undefined;
    place.next = undefined;
    return ask;
  }
}
