/** The powers of the machine that the runtime uses, injected so that a simulator can hold them. */
import type { Clock } from '../clock.ts';

export interface Timer {
  cancel(): void;
}

export interface Host extends Clock {
  /** Runs after the event loop has looked at timers and I/O. */
  nextTurn(run: () => void): void;
  /** A timer that keeps the process alive until it fired or was cancelled. */
  setTimer(delayMs: number, run: () => void): Timer;
  /** In [0, 1). */
  random(): number;
}
