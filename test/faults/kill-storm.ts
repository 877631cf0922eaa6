/**
 * Threads of one system end under load, one after the other and two at once: `kill-storm.js KILLS SEED`, a process of its own.
 * After each kill all that the runtime promises is looked at; it ends with 0 where all of it holds.
 */
import { Worker } from 'node:worker_threads';
import * as assert from 'uvu/assert';
import {
  type ActorRef,
  child,
  createSystem,
  refTo,
  type System,
  supervisor,
} from '../../runtime/index.ts';
import { Living, restingHeap, untilAtRest, untilHeapsAreBack } from '../support/at-rest.ts';
import { until, within } from '../support/within.ts';
import { type Death, type MortalProtocol, mortalActor } from './mortal-actor.ts';
import { type Random, seeded } from './seeded.ts';
import {
  memberActor,
  memberRef,
  type WitnessProtocol,
  type WitnessReport,
  witnessActor,
} from './storm-actors.ts';

/** Tables that have grown keep their room. */
const GROWTH_AT_MOST = 0.1;
const WAIT_MS = 60_000;
const BYTES_PER_MB = 1_048_576;
const LONG = { inMs: WAIT_MS };
/** By then each collection has grown, and each way to die was taken. */
const WARM_UP_KILLS = 20;
/** One in so many rounds ends both threads at once. */
const BOTH_EVERY = 7;
/** In turns: a thread that twice in a row nobody answers for is not replaced at once. */
const CHARGED: readonly Death[] = ['exit-0', 'exit-1', 'exit-0', 'exit-1', 'heap'];
const UNCHARGED = ['terminate', 'throw-outside', 'reject', 'overflow-outside', 'garbage'] as const;
const THREADS = ['a', 'b'] as const;
type ThreadName = (typeof THREADS)[number];
const GROUPS = { a: { threads: [0] }, b: { threads: [1] }, steady: { threads: [2] } };
const MEMBERS = THREADS.flatMap((thread) => [1, 2, 3].map((n) => `${thread}${n}`));
const near = refTo<WitnessProtocol>('storm', 'root/near');
const far = refTo<WitnessProtocol>('storm', 'root/far');
const WITNESSES = [near, far];
const killer = (thread: ThreadName) => refTo<MortalProtocol>('storm', `root/killer-${thread}`);
/** Three ports for each thread, one for the spare that nobody talks to; a heartbeat, three watchdogs, a witness's own timer. */
const RESTING = { workers: 4, MessagePort: 10, Timeout: 5 };

class Storm {
  readonly #random: Random;
  readonly #workers = new Living();
  /** By their own names, until they have a place. */
  readonly #made = new Map<string, Worker>();
  /** By their places. */
  readonly #running = new Map<string, Worker | undefined>();
  /** Kills of each thread. */
  readonly #kills: Record<ThreadName, number> = { a: 0, b: 0 };
  #lost = 0;
  #system!: System;

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  async run(kills: number): Promise<void> {
    this.#system = await this.#start();
    try {
      await this.#watch(MEMBERS);
      await this.#killUntil(Math.min(WARM_UP_KILLS, kills / 2));
      const before = await this.#whileQuiet(() => this.#heaps());
      const rssMb = process.memoryUsage.rss() / BYTES_PER_MB;
      await this.#killUntil(kills);
      await this.#whileQuiet(() => untilHeapsAreBack(before, () => this.#heaps(), GROWTH_AT_MOST));
      await this.#say(rssMb);
    } finally {
      await within('the stop', this.#system.stop(), WAIT_MS);
    }
    await untilAtRest({}, {});
  }

  async #start(): Promise<System> {
    const system = await createSystem({
      name: 'storm',
      threads: {
        pool: 3,
        groups: GROUPS,
        // No loop is among the deaths: a slow machine is not one.
        stallKillMs: WAIT_MS,
        maxHeapMb: 48,
        createWorker: (entry, options) => {
          const worker = new Worker(entry, options);
          this.#workers.add(worker);
          this.#made.set(options.name ?? '', worker);
          return worker;
        },
      },
      onEvent: (event) => {
        if (event.type === 'thread.lost') this.#lost += 1;
        if (event.type !== 'thread.started') return;
        this.#running.set(event.thread, this.#made.get(event.worker));
        this.#made.delete(event.worker);
      },
    });
    const onThread = (group: keyof typeof GROUPS) => ({ hash: group, group });
    const witness = (id: string) => ({ id, args: { id, members: MEMBERS } });
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 100_000,
      periodMs: 1_000,
      backoff: { minMs: 1, maxMs: 5 },
      children: [
        child(witnessActor, { ...witness('near'), placement: 'main' }),
        child(witnessActor, { ...witness('far'), placement: onThread('steady') }),
        ...MEMBERS.map((id) => {
          const members = MEMBERS.filter((other) => other !== id);
          const placement = onThread(id.charAt(0) as ThreadName);
          return child(memberActor, { id, args: { id, members }, placement });
        }),
        ...THREADS.map((thread) =>
          child(mortalActor, { id: `killer-${thread}`, args: {}, placement: onThread(thread) }),
        ),
      ],
    });
    await within('the start', system.started(system.spawn(root)), WAIT_MS);
    return system;
  }

  async #killUntil(wanted: number): Promise<void> {
    for (let round = 1; this.#killed < wanted; round += 1) {
      const one = THREADS[Math.floor(this.#random() * THREADS.length)] ?? 'a';
      const victims = round % BOTH_EVERY === 0 && this.#killed + 2 <= wanted ? THREADS : [one];
      const asked = await this.#reports();
      // In the middle of whatever they do.
      await new Promise((resolve) => setTimeout(resolve, this.#random() * 20));
      await Promise.all(victims.map((thread) => this.#kill(thread)));
      await until('the loss is told', () => this.#lost === this.#killed, WAIT_MS);
      await this.#checkAll(victims, asked);
      await this.#watch(MEMBERS.filter((id) => victims.some((thread) => id.startsWith(thread))));
    }
  }

  async #kill(thread: ThreadName): Promise<void> {
    this.#kills[thread] += 1;
    const ways = this.#kills[thread] % 2 === 0 ? UNCHARGED : CHARGED;
    const how = ways[Math.floor(this.#random() * ways.length)] ?? 'exit-0';
    if (how === 'terminate') {
      await this.#running.get(`pool-${THREADS.indexOf(thread)}`)?.terminate();
      return;
    }
    const isTold = () => this.#system.tell(killer(thread), 'die', how);
    await until(`${thread} is told to die by ${how}`, isTold, WAIT_MS);
  }

  async #checkAll(victims: readonly ThreadName[], asked: readonly WitnessReport[]): Promise<void> {
    const what = `after kill ${this.#killed} of ${victims.join(' and ')}`;
    await this.#allAreBack(what);
    const downsOf = (id: string, made: number) =>
      victims.some((thread) => id.startsWith(thread)) ? made : made - 1;
    let reports: readonly WitnessReport[] = [];
    const isOver = async () => {
      reports = await this.#reports();
      return reports.every(
        ({ oldestOpen, watches }, i) =>
          oldestOpen > (asked[i]?.asked ?? 0) &&
          Object.entries(watches).every(([id, [made, downs]]) => downs === downsOf(id, made)),
      );
    };
    const found = await until('all has ended', isOver, WAIT_MS).catch(() => false);
    for (const { problems } of reports) assert.equal(problems, [], what);
    assert.ok(found, `an ask or a watch has not ended ${what}: ${JSON.stringify(reports)}`);
    assert.is(this.#lost, this.#killed, `threads that were lost ${what}`);
  }

  /** In the next life where their thread ended, in the same one where it did not. */
  async #allAreBack(what: string): Promise<void> {
    const refs: readonly (readonly [ThreadName, ActorRef<Pick<MortalProtocol, 'incarnation'>>])[] =
      [
        ...MEMBERS.map((id) => [id.charAt(0) as ThreadName, memberRef(id)] as const),
        ...THREADS.map((thread) => [thread, killer(thread)] as const),
      ];
    for (const [thread, ref] of refs) {
      const isBack = async () => {
        const asked = this.#system.ask(ref, 'incarnation', null, { inMs: 10_000 });
        return (await asked.catch(() => 0)) === this.#kills[thread] + 1;
      };
      await until(`${ref.address} is back ${what}`, isBack, WAIT_MS);
    }
    for (const ref of WITNESSES)
      assert.is(await this.#system.ask(ref, 'incarnation', null, LONG), 1, what);
  }

  /** Nobody sends for a while: what is left then, all asks ended, is what stays. */
  async #whileQuiet<T>(look: () => Promise<T>): Promise<T> {
    await this.#load(false);
    const isQuiet = async () =>
      (await this.#reports()).every(({ asked, oldestOpen }) => oldestOpen > asked);
    await until('each ask has ended', isQuiet, WAIT_MS);
    await untilAtRest(RESTING, { workers: this.#workers });
    const found = await look();
    await this.#load(true);
    return found;
  }

  async #load(isOn: boolean): Promise<void> {
    const all = [...MEMBERS.map(memberRef), ...WITNESSES];
    await Promise.all(all.map((ref) => this.#system.ask(ref, 'load', isOn, LONG)));
  }

  /** Of the threads that stay. */
  async #heaps(): Promise<readonly number[]> {
    return [await restingHeap(), await this.#system.ask(far, 'heap', null, LONG)];
  }

  async #watch(ids: readonly string[]): Promise<void> {
    await Promise.all(WITNESSES.map((ref) => this.#system.ask(ref, 'watch', ids, LONG)));
  }

  #reports(): Promise<readonly WitnessReport[]> {
    return Promise.all(WITNESSES.map((ref) => this.#system.ask(ref, 'report', null, LONG)));
  }

  get #killed(): number {
    return this.#kills.a + this.#kills.b;
  }

  async #say(rssMb: number): Promise<void> {
    const reports = await this.#reports();
    const nowMb = process.memoryUsage.rss() / BYTES_PER_MB;
    console.log(`resident: ${rssMb.toFixed(0)} MB became ${nowMb.toFixed(0)} MB`);
    for (const { heard, asked, ends } of reports)
      console.log(`${heard} numbers in order, ${asked} asks: ${JSON.stringify(ends)}`);
  }
}

const [kills, seed] = process.argv.slice(2);
if (process.argv[1]?.endsWith('kill-storm.js')) await new Storm(Number(seed)).run(Number(kills));
