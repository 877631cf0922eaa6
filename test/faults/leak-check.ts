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
import { handlesNow, restingHeap } from '../support/heap.ts';
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

/** A ref remembers whom it found: it is made anew for each system. */
const nursery = (id: 'near' | 'far') => refTo<NurseryProtocol>('leaks', `root/${id}`);
const mortal = () => refTo<MortalProtocol>('leaks', 'root/mortal');

/** What is left when all is done. */
interface Rest {
  readonly handles: readonly string[];
  readonly systems: number;
  readonly workers: number;
  /** Of each thread that stays. */
  heaps(): Promise<readonly number[]>;
}

const NOTHING: Rest = {
  handles: [],
  systems: 0,
  workers: 0,
  heaps: async () => [await restingHeap()],
};

const oneSystem = (system: System): Rest => ({
  // Three ports for each thread, one for the spare that nobody talks to; main's heartbeat, and a watchdog for each thread.
  handles: [...Array<string>(7).fill('MessagePort'), ...Array<string>(3).fill('Timeout')],
  systems: 1,
  workers: 3,
  heaps: async () => [await restingHeap(), await system.ask(nursery('far'), 'heap', null, LONG)],
});

const systems: WeakRef<System>[] = [];
const workers: WeakRef<Worker>[] = [];

/** By the end of the warm-up each collection has grown and each function has run. */
async function check(
  rest: Rest,
  work: (count: number) => Promise<void>,
  counts: { readonly warmUp: number; readonly full: number },
): Promise<void> {
  await work(counts.warmUp);
  await atRest(rest);
  const before = await rest.heaps();
  await work(counts.full);
  await atRest(rest);
  let after: readonly number[] = [];
  const isBack = async () => {
    after = await rest.heaps();
    return after.every((bytes, i) => bytes <= (before[i] ?? 0) * (1 + GROWTH_AT_MOST));
  };
  const found = await until('the memory is back', isBack, WAIT_MS).catch(() => false);
  const heaps = `${counts.full} more: ${before.join(', ')} bytes became ${after.join(', ')}`;
  console.log(heaps);
  assert.ok(found, heaps);
}

async function atRest(rest: Rest): Promise<void> {
  const left = async () => {
    await restingHeap();
    return {
      handles: handlesNow().join(),
      systems: systems.filter((system) => system.deref() !== undefined).length,
      workers: workers.filter((worker) => worker.deref() !== undefined).length,
    };
  };
  const wanted = { handles: rest.handles.join(), systems: rest.systems, workers: rest.workers };
  const isSame = async () => JSON.stringify(await left()) === JSON.stringify(wanted);
  await until('it rests', isSame, WAIT_MS).catch(async () => assert.equal(await left(), wanted));
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
              workers.push(new WeakRef(worker));
              return worker;
            },
          },
  });
  systems.push(new WeakRef(system));
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
  await system.ask(nursery('far'), 'visit', mortal(), LONG);
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
  const before = await system.ask(nursery('far'), 'visit', mortal(), LONG);
  assert.ok(system.tell(mortal(), 'die', how));
  const cut = system.ask(mortal(), 'echo', null, LONG).catch(() => undefined);
  await until(
    'it is back',
    async () => (await system.ask(nursery('far'), 'visit', mortal(), LONG).catch(() => 0)) > before,
    WAIT_MS,
  );
  await within('the ask that was cut ends', cut, WAIT_MS);
}

async function checkSystems(full: number): Promise<void> {
  const work = async (count: number) => {
    for (let i = 0; i < count; i += 1) await liveAndStop('inline');
    for (let i = 0; i < count; i += 1) await liveAndStop('threads');
  };
  await check(NOTHING, work, { warmUp: Math.min(full, 10), full });
}

async function checkOne(what: 'actors' | 'restarts', full: number): Promise<void> {
  const system = await start('threads');
  const kills = async (count: number) => {
    // In turns charged to its actor and to nobody, whose second in a row would wait.
    for (let i = 0; i < count; i += 1)
      await restart(system, i % 2 === 0 ? 'exit-0' : 'throw-outside');
  };
  try {
    if (what === 'restarts')
      await check(oneSystem(system), kills, { warmUp: Math.min(full, 20), full });
    else await check(oneSystem(system), (n) => raise(system, n), { warmUp: full, full });
  } finally {
    await within('the stop', system.stop(), WAIT_MS);
  }
}

const [what, count] = process.argv.slice(2);
if (process.argv[1]?.endsWith('leak-check.js')) {
  if (what === 'systems') await checkSystems(Number(count));
  else await checkOne(what as 'actors' | 'restarts', Number(count));
  await atRest(NOTHING);
}
