/** A thread of the simulator: its own turns and timers on the machine's one clock. Once it is over nothing of it happens any more. */
import type { Host, Timer } from '../../host/host.ts';
import { randomFrom } from '../virtual-host.ts';
import type { VirtualMachine } from './virtual-machine.ts';
import type { VirtualPort } from './virtual-port.ts';

/** 15 January 2027. */
const WALL_MS = 1_800_000_000_000;

export class VirtualThread implements Host {
  readonly number: number;
  /** Its ends of all channels; they close with it. */
  readonly ports: VirtualPort[] = [];
  readonly turns: (() => void)[] = [];
  isOver = false;
  /** It does nothing before this step of the machine. */
  pausedUntil = 0;
  readonly #machine: VirtualMachine;
  readonly #random: () => number;
  readonly #failed: (error: unknown) => void;

  constructor(machine: VirtualMachine, number: number, failed: (error: unknown) => void) {
    this.#machine = machine;
    this.number = number;
    this.#random = randomFrom(machine.seed ^ Math.imul(number + 1, 0x9e3779b1));
    this.#failed = failed;
  }

  wallMs(): number {
    return WALL_MS + Math.trunc(this.#machine.nowMs);
  }

  monotonicMs(): number {
    return this.#machine.nowMs;
  }

  random(): number {
    return this.#random();
  }

  nextTurn(run: () => void): void {
    if (!this.isOver) this.turns.push(run);
  }

  setTimer(delayMs: number, run: () => void): Timer {
    return this.#machine.plan(this, delayMs, run);
  }

  /** What escapes it is an error of the thread as a whole. */
  run(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failed(error);
    }
  }

  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.turns.length = 0;
    for (const port of this.ports) port.close();
  }
}
