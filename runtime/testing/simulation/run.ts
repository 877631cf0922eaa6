/** One run of the simulator: a system on virtual threads, its crowd, what it is bidden, and the observer after every step. */
import { type ActorRef, refTo } from '../../actor.ts';
import type { Supervision } from '../../child-spec.ts';
import { STRATEGIES } from '../../child-spec.ts';
import { createSystemOn } from '../../create-system.ts';
import { messageOf } from '../../errors.ts';
import { microtasksDone } from '../../host/microtasks.ts';
import { supervisor } from '../../supervision/supervisor.ts';
import type { System, ThreadWorld } from '../../system.ts';
import { randomFrom } from '../virtual-host.ts';
import { Audit } from './audit.ts';
import { Books, type Violation } from './books.ts';
import {
  type Command,
  CROWD_CODE,
  type CrowdDeps,
  type CrowdProtocol,
  crowd,
  type Deed,
  hub,
  LEAF_KINDS,
  type LeafKind,
  leaf,
  resolveCrowd,
} from './crowd.ts';
import { Digest } from './digest.ts';
import { Faults, type Happened } from './faults.ts';
import { VirtualMachine } from './virtual-machine.ts';
import type { Tamper } from './virtual-port.ts';
import type { VirtualThread } from './virtual-thread.ts';
import { VirtualThreads, type VirtualWorker } from './virtual-threads.ts';

export interface RunOptions {
  readonly seed: number;
  readonly steps: number;
  /** Pool threads. */
  readonly threads: number;
  /** Children that each of the crowd's hubs begins with. */
  readonly leaves: number;
  /** Numbers of faults that are left out. */
  readonly without: readonly number[];
  readonly tamper?: Tamper | undefined;
}

export interface Run {
  readonly digest: string;
  readonly faults: readonly Happened[];
  readonly counts: Books['counts'];
  /** The step after which it was seen. */
  readonly violation: (Violation & { readonly step: number }) | undefined;
}

const SYSTEM = 'sim';
const CROWD_PATH = 'sim/top/crowd';
/** Of the virtual clock: until every backoff, deadline and new thread has had its time. */
const QUIET_MS = 150;
/** A run that is not quiet by then never will be. */
const LONGEST_END_STEPS = 20_000;
const BOOT_STEPS = 5_000;
const COMMAND_SHARE = 0.3;
const FLOOD_MESSAGES = 300;

/** What is bidden by chance; the rest is the faults'. */
const BIDDEN: readonly Deed[] = [
  'tell',
  'tell',
  'ask',
  'wait',
  'ready',
  'watch',
  'spawn',
  'stop-child',
  'timer',
];

export async function runOnce(options: RunOptions): Promise<Run> {
  const run = new SimulatedRun(options);
  return run.toEnd();
}

class SimulatedRun {
  readonly #options: RunOptions;
  readonly #digest = new Digest();
  readonly #machine: VirtualMachine;
  readonly #main: VirtualThread;
  readonly #threads: VirtualThreads;
  readonly #books: Books;
  readonly #faults: Faults;
  readonly #random: () => number;
  readonly #supervision: Supervision;
  readonly #spawned: LeafKind;
  readonly #hubs: string[] = [];
  readonly #targets: string[] = [];
  readonly #silentPaths = new Set<string>();
  #audit: Audit | undefined = undefined;
  #lastId = 0;
  #violationStep = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    const { seed, tamper, without } = options;
    this.#machine = new VirtualMachine({ seed, digest: this.#digest, tamper });
    this.#random = randomFrom(seed ^ 0x2545f491);
    this.#faults = new Faults(seed, without);
    this.#supervision = this.#drawSupervision();
    this.#spawned = this.#pick(LEAF_KINDS);
    this.#books = new Books(this.#digest, this.#machine);
    this.#main = this.#machine.thread((error) => this.#books.fail('main_threw', messageOf(error)));
    this.#threads = new VirtualThreads({
      machine: this.#machine,
      main: this.#main,
      world: (worker) => this.#worldOf(worker),
      onEvent: (event) => this.#books.event(event),
      lost: ({ name }) => this.#books.threadLost(name),
    });
  }

  async toEnd(): Promise<Run> {
    const system = await this.#boot();
    const { steps } = this.#options;
    const ground = {
      machine: this.#machine,
      threads: this.#threads,
      books: this.#books,
      bid: (fault: 'crash' | 'leave' | 'die' | 'flood', at: number) =>
        this.#bidFault(system, fault, at),
    };
    await this.#stepUpTo(steps, () => {
      if (this.#books.violation !== undefined) return true;
      this.#faults.step(ground);
      if (this.#random() < COMMAND_SHARE) this.#bidAny(system);
      return false;
    });
    if (this.#books.violation === undefined) await this.#end(system);
    const { violation, counts } = this.#books;
    return {
      digest: this.#digest.toString(),
      faults: this.#faults.happened,
      counts,
      violation: violation && { ...violation, step: Math.min(steps, this.#violationStep) },
    };
  }

  async #boot(): Promise<System> {
    const { threads: pool } = this.#options;
    const made = createSystemOn(
      { name: SYSTEM, threads: { pool, spare: this.#random() < 0.3 } },
      {
        host: this.#main,
        threads: this.#threads,
        setUp: async () => ({ deps: this.#depsOf(undefined) }),
        observe: (event) => this.#books.event(event),
      },
    );
    const { system, kernel } = await this.#until(made);
    this.#audit = new Audit(this.#books, this.#threads, kernel);
    const top = supervisor('top', {
      strategy: 'one_for_one',
      intensity: 1_000,
      periodMs: 1_000,
      backoff: { minMs: 1, maxMs: 5 },
      children: [crowd({ ...this.#supervision, children: this.#drawHubs() })],
    });
    await this.#until(system.started(system.spawn(top)));
    return system;
  }

  #drawSupervision(): Supervision {
    return {
      strategy: this.#pick(STRATEGIES),
      intensity: 1 + Math.floor(this.#random() * 4),
      periodMs: 20 + Math.floor(this.#random() * 200),
      backoff: { minMs: 1, maxMs: 10 },
    };
  }

  #drawHubs(): ReturnType<typeof hub>[] {
    const { threads, leaves } = this.#options;
    return Array.from({ length: threads + 1 }, (_, i) => {
      const id = `h${i}`;
      const path = `${CROWD_PATH}/${id}`;
      this.#hubs.push(path);
      this.#targets.push(path);
      const children = Array.from({ length: leaves }, (_leaf, j) => {
        const kind = this.#pick(LEAF_KINDS);
        this.#addTarget(`${path}/l${j}`, kind);
        return leaf(`l${j}`, kind, this.#pick(['permanent', 'transient']));
      });
      const supervision = { ...this.#drawSupervision(), children };
      return hub(id, i === 0 ? 'main' : 'pool', supervision, this.#spawned);
    });
  }

  /** Steps until the promise settles. */
  async #until<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    promise.then(done, done);
    await microtasksDone();
    await this.#stepUpTo(BOOT_STEPS, () => isDone);
    if (!isDone) throw new Error('the simulated system does not come up');
    return promise;
  }

  /** One thing happens, and all that follows from it at once; then it is looked at. Until `isOver`, asked before each. */
  async #stepUpTo(steps: number, isOver: () => boolean): Promise<void> {
    for (let i = 0; i < steps && !isOver(); i += 1) {
      const moved = this.#machine.step();
      await microtasksDone();
      if (moved !== undefined) this.#audit?.look(moved);
      if (this.#books.violation !== undefined && this.#violationStep === 0)
        this.#violationStep = this.#machine.steps;
    }
  }

  #bidAny(system: System): void {
    const deed = this.#pick(BIDDEN);
    const at = this.#pick(deed === 'spawn' || deed === 'stop-child' ? this.#hubs : this.#targets);
    this.#lastId += 1;
    if (deed === 'spawn') this.#addTarget(`${at}/d${this.#lastId}`, this.#spawned);
    this.#bid(system, at, {
      deed,
      to: this.#pick(this.#targets),
      count: 1 + Math.floor(this.#random() * 6),
      ms: 5 + Math.floor(this.#random() * 60),
      id: this.#lastId,
    });
  }

  #bidFault(system: System, fault: 'crash' | 'leave' | 'die' | 'flood', at: number): void {
    const workers = this.#hubs.slice(1);
    const among = fault === 'die' ? workers : fault === 'flood' ? this.#hubs : this.#targets;
    const to = this.#targets[(at * 7) % this.#targets.length] ?? '';
    this.#bid(system, among[at % among.length] ?? '', {
      deed: fault === 'flood' ? 'tell' : fault,
      to,
      count: FLOOD_MESSAGES,
      ms: 0,
      id: at * 2 + 1,
    });
  }

  #bid(system: System, at: string, command: Command): void {
    const number = this.#books.telling('driver', at);
    const ref: ActorRef<CrowdProtocol> = refTo(SYSTEM, at.slice(SYSTEM.length + 1));
    const isTaken = system.tell(ref, 'act', { from: 'driver', number, command });
    this.#books.told('driver', at, number, isTaken);
  }

  /** No fault any more: all comes to rest, comes back, and every watch of a child that is stopped is answered. */
  async #end(system: System): Promise<void> {
    for (const thread of this.#machine.threads) thread.pausedUntil = 0;
    for (const port of this.#machine.busyPorts) port.heldUntil = 0;
    await this.#rest();
    for (const path of this.#hubs) {
      this.#lastId += 1;
      this.#bid(system, path, { deed: 'clear', to: '', count: 0, ms: 0, id: this.#lastId });
    }
    await this.#rest();
    this.#books.settle((target) => !this.#hubs.includes(target));
    if (this.#books.counts.losses === 0) this.#books.balance((path) => this.#silentPaths.has(path));
    await this.#until(system.stop());
    const left = [...this.#books.lives.values()].find(({ isOver }) => !isOver);
    if (left !== undefined) this.#books.fail('recovery', `${left.path} did not stop`);
  }

  async #rest(): Promise<void> {
    const untilMs = this.#machine.nowMs + QUIET_MS;
    const isBack = (path: string) => this.#books.lives.get(path)?.isOver === false;
    let isQuiet = false;
    await this.#stepUpTo(LONGEST_END_STEPS, () => {
      isQuiet = this.#machine.nowMs >= untilMs && !this.#machine.isBusy && this.#hubs.every(isBack);
      return isQuiet || this.#books.violation !== undefined;
    });
    if (isQuiet || this.#books.violation !== undefined) return;
    const away = this.#hubs.filter((path) => !isBack(path));
    this.#books.fail('recovery', `it does not come to rest; not running: ${away.join(', ')}`);
  }

  #addTarget(path: string, kind: LeafKind): void {
    this.#targets.push(path);
    if (kind === 'silent') this.#silentPaths.add(path);
  }

  /** The code is there before the first actor: until it is, a mailbox has another bound. */
  async #worldOf(worker: () => VirtualWorker): Promise<ThreadWorld> {
    const { inside } = worker();
    inside.kernel.code.resolve = resolveCrowd;
    await inside.preload(CROWD_CODE);
    return { deps: this.#depsOf(worker), resolve: resolveCrowd };
  }

  #depsOf(worker: (() => VirtualWorker) | undefined): CrowdDeps {
    return {
      books: this.#books,
      // Its name at birth: a place comes later.
      get thread() {
        return worker?.().name ?? 'main';
      },
      isOver: () => worker?.().host.isOver ?? false,
      die: () => worker?.().lose(),
    };
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
}
