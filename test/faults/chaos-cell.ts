/** One cell of the chaos matrix, a process of its own: `chaos-cell.js DEATH SITUATION`. It ends by itself, with 0 where all holds. */
import { Worker } from 'node:worker_threads';
import * as assert from 'uvu/assert';
import {
  type ActorRef,
  child,
  createSystem,
  type Deferred,
  refTo,
  type System,
  type SystemEvent,
  supervisor,
} from '../../runtime/index.ts';
import {
  type CounterProtocol,
  type WatcherProtocol,
  watcherActor,
} from '../runtime/support/actors.ts';
import { until, within } from '../support/within.ts';
import { DEATHS, type MortalProtocol, mortalActor, storeActor } from './mortal-actor.ts';

export const CELL_DEATHS = ['terminate', ...DEATHS] as const;
export type CellDeath = (typeof CELL_DEATHS)[number];
export const SITUATIONS = [
  'idle',
  'busy',
  'mid-batch',
  'mid-commit',
  'restart',
  'shutdown',
] as const;
export type Situation = (typeof SITUATIONS)[number];

/** An error in a handler is its actor's own. */
const ENDS_ACTOR: readonly CellDeath[] = ['overflow', 'no-clone'];
const STOP_DEADLINE_MS = 5_000;
const WAIT_MS = 20_000;
/** Longer than any wait here: what ends such an ask is not its deadline. */
const LONG = { inMs: 120_000 };
const SETUP = {
  module: new URL('../runtime/support/plain-setup.js', import.meta.url).href,
  export: 'setup',
  args: {},
};

const killer = refTo<MortalProtocol>('chaos', 'root/killer');
const victim = refTo<MortalProtocol>('chaos', 'root/victim');
const other = refTo<MortalProtocol>('chaos', 'root/other');
/** Nobody lives there, and it takes the killer's thread to say so. */
const nobody = refTo<MortalProtocol>('chaos', 'root/killer/nobody');
const WATCHERS = ['near', 'far'].map((id) => refTo<WatcherProtocol>('chaos', `root/${id}`));

/** An ask that tells how it ended; each has to. */
type Ending = Promise<'answered' | string>;

class Cell {
  readonly #how: CellDeath;
  readonly #situation: Situation;
  readonly #events: SystemEvent[] = [];
  readonly #workers = new Map<string, Worker>();
  readonly #commits: Deferred<string>[] = [];
  readonly #asks: Ending[] = [];
  #stopping: () => void = () => undefined;
  #isBusy = true;
  #added = 0;
  #system!: System;

  constructor(how: CellDeath, situation: Situation) {
    this.#how = how;
    this.#situation = situation;
  }

  async run(): Promise<void> {
    const handles = handlesNow();
    this.#system = await this.#start();
    try {
      await this.#prepare();
      const load = this.#loadOther();
      // Where something else fails, that is what has to be heard.
      load.catch(() => undefined);
      if (this.#situation === 'shutdown') await this.#dieAtStop();
      else await this.#dieAndReturn();
      this.#isBusy = false;
      await load;
      if (this.#situation !== 'shutdown')
        assert.is((await this.#system.inspect()).counters.asks_open, 0, 'an ask is open');
    } finally {
      await within('the stop', this.#system.stop({ deadlineMs: STOP_DEADLINE_MS }), WAIT_MS);
    }
    const ends = await within('the end of each ask', Promise.all(this.#asks), WAIT_MS);
    for (const end of ends) assert.match(end, /^[a-z_]+$/, 'an ask ended without a code');
    await until('no handle is left', () => handlesNow() <= handles, WAIT_MS);
  }

  async #start(): Promise<System> {
    const system = await createSystem({
      name: 'chaos',
      threads: {
        pool: 2,
        groups: { mortal: { threads: [0] }, other: { threads: [1] } },
        // Only what has to be ended by the watchdog is: a slow machine is not.
        stallKillMs: this.#how === 'loop' ? 1_500 : 60_000,
        maxHeapMb: 48,
        maxExternalMb: 64,
        createWorker: (entry, options) => {
          const worker = new Worker(entry, { ...options, stderr: true });
          this.#workers.set(options.name ?? '', worker);
          return worker;
        },
      },
      thread: SETUP,
      onEvent: (event) => this.#events.push(event),
    });
    const store = {
      committing: (answer: Deferred<string>) => this.#commits.push(answer),
      stopping: () => this.#stopping(),
    };
    const mortal = { hash: 'a', group: 'mortal' };
    const elsewhere = { hash: 'b', group: 'other' };
    const slow = { restartMs: this.#situation === 'restart' ? 300 : 0 };
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 100,
      periodMs: 10_000,
      backoff: { minMs: 1, maxMs: 5 },
      children: [
        child(storeActor, { id: 'store', args: store, placement: 'main' }),
        child(watcherActor, { id: 'near', args: null, placement: 'main' }),
        child(watcherActor, { id: 'far', args: null, placement: elsewhere }),
        child(mortalActor, { id: 'other', args: {}, placement: elsewhere }),
        child(mortalActor, { id: 'victim', args: slow, placement: mortal }),
        child(mortalActor, { id: 'killer', args: {}, placement: mortal }),
      ],
    });
    await within('the start', system.started(system.spawn(root)), WAIT_MS);
    return system;
  }

  /** The state in which death finds the thread. */
  async #prepare(): Promise<void> {
    const system = this.#system;
    for (const watcher of WATCHERS) {
      for (const { address } of [killer, victim, nobody])
        system.tell(watcher, 'watch', refTo<CounterProtocol>(...partsOf(address)));
      // The answer to the last watch is behind the others on their way: they are watched by then.
      await until(
        'the watches have arrived',
        async () => (await this.#seenBy(watcher, [nobody])).length > 0,
        WAIT_MS,
      );
    }
    switch (this.#situation) {
      case 'busy':
        this.#ask(victim, 'spin', 20);
        for (let n = 0; n < 200; n += 1) this.#ask(victim, 'spin', 0.2);
        return;
      case 'mid-commit':
        this.#ask(victim, 'commit', null);
        this.#ask(victim, 'echo', 'behind it');
        await until('the commit is under way', () => this.#commits.length > 0, WAIT_MS);
        return;
      case 'restart': {
        const first = this.#workerOf('pool-0');
        await first.terminate();
        await until('it starts again', () => this.#workerOf('pool-0') !== first, WAIT_MS);
        return;
      }
      default:
        return;
    }
  }

  async #dieAndReturn(): Promise<void> {
    const before = this.#losses;
    const isBatch = this.#situation === 'mid-batch';
    if (isBatch) this.#batch();
    if (this.#situation === 'restart')
      await until('the killer is back', () => this.#incarnationOf(killer), WAIT_MS);
    this.#kill();
    if (isBatch) this.#batch();
    const isThreads = !ENDS_ACTOR.includes(this.#how);
    if (isThreads) await until('the thread is lost', () => this.#losses === before + 1, WAIT_MS);
    // A store's late answer finds nobody, or who asked for it.
    for (const answer of this.#commits.splice(0)) answer.resolve('done');
    const earlier = this.#situation === 'restart' ? 2 : 1;
    const lives = [
      [killer, earlier + 1],
      [victim, isThreads ? earlier + 1 : earlier],
    ] as const;
    for (const [ref, wanted] of lives) {
      await until(
        `${ref.address} is back`,
        async () => (await this.#incarnationOf(ref)) === wanted,
        WAIT_MS,
      );
    }
    await within('the end of each ask', Promise.all(this.#asks), WAIT_MS);
    await this.#checkDowns(lives.filter(([, life]) => life > 1).map(([ref]) => ref.address));
    assert.is(this.#losses, isThreads ? before + 1 : before, 'one loss, and of one thread');
  }

  /** Its `stop` is what ends the thread. */
  async #dieAtStop(): Promise<void> {
    const how = this.#how === 'terminate' ? 'wait' : this.#how;
    await this.#system.ask(killer, 'dieAtStop', how, LONG);
    this.#ask(victim, 'commit', null);
    await until('the commit is under way', () => this.#commits.length > 0, WAIT_MS);
    let hasBegun = false;
    this.#stopping = () => {
      hasBegun = true;
      if (how === 'wait') void this.#workerOf('pool-0').terminate();
    };
    await within('the stop', this.#system.stop({ deadlineMs: STOP_DEADLINE_MS }), WAIT_MS);
    // What ends its thread in the same turn takes the word along.
    if (how === 'wait') assert.ok(hasBegun);
  }

  #kill(): void {
    if (this.#how === 'terminate') void this.#workerOf('pool-0').terminate();
    else assert.ok(this.#system.tell(killer, 'die', this.#how));
  }

  #batch(): void {
    for (let n = 0; n < 2_000; n += 1) {
      this.#system.tell(victim, 'add', n);
      if (n % 10 === 0) this.#ask(victim, 'echo', { n });
      if (n % 500 === 0) this.#ask(victim, 'giveFunction', null);
    }
  }

  /** The other thread never stops: each ask is answered, from the state that it had. */
  async #loadOther(): Promise<void> {
    while (this.#isBusy) {
      const total = this.#system.ask(other, 'add', 1, LONG);
      if (this.#situation === 'shutdown') {
        await total.catch(() => {
          this.#isBusy = false;
        });
      } else {
        this.#added += 1;
        assert.is(await total, this.#added, 'the other thread lost its state');
      }
    }
  }

  async #checkDowns(expected: readonly string[]): Promise<void> {
    const wanted = [...expected].sort();
    for (const watcher of WATCHERS) {
      const seen = () => this.#seenBy(watcher, [killer, victim]);
      await until('each down', async () => (await seen()).length >= wanted.length, WAIT_MS);
      // A second one would be behind the first: a way there and back is behind both.
      await this.#system.ask(other, 'echo', 0, LONG);
      assert.equal((await seen()).sort(), wanted, `downs of ${watcher.address}`);
    }
  }

  async #seenBy(
    watcher: ActorRef<WatcherProtocol>,
    of: readonly ActorRef<unknown>[],
  ): Promise<string[]> {
    const downs = await this.#system.ask(watcher, 'downs', null, LONG);
    const paths = downs.map(({ ref }) => ref.address.replace(/#.*/, ''));
    return paths.filter((path) => of.some(({ address }) => address === path));
  }

  #ask<K extends 'spin' | 'echo' | 'commit' | 'giveFunction'>(
    ref: ActorRef<MortalProtocol>,
    kind: K,
    payload: Parameters<MortalProtocol[K]>[0],
  ): void {
    this.#asks.push(
      this.#system.ask(ref, kind, payload as never, LONG).then(
        () => 'answered',
        ({ code }: { code: string }) => String(code),
      ),
    );
  }

  #incarnationOf(ref: ActorRef<MortalProtocol>): Promise<number | undefined> {
    return this.#system.ask(ref, 'incarnation', null, { inMs: 1_000 }).catch(() => undefined);
  }

  get #losses(): number {
    return this.#events.filter(({ type }) => type === 'thread.lost').length;
  }

  #workerOf(thread: string): Worker {
    const name = this.#events.findLast(
      (event) => event.type === 'thread.started' && event.thread === thread,
    );
    const worker = this.#workers.get(name?.type === 'thread.started' ? name.worker : '');
    assert.ok(worker, `${thread} has no worker`);
    return worker as Worker;
  }
}

function partsOf(address: string): [system: string, path: string] {
  const slash = address.indexOf('/');
  return [address.slice(0, slash), address.slice(slash + 1)];
}

function handlesNow(): number {
  return process.getActiveResourcesInfo().filter((name) => name !== 'Timeout').length;
}

const [how, situation] = process.argv.slice(2);
if (process.argv[1]?.endsWith('chaos-cell.js')) {
  await new Cell(how as CellDeath, situation as Situation).run();
}
