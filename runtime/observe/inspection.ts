/** Where the events of one thread go. Who makes an event looks first whether anybody hears it. */
import type { SystemEvent } from '../system.ts';

export interface Inspection {
  hears(type: SystemEvent['type']): boolean;
  emit(event: SystemEvent): void;
  /** Also those that come by the million. */
  readonly isWhole?: boolean;
}

/** Where nobody hears. */
export const NOBODY: Inspection = { hears: () => false, emit: () => undefined };

/** For one who keeps books: every event, none left out. */
export function everything(emit: (event: SystemEvent) => void): Inspection {
  return { hears: () => true, emit, isWhole: true };
}

/** Dead letters and refusals may come by the million: each is counted, and so many of a type are told a second. */
const TOLD_A_SECOND = 100;
const SECOND_MS = 1_000;

/** How many more events of one type may be told in the second under way. */
export class Ration {
  #sinceMs = Number.NEGATIVE_INFINITY;
  #told = 0;

  mayTell(inspection: Inspection, type: SystemEvent['type'], nowMs: number): boolean {
    if (!inspection.hears(type)) return false;
    return inspection.isWhole === true || this.#take(nowMs);
  }

  #take(nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= SECOND_MS) {
      this.#sinceMs = nowMs;
      this.#told = 0;
    }
    this.#told += 1;
    return this.#told <= TOLD_A_SECOND;
  }
}
