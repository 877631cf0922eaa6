/** One clock, many virtual threads, and one seeded source that says what happens next: a turn, a delivery, or time that passes. */
import type { Timer } from '../../host/host.ts';
import { randomFrom } from '../virtual-host.ts';
import type { Digest } from './digest.ts';
import { type Tamper, VirtualPort, type VirtualPorts } from './virtual-port.ts';
import { VirtualThread } from './virtual-thread.ts';

/** How often time passes although somebody could do something: a thread that is slow. */
const TIME_SHARE = 0.12;

interface Planned {
  readonly atMs: number;
  readonly thread: VirtualThread;
  run: (() => void) | undefined;
}

export interface VirtualMachineOptions {
  readonly seed: number;
  readonly digest: Digest;
  readonly tamper?: Tamper | undefined;
}

export class VirtualMachine {
  readonly seed: number;
  nowMs = 1;
  steps = 0;
  readonly threads: VirtualThread[] = [];
  readonly #digest: Digest;
  readonly #tamper: Tamper | undefined;
  readonly #choose: () => number;
  #ports: VirtualPort[] = [];
  #timers: Planned[] = [];
  #lastPort = 0;
  readonly #ready: (VirtualThread | VirtualPort)[] = [];

  constructor({ seed, digest, tamper }: VirtualMachineOptions) {
    this.seed = seed;
    this.#digest = digest;
    this.#tamper = tamper;
    this.#choose = randomFrom(seed);
  }

  thread(failed: (error: unknown) => void): VirtualThread {
    const thread = new VirtualThread(this, this.threads.length, failed);
    this.threads.push(thread);
    return thread;
  }

  /** Ends that nobody owns yet belong to who they are sent to. */
  pair(one?: VirtualThread, other?: VirtualThread): readonly [VirtualPort, VirtualPort] {
    const ports = [this.#port(one), this.#port(other)] as const;
    VirtualPort.pair(ports);
    return ports;
  }

  link(one?: VirtualThread, other?: VirtualThread): readonly [VirtualPorts, VirtualPorts] {
    const data = this.pair(one, other);
    const control = this.pair(one, other);
    return [
      { data: data[0], control: control[0] },
      { data: data[1], control: control[1] },
    ];
  }

  plan(thread: VirtualThread, delayMs: number, run: () => void): Timer {
    const planned: Planned = { atMs: this.nowMs + Math.max(0, delayMs), thread, run };
    this.#timers.push(planned);
    return {
      cancel: () => {
        planned.run = undefined;
      },
    };
  }

  /** Whether a turn or a delivery is due; without one only time can pass. */
  get isBusy(): boolean {
    return this.#collect() > 0;
  }

  /** One thing happens; undefined when nothing can. */
  step(): VirtualThread | undefined {
    this.steps += 1;
    const count = this.#collect();
    const chance = this.#choose();
    if (count === 0 || chance < TIME_SHARE) {
      const passed = this.#pass();
      if (passed !== undefined || count === 0) return passed;
    }
    const chosen = this.#ready[Math.floor(this.#choose() * count)] as VirtualThread | VirtualPort;
    if (chosen instanceof VirtualPort) {
      const owner = chosen.owner as VirtualThread;
      this.#note('m', chosen.number);
      owner.run(() => chosen.deliver());
      return owner;
    }
    this.#note('t', chosen.number);
    const turn = chosen.turns.shift() as () => void;
    chosen.run(turn);
    return chosen;
  }

  /** Ports that somebody can hear something from now. */
  get busyPorts(): readonly VirtualPort[] {
    return this.#ports.filter((port) => port.hasWaiting);
  }

  #collect(): number {
    const { steps } = this;
    const ready = this.#ready;
    let count = 0;
    for (const thread of this.threads) {
      if (thread.turns.length === 0 || thread.pausedUntil > steps) continue;
      ready[count] = thread;
      count += 1;
    }
    let hasClosed = false;
    for (const port of this.#ports) {
      if (port.isClosed) {
        hasClosed = true;
        continue;
      }
      if (!port.hasWaiting || port.heldUntil > steps || port.owner === undefined) continue;
      if (port.owner.pausedUntil > steps) continue;
      ready[count] = port;
      count += 1;
    }
    if (hasClosed) this.#ports = this.#ports.filter((port) => !port.isClosed);
    return count;
  }

  /** The first timer fires, of those whose thread is not held up. */
  #pass(): VirtualThread | undefined {
    let first: Planned | undefined;
    let live = 0;
    const timers = this.#timers;
    for (const timer of timers) {
      if (timer.run === undefined || timer.thread.isOver) continue;
      timers[live] = timer;
      live += 1;
      if (timer.thread.pausedUntil > this.steps) continue;
      if (first === undefined || timer.atMs < first.atMs) first = timer;
    }
    timers.length = live;
    if (first === undefined) return undefined;
    this.nowMs = Math.max(this.nowMs, first.atMs);
    this.#note('c', first.thread.number);
    const { run } = first;
    first.run = undefined;
    if (run !== undefined) first.thread.run(run);
    return first.thread;
  }

  #note(what: string, number: number): void {
    this.#digest.text(what);
    this.#digest.number(number);
    this.#digest.number(this.nowMs);
  }

  #port(owner: VirtualThread | undefined): VirtualPort {
    this.#lastPort += 1;
    const port = new VirtualPort(this.#lastPort, owner, this.#tamper);
    this.#ports.push(port);
    return port;
  }
}
