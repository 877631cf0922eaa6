/**
 * One leak check, a process of its own: `leak-check.js WHAT COUNT`. It warms up, measures, does what is checked `COUNT` times,
 * and measures again; it ends with 0 where nothing has stayed.
 */
import { Worker } from 'node:worker_threads';
import * as assert from 'uvu/assert';
import {
  child,
  createSystem,
  type Placement,
  refTo,
  type System,
  supervisor,
} from '../../runtime/index.ts';
import {
  type Holdings,
  Living,
  restingHeap,
  untilAtRest,
  untilHeapsAreBack,
} from '../support/at-rest.ts';
import { until, within } from '../support/within.ts';
import { type Death, type MortalProtocol, mortalActor } from './mortal-actor.ts';
import { type NurseryProtocol, nurseryActor } from './nursery-actor.ts';

export type LeakCheck = 'systems' | 'actors' | 'restarts';

const GROWTH_AT_MOST = 0.02;
const WAIT_MS = 60_000;
/** As many are alive at once. */
const BATCH = 1_000;
const LONG = { inMs: WAIT_MS };
const GROUPS = { a: { threads: [0] }, b: { threads: [1] } };
const onThread = (group: keyof typeof GROUPS): Placement => ({ hash: group, group });

/** Each is used in one system after the other. */
const NURSERIES = {
  near: refTo<NurseryProtocol>('leaks', 'root/near'),
  far: refTo<NurseryProtocol>('leaks', 'root/far'),
};
const nursery = (id: 'near' | 'far') => NURSERIES[id];
const MORTAL = refTo<MortalProtocol>('leaks', 'root/mortal');

const systems = new Living();
const workers = new Living();
const WATCHED = { systems, workers };
/** Three ports for each thread, one for the spare that nobody talks to; main's heartbeat, and a watchdog for each thread. */
const ONE_SYSTEM = { systems: 1, workers: 3, MessagePort: 7, Timeout: 3 };
const NOTHING = {};

interface Check {
  /** What is held between two times. */
  readonly resting: Holdings;
  /** By its end each collection has grown and each function has run. */
  readonly warmUp: number;
  work(count: number): Promise<void>;
  /** Of each thread that stays. */
  heaps(): Promise<readonly number[]>;
}

async function check({ resting, warmUp, work, heaps }: Check, count: number): Promise<void> {
  await work(warmUp);
  await untilAtRest(resting, WATCHED);
  const before = await heaps();
  await work(count);
  await untilAtRest(resting, WATCHED);
  await untilHeapsAreBack(before, heaps, GROWTH_AT_MOST);
}

async function start(threads: 'inline' | 'threads'): Promise<System> {
  const system = await createSystem({
    name: 'leaks',
    threads:
      threads === 'inline'
        ? 'inline'
        : {
            pool: 2,
            groups: GROUPS,
            createWorker: (entry, options) => {
              const worker = new Worker(entry, options);
              workers.add(worker);
              return worker;
            },
          },
  });
  systems.add(system);
  const root = supervisor('root', {
    strategy: 'one_for_one',
    intensity: 100_000,
    periodMs: 1_000,
    backoff: { minMs: 1, maxMs: 5 },
    children: [
      child(nurseryActor, { id: 'near', args: null, placement: 'main' }),
      child(nurseryActor, { id: 'far', args: null, placement: onThread('b') }),
      child(mortalActor, { id: 'mortal', args: {}, placement: onThread('a') }),
    ],
  });
  await within('the start', system.started(system.spawn(root)), WAIT_MS);
  return system;
}

async function liveAndStop(threads: 'inline' | 'threads'): Promise<void> {
  const system = await start(threads);
  await system.ask(nursery('far'), 'visit', MORTAL, LONG);
  await system.ask(nursery('near'), 'raise', { count: 1, placement: onThread('a') }, LONG);
  await within('the stop', system.stop(), WAIT_MS);
}

/** On the main thread, from there on another one, and on that one. */
async function raise(system: System, count: number): Promise<void> {
  for (const [id, placement] of [
    ['near', 'main'],
    ['near', onThread('b')],
    ['far', 'with-parent'],
  ] as const)
    for (let left = count; left > 0; left -= BATCH)
      await system.ask(nursery(id), 'raise', { count: Math.min(left, BATCH), placement }, LONG);
}

/** The thread ends while it is asked, and is back for the others. */
async function restart(system: System, how: Death): Promise<void> {
  const before = await system.ask(nursery('far'), 'visit', MORTAL, LONG);
  assert.ok(system.tell(MORTAL, 'die', how));
  const cut = system.ask(MORTAL, 'echo', null, LONG).catch(() => undefined);
  await until(
    'it is back',
    async () => (await system.ask(nursery('far'), 'visit', MORTAL, LONG).catch(() => 0)) > before,
    WAIT_MS,
  );
  await within('the ask that was cut ends', cut, WAIT_MS);
}

async function checkSystems(count: number): Promise<void> {
  const work = async (times: number) => {
    for (const threads of ['inline', 'threads'] as const) {
      for (let i = 0; i < times; i += 1) {
        await liveAndStop(threads);
        // Comlink's table of finalizers stays as large as what came between two collections.
        await restingHeap();
      }
    }
  };
  const heaps = async () => [await restingHeap()];
  await check({ resting: NOTHING, warmUp: Math.min(count, 10), work, heaps }, count);
}

async function checkOne(what: 'actors' | 'restarts', count: number): Promise<void> {
  const system = await start('threads');
  const kills = async (times: number) => {
    // In turns charged to its actor and to nobody, whose second in a row would wait.
    for (let i = 0; i < times; i += 1) {
      await restart(system, i % 2 === 0 ? 'exit-0' : 'throw-outside');
      await restingHeap();
    }
  };
  const heaps = async () => [
    await restingHeap(),
    await system.ask(nursery('far'), 'heap', null, LONG),
  ];
  const common = { resting: ONE_SYSTEM, heaps };
  try {
    if (what === 'actors')
      await check({ ...common, warmUp: count, work: (n) => raise(system, n) }, count);
    else await check({ ...common, warmUp: 20, work: kills }, count);
  } finally {
    await within('the stop', system.stop(), WAIT_MS);
  }
}

const [what, count] = process.argv.slice(2);
if (process.argv[1]?.endsWith('leak-check.js')) {
  if (what === 'systems') await checkSystems(Number(count));
  else await checkOne(what as 'actors' | 'restarts', Number(count));
  await untilAtRest(NOTHING, WATCHED);
}
