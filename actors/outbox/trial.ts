/** After a limit of a whole account: one lane at a time tries whether the platform takes messages again. It has no clock. */
import type { Lane } from './book.ts';

/** Without it all lanes of the account would be refused at the end of each rest: some platforms make the next one longer for that. */
export class Trial {
  #isOn = false;
  #lane: Lane | undefined;

  /** The platform limits the account. */
  begin(): void {
    this.#isOn = true;
    this.#lane = undefined;
  }

  /** Whether a lane may begin to send, beside those of the account that are in flight. */
  allows(inFlight: ReadonlySet<Lane>): boolean {
    return !this.#isOn || this.#lane === undefined || !inFlight.has(this.#lane);
  }

  /** The lane begins to send. */
  take(lane: Lane, inFlight: ReadonlySet<Lane>): void {
    if (this.#isOn && this.allows(inFlight)) this.#lane = lane;
  }

  /** The platform answered a piece of the lane otherwise than by a limit. */
  pass(lane: Lane): void {
    if (this.#lane !== lane) return;
    this.#isOn = false;
    this.#lane = undefined;
  }
}
