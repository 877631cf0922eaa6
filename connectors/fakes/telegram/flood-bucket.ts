/** The limit of a whole bot: a bucket of messages that is full again after each pause. Its times are its caller's. */
import { tooManyRequests } from './bot-refusal.ts';

export interface FloodLimit {
  /** So many messages are taken; then all are refused until the pause is over. */
  readonly messages: number;
  readonly pauseS: number;
}

export class FloodBucket {
  readonly #limit: FloodLimit | undefined;
  #taken = 0;
  #pausedUntilMs = 0;

  constructor(limit: FloodLimit | undefined) {
    this.#limit = limit;
  }

  /** One message more, to whichever chat; throws Telegram's 429 where it is too many. */
  take(nowMs: number): void {
    if (this.#limit === undefined) return;
    const { messages, pauseS } = this.#limit;
    if (nowMs >= this.#pausedUntilMs) {
      if (this.#taken < messages) {
        this.#taken += 1;
        return;
      }
      this.#taken = 0;
      this.#pausedUntilMs = nowMs + pauseS * 1_000;
    }
    throw tooManyRequests(Math.ceil((this.#pausedUntilMs - nowMs) / 1_000));
  }
}
