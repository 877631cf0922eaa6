/** The least time between two sends that an account's configuration asks for: who may begin the next one, and when. It has no clock. */
import type { Account, Lane } from './book.ts';

/**
 * A piece waits for its turn before its row says `sending`: the wait is no attempt, has no deadline, and an end of the process
 * or of the connector finds nothing in flight. The interval counts from the moment at which the connector was told.
 */
export class Pace {
  readonly account: Account;
  /** 0: none. */
  intervalMs = 0;
  #freeAtMs = 0;
  /** Its piece is becoming `sending`, or is and has not been told to the connector. */
  #holder: Lane | undefined;

  constructor(account: Account) {
    this.account = account;
  }

  isFree(nowMs: number): boolean {
    if (this.intervalMs === 0) return true;
    return this.#holder === undefined && nowMs >= this.#freeAtMs;
  }

  take(lane: Lane): void {
    if (this.intervalMs > 0) this.#holder = lane;
  }

  /** The connector was told of the lane's piece; gives the time from which the next may begin, where that is not now. */
  spend(lane: Lane, nowMs: number): number | undefined {
    if (this.#holder !== lane) return undefined;
    this.#holder = undefined;
    this.#freeAtMs = nowMs + this.intervalMs;
    return this.#freeAtMs;
  }

  /** The lane will not send now after all. */
  release(lane: Lane): void {
    if (this.#holder === lane) this.#holder = undefined;
  }
}
