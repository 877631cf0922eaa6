/** Runs the ready actors of one thread in slices, one event-loop turn after the other. */
import type { Host } from '../host/host.ts';

/** What the scheduler runs. `nextReady` makes the queue intrusive: no allocation per activation. */
export interface Runnable {
  nextReady: Runnable | undefined;
  /** Handles messages until none is left, `quantum` are done, or the slice is over. */
  runSlice(): void;
}

/** The longest time that timers and I/O wait for actors. */
const SLICE_MS = 1;
/** Reading the clock costs as much as a small message, so it is read once in so many. */
const MESSAGES_PER_CLOCK_CHECK = 16;

export class Scheduler {
  readonly #host: Host;
  readonly #afterTurn: () => void;
  #first: Runnable | undefined = undefined;
  #last: Runnable | undefined = undefined;
  isTurnPlanned = false;
  // No small integers: a field that begins as one and becomes a fraction has V8 compile its users again and again.
  #sliceEndMs = Number.NEGATIVE_INFINITY;
  #turnBeganMs = Number.NEGATIVE_INFINITY;
  #untilClockCheck = MESSAGES_PER_CLOCK_CHECK;
  #isSliceOver = false;
  /** True while actors run; what is sent meanwhile leaves at the end of the turn. */
  isRunning = false;

  /** `afterTurn` runs after each turn: links flush there. */
  constructor(host: Host, afterTurn: () => void) {
    this.#host = host;
    this.#afterTurn = afterTurn;
  }

  /** The caller sees to it that an actor is ready once only. */
  ready(runnable: Runnable): void {
    if (this.#last === undefined) this.#first = runnable;
    else this.#last.nextReady = runnable;
    this.#last = runnable;
    this.wake();
  }

  /** Plans a turn, also when no actor is ready: what was sent from outside of a turn leaves then. */
  wake(): void {
    if (this.isTurnPlanned || this.isRunning) return;
    this.isTurnPlanned = true;
    this.#turnBeganMs = this.#host.monotonicMs();
    this.#host.nextTurn(() => {
      this.isTurnPlanned = false;
      this.#runSlice();
      this.#afterTurn();
      if (this.#first !== undefined) this.wake();
    });
  }

  /** Whether actors and links have had less than a slice of this event-loop turn. */
  get isTurnYoung(): boolean {
    return !this.isTurnPlanned || this.#host.monotonicMs() - this.#turnBeganMs < SLICE_MS;
  }

  /** One slice a turn at once, for what a link has brought; the answers leave together at the end of the turn. */
  runNow(): void {
    if (this.isRunning || this.isTurnPlanned || this.#first === undefined) return;
    this.#runSlice();
    this.wake();
  }

  #runSlice(): void {
    this.isRunning = true;
    this.#sliceEndMs = this.#host.monotonicMs() + SLICE_MS;
    this.#untilClockCheck = MESSAGES_PER_CLOCK_CHECK;
    this.#isSliceOver = false;
    try {
      while (this.#first !== undefined && !this.#isSliceOver) {
        const runnable: Runnable = this.#first;
        this.#first = runnable.nextReady;
        if (this.#first === undefined) this.#last = undefined;
        runnable.nextReady = undefined;
        runnable.runSlice();
      }
    } finally {
      this.isRunning = false;
    }
  }

  /** Told after each message; true when the actor has to stop for this turn. */
  spend(): boolean {
    this.#untilClockCheck -= 1;
    if (this.#untilClockCheck > 0) return this.#isSliceOver;
    this.#untilClockCheck = MESSAGES_PER_CLOCK_CHECK;
    if (this.#host.monotonicMs() >= this.#sliceEndMs) this.#isSliceOver = true;
    return this.#isSliceOver;
  }
}
