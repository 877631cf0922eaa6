/** The pauses that Telegram asks for, told apart: its 429 does not say whether it limits a chat or the whole bot. It has no clock. */
import { BoundedMap } from '../bounded-map.ts';

/** Beyond it the pause heard of first is forgotten: a send meets Telegram's own refusal. */
const PAUSED_CHATS = 1_000;

interface ChatPause {
  readonly fromMs: number;
  readonly untilMs: number;
}

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
  readonly #chats = new BoundedMap<string, ChatPause>(PAUSED_CHATS);
  #sends = 0;
  #pause: Pause | undefined;

  /** What is left of the chat's pause: a send to any topic of the chat would be refused, and may make it longer. */
  left(chatId: string, nowMs: number): FloodPause | undefined {
    const pause = this.#chats.get(chatId);
    if (pause === undefined) return undefined;
    const { fromMs, untilMs } = pause;
    // Before its beginning: the wall clock was set back, and its end says nothing any more.
    if (nowMs < fromMs || nowMs >= untilMs) {
      this.#chats.delete(chatId);
      return undefined;
    }
    const bots = this.#pause?.chatId === '' ? leftOf(this.#pause, nowMs) : 0;
    return bots > 0
      ? { scope: 'account', retryAfterMs: bots }
      : { scope: 'conversation', retryAfterMs: untilMs - nowMs };
  }

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
    const leftMs = known === undefined ? 0 : leftOf(known, nowMs);
    const lengthMs = Math.max(askedMs, leftMs);
    const isBots = known !== undefined && leftMs > 0 && known.chatId !== chatId;
    this.#pause = {
      chatId: isBots ? '' : chatId,
      lengthMs,
      untilMs: nowMs + lengthMs,
      sends: this.#sends,
    };
    this.#chats.set(chatId, { fromMs: nowMs, untilMs: nowMs + askedMs });
    return isBots
      ? { scope: 'account', retryAfterMs: lengthMs }
      : { scope: 'conversation', retryAfterMs: askedMs };
  }
}

/** The wall clock may have been set back: no pause is longer than it was asked for. */
function leftOf(pause: Pause, nowMs: number): number {
  return Math.min(pause.untilMs - nowMs, pause.lengthMs);
}
