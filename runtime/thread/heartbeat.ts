/** A thread's pulse: it proves that the loop turns, and measures how late. */
import type { Host, Timer } from '../host/host.ts';
import type { LoopDelay } from '../system.ts';

export const HEARTBEAT_MS = 100;
/** Ten seconds of them. */
const KEPT = 100;

export const NO_DELAY: LoopDelay = { p50: 0, p99: 0, max: 0 };

export class Heartbeat {
  readonly #host: Host;
  readonly #beat: () => void;
  readonly #delaysMs: number[] = [];
  #next = 0;
  #timer: Timer | undefined = undefined;

  /** `beat` is called at once, and each `HEARTBEAT_MS` after. */
  constructor(host: Host, beat: () => void) {
    this.#host = host;
    this.#beat = beat;
    this.#plan();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  delays(): LoopDelay {
    const sorted = [...this.#delaysMs].sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
    return { p50: at(0.5), p99: at(0.99), max: at(1) };
  }

  #plan(): void {
    this.#beat();
    const dueAtMs = this.#host.monotonicMs() + HEARTBEAT_MS;
    this.#timer = this.#host.setTimer(HEARTBEAT_MS, () => {
      this.#delaysMs[this.#next] = Math.max(0, this.#host.monotonicMs() - dueAtMs);
      this.#next = (this.#next + 1) % KEPT;
      this.#plan();
    });
  }
}
