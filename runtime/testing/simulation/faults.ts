/** What goes wrong in a run: each fault is drawn from its own seeded source, so that leaving one out changes no other. */
import { randomFrom } from '../virtual-host.ts';
import type { Books } from './books.ts';
import type { VirtualMachine } from './virtual-machine.ts';
import type { VirtualThreads } from './virtual-threads.ts';

export const FAULTS = [
  'crash',
  'leave',
  'die',
  'thread-loss',
  'slow-thread',
  'late-frame',
  'flood',
] as const;
export type Fault = (typeof FAULTS)[number];

/** A fault that happened: its number in the run, by which it can be left out. */
export interface Happened {
  readonly number: number;
  readonly fault: Fault;
}

/** Of those that a seed has, one in so many steps. */
const ONE_IN = 24;
const LONGEST_PAUSE_STEPS = 40;

export interface FaultGround {
  readonly machine: VirtualMachine;
  readonly threads: VirtualThreads;
  readonly books: Books;
  /** Bids the `at`-th actor of the crowd fail so. */
  bid(fault: 'crash' | 'leave' | 'die' | 'flood', at: number): void;
}

export class Faults {
  readonly happened: Happened[] = [];
  readonly #without: readonly number[];
  readonly #random: () => number;
  /** Each seed has its own mix. */
  readonly #mix: readonly Fault[];
  #number = 0;

  constructor(seed: number, without: readonly number[]) {
    this.#without = without;
    this.#random = randomFrom(seed ^ 0x5bd1e995);
    const mix = FAULTS.filter(() => this.#random() < 0.5);
    // A quarter of the seeds has none.
    this.#mix = this.#random() < 0.25 ? [] : mix;
  }

  /** Maybe one happens. */
  step(ground: FaultGround): void {
    const chance = this.#random();
    const which = this.#random();
    const where = Math.floor(this.#random() * 1_000);
    const fault = this.#mix[Math.floor(which * this.#mix.length)];
    if (fault === undefined || chance * ONE_IN >= 1) return;
    this.#number += 1;
    if (this.#without.includes(this.#number)) return;
    this.happened.push({ number: this.#number, fault });
    happen(fault, where, ground);
  }
}

function happen(fault: Fault, where: number, { machine, threads, books, bid }: FaultGround): void {
  const untilStep = machine.steps + 1 + (where % LONGEST_PAUSE_STEPS);
  const placed = threads.workers.filter(({ slot, host }) => slot !== 0 && !host.isOver);
  const worker = placed[where % Math.max(1, placed.length)];
  switch (fault) {
    case 'thread-loss':
      worker?.lose();
      return;
    case 'slow-thread':
      if (worker === undefined) return;
      books.threadPaused(worker.name);
      worker.host.pausedUntil = untilStep;
      return;
    case 'late-frame': {
      const ports = machine.busyPorts;
      const port = ports[where % Math.max(1, ports.length)];
      if (port !== undefined) port.heldUntil = untilStep;
      return;
    }
    default:
      bid(fault, where);
  }
}
