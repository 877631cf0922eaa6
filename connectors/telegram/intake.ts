/** Takes batches of updates, each conversation's in their order, and tells from which one on the platform is asked again. */
import type { Offerer } from './offerer.ts';
import { type BotAccount, readUpdate, type TelegramUpdate } from './updates.ts';

export interface IntakeDeps {
  readonly account: BotAccount;
  readonly offerer: Offerer;
  wallMs(): number;
  /** A wait that ends early, by rejecting, when receiving ends. */
  sleep(ms: number): Promise<void>;
}

/** Update ids start anew after a week without updates; an old offset would then hide the new ones. */
const OFFSET_KEPT_MS = 6 * 24 * 3_600_000;

/**
 * A full conversation's messages wait at the platform and hold the offset; the others of the batch go on. A batch begins at
 * the offset, so what is looked at beyond a waiting message is no more than the platform gives in one.
 */
export class Intake {
  readonly #deps: IntakeDeps;
  #offset: number | undefined;
  #lastUpdateAtMs = 0;
  #isHolding = false;
  /** Updates of the last batch that were taken behind one that waits: the platform gives them again. */
  #ahead = new Set<number>();
  /** Full conversations that are offered nothing yet; each has a message in the last batch. */
  readonly #resting = new Set<string>();

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** A message of a full conversation waits: a poll does not wait for new ones. */
  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** The first update that is not confirmed; undefined: whatever the platform has. */
  offsetAt(nowMs: number): number | undefined {
    if (nowMs - this.#lastUpdateAtMs > OFFSET_KEPT_MS) this.#offset = undefined;
    return this.#offset;
  }

  /** Settles when every update was taken or waits, or receiving has ended. Rejects with `ReceiverGone`. */
  async take(updates: readonly TelegramUpdate[]): Promise<void> {
    // Of this batch nothing more, even if there is room meanwhile: it would overtake what was left waiting.
    const waiting = new Set(this.#resting);
    const ahead = new Set<number>();
    let isHolding = false;
    for (const update of updates) {
      const taken = this.#ahead.has(update.update_id) || (await this.#takeOne(update, waiting));
      if (taken === 'stopped') return;
      if (!taken) isHolding = true;
      else if (isHolding) ahead.add(update.update_id);
      else this.#offset = update.update_id + 1;
    }
    this.#ahead = ahead;
    this.#isHolding = isHolding;
  }

  /** false: it waits, and so does what comes after it in its conversation. */
  async #takeOne(update: TelegramUpdate, waiting: Set<string>): Promise<boolean | 'stopped'> {
    const { account, offerer } = this.#deps;
    const nowMs = this.#deps.wallMs();
    const read = readUpdate(update, account, nowMs);
    if (read.type === 'ignored') offerer.ignore(read.reason);
    else {
      const { conversationId } = read.offer;
      if (waiting.has(conversationId)) return false;
      const offered = await offerer.offer(read.offer);
      if (offered.type === 'stopped') return 'stopped';
      if (offered.type === 'full') {
        waiting.add(conversationId);
        this.#rest(conversationId, offered.retryAfterMs);
        return false;
      }
    }
    this.#lastUpdateAtMs = nowMs;
    return true;
  }

  #rest(conversationId: string, ms: number): void {
    this.#resting.add(conversationId);
    const wake = () => void this.#resting.delete(conversationId);
    this.#deps.sleep(ms).then(wake, wake);
  }
}
