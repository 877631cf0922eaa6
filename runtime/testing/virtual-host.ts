/** A machine whose time and turns are the test's: nothing happens but by `step`, and the same seed gives the same order. */
import type { Host, Timer } from '../host/host.ts';

interface Planned {
  readonly atMs: number;
  readonly order: number;
  run(): void;
}

export interface VirtualHostOptions {
  readonly seed: number;
  /** Milliseconds since the Unix epoch at the start. */
  readonly wallMs?: number;
}

export class VirtualHost implements Host {
  readonly #random: () => number;
  #wallOffsetMs: number;
  #turns: (() => void)[] = [];
  #timers: Planned[] = [];
  #order = 0;
  #nowMs = 1;
  #isHalted = false;

  constructor({ seed, wallMs = 1_800_000_000_000 }: VirtualHostOptions) {
    this.#random = randomFrom(seed);
    this.#wallOffsetMs = wallMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + Math.trunc(this.#nowMs);
  }

  /** Sets the wall clock forth, or back where `byMs` is negative. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  random(): number {
    return this.#random();
  }

  nextTurn(run: () => void): void {
    if (!this.#isHalted) this.#turns.push(run);
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const planned: Planned = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order, run };
    this.#order += 1;
    if (!this.#isHalted) this.#timers.push(planned);
    return {
      cancel: () => {
        const at = this.#timers.indexOf(planned);
        if (at !== -1) this.#timers.splice(at, 1);
      },
    };
  }

  /** Runs one planned turn; false when none is planned. */
  turn(): boolean {
    const run = this.#turns.shift();
    run?.();
    return run !== undefined;
  }

  /** Moves the clock to the next timer and fires it; false when there is none. */
  advance(): boolean {
    const next = this.#timers.reduce<Planned | undefined>(
      (first, timer) => (first === undefined || isBefore(timer, first) ? timer : first),
      undefined,
    );
    if (next === undefined) return false;
    this.#timers.splice(this.#timers.indexOf(next), 1);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.run();
    return true;
  }

  /** As a power cut: nothing planned happens, nothing can be planned any more. */
  halt(): void {
    this.#isHalted = true;
    this.#turns = [];
    this.#timers = [];
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** mulberry32 */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}
