/** Asks that an incarnation has taken and not answered yet: each ends by its answer or with the incarnation. */
import { codeOf, messageOf } from '../errors.ts';
import type { AskEnvelope } from './asks.ts';

export class Unanswered {
  /** Most actors never answer late. */
  #asks: Set<AskEnvelope> | undefined = undefined;

  add(ask: AskEnvelope): void {
    this.#asks ??= new Set();
    this.#asks.add(ask);
  }

  answer(ask: AskEnvelope, value: unknown): void {
    if (this.#asks?.delete(ask) === true) ask.reply(value);
  }

  refuse(ask: AskEnvelope, error: unknown): void {
    if (this.#asks?.delete(ask) !== true) return;
    ask.fail('refused', `${codeOf(error)}: ${messageOf(error)}`);
  }

  failAll(code: string): void {
    const asks = this.#asks;
    this.#asks = undefined;
    for (const ask of asks ?? []) ask.fail('actor_crashed', code);
  }
}
