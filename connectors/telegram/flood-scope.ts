/** Tells a limit of the whole bot from one of a single chat: Telegram's 429 does not say which of them it was. It has no clock. */

interface Pause {
  /** '': it is the bot's. */
  readonly chatId: string;
  readonly lengthMs: number;
  readonly untilMs: number;
  /** Sends that had begun when it was heard of. */
  readonly sends: number;
}

export interface FloodPause {
  readonly scope: 'conversation' | 'account';
  readonly retryAfterMs: number;
}

/**
 * A chat that is refused alone has met its own limit. A second chat that is refused while that pause runs, and before a later
 * send was taken, shows that the bot is limited: then the pause is the bot's, until the later of the two ends.
 */
export class FloodScope {
  #sends = 0;
  #pause: Pause | undefined;

  /** A send begins; its number is for `taken`. */
  begin(): number {
    this.#sends += 1;
    return this.#sends;
  }

  /** Telegram took this send. One that began during a pause shows that the bot is not limited. */
  taken(send: number): void {
    if (this.#pause !== undefined && send > this.#pause.sends) this.#pause = undefined;
  }

  /** Telegram answered 429 to a send to this chat. */
  refused(chatId: string, askedMs: number, nowMs: number): FloodPause {
    const known = this.#pause;
    // The wall clock may have been set back: no pause is longer than it was asked for.
    const leftMs = known === undefined ? 0 : Math.min(known.untilMs - nowMs, known.lengthMs);
    const lengthMs = Math.max(askedMs, leftMs);
    const isBots = known !== undefined && leftMs > 0 && known.chatId !== chatId;
    this.#pause = {
      chatId: isBots ? '' : chatId,
      lengthMs,
      untilMs: nowMs + lengthMs,
      sends: this.#sends,
    };
    return isBots
      ? { scope: 'account', retryAfterMs: lengthMs }
      : { scope: 'conversation', retryAfterMs: askedMs };
  }
}
