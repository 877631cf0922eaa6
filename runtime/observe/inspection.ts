/** Where the events of one thread go. Who makes an event looks first whether anybody hears it. */
import type { SystemEvent } from '../system.ts';

export interface Inspection {
  hears(type: SystemEvent['type']): boolean;
  emit(event: SystemEvent): void;
}

/** Dead letters and refusals may come by the million: each is counted, and so many of a type are told a second. */
const TOLD_A_SECOND = 100;
const SECOND_MS = 1_000;

/** How many more events of one type may be told in the second under way. */
export class Ration {
  #sinceMs = Number.NEGATIVE_INFINITY;
  #told = 0;

  take(nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= SECOND_MS) {
      this.#sinceMs = nowMs;
      this.#told = 0;
    }
    this.#told += 1;
    return this.#told <= TOLD_A_SECOND;
  }
}
