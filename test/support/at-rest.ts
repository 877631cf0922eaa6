/** What a process holds when it rests: handles, things that the collector may have taken, memory. Node runs with `REST_FLAGS`. */
import * as assert from 'uvu/assert';
import { until } from './within.ts';

/** Without compilers: what they make lies in the heap too, and comes when they see fit. */
export const REST_FLAGS = ['--expose-gc', '--no-opt', '--no-sparkplug'] as const;

const WAIT_MS = 60_000;

/** How many, by name: kinds of handles (timers too), and what is watched. */
export type Holdings = Readonly<Record<string, number>>;
export type Watched = Readonly<Record<string, Living>>;

/** Counts those of its things that the collector has not taken. */
export class Living {
  count = 0;
  readonly #gone = new FinalizationRegistry(() => {
    this.count -= 1;
  });

  add(thing: object): void {
    this.count += 1;
    this.#gone.register(thing, undefined);
  }
}

/** Settles when the process holds that and nothing else. */
export async function untilAtRest(wanted: Holdings, watched: Watched): Promise<void> {
  let held: Holdings = {};
  const isAtRest = async () => {
    held = await holdings(watched);
    const names = new Set([...Object.keys(wanted), ...Object.keys(held)]);
    return [...names].every((name) => (held[name] ?? 0) === (wanted[name] ?? 0));
  };
  await until('it rests', isAtRest, WAIT_MS).catch(() => assert.equal(held, wanted));
}

/** Of the calling thread, after two forced collections. A turn lies before each: what ended in the last one is let go by then. */
export async function restingHeap(): Promise<number> {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error(`node runs without ${REST_FLAGS.join(' ')}`);
  for (let i = 0; i < 2; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await collect();
  }
  return process.memoryUsage().heapUsed;
}

/** Settles when each heap is no larger than it was, but for the share of it that is allowed. */
export async function untilHeapsAreBack(
  before: readonly number[],
  heaps: () => Promise<readonly number[]>,
  growth: number,
): Promise<void> {
  let after: readonly number[] = [];
  const areBack = async () => {
    after = await heaps();
    return after.every((bytes, i) => bytes <= (before[i] ?? 0) * (1 + growth));
  };
  const found = await until('the memory is back', areBack, WAIT_MS).catch(() => false);
  const said = `heaps of ${before.join(', ')} bytes became ${after.join(', ')}`;
  console.log(said);
  assert.ok(found, said);
}

async function holdings(watched: Watched): Promise<Holdings> {
  await restingHeap();
  const held: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    // What it prints to.
    if (kind !== 'PipeWrap' && kind !== 'TTYWrap') held[kind] = (held[kind] ?? 0) + 1;
  }
  for (const [name, { count }] of Object.entries(watched)) if (count > 0) held[name] = count;
  return held;
}
