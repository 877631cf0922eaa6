/**
 * How fast do actors come and go, and what does an idle one keep? A good spawn takes a microsecond, an idle actor 600 bytes
 * of heap with its state and its place among its siblings; spawned and stopped three times as fast as nact, and the tree of
 * Skynet with a million leaves six times.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { BenchCase, Contest } from './bench-case.ts';
import { nurseryActor, skynetActor } from './crowd.ts';
import { openInline, startOne } from './open-system.ts';
import { createNactPeer } from './peers/nact.ts';

const SPAWNED = 100_000;
const COME_AND_GO = 50_000;
const IDLE = 1_000_000;
const SPAWN_BUDGET_US = 1;
const IDLE_BUDGET_BYTES = 600;
const MINUTE = { inMs: 60_000 };

async function openNursery() {
  const system = await openInline();
  const nursery = await startOne(system, nurseryActor, 'nursery', null);
  return {
    spawn: (count: number) => system.ask(nursery, 'spawn', count, MINUTE),
    spawnAndStop: (count: number) => system.ask(nursery, 'spawnAndStop', count, MINUTE),
    clear: () => system.ask(nursery, 'clear', null, MINUTE),
    close: () => system.stop(),
  };
}

export const spawnRate: BenchCase = {
  name: 'spawn/rate',
  unit: 'µs each',
  peerName: 'budget',
  bar: 1,
  measure: 'value',
  warmUps: 2,
  async open(scale): Promise<Contest> {
    const nursery = await openNursery();
    const count = SPAWNED * scale;
    return {
      async ours() {
        const beganMs = performance.now();
        await nursery.spawn(count);
        return ((performance.now() - beganMs) * 1_000) / count;
      },
      peer: async () => SPAWN_BUDGET_US,
      async settle() {
        await nursery.clear();
      },
      close: () => nursery.close(),
    };
  },
};

export const spawnAndStop: BenchCase = {
  name: 'spawn/spawn-stop',
  unit: 'actors/s',
  peerName: 'nact',
  bar: 3,
  async open(scale): Promise<Contest> {
    const nursery = await openNursery();
    const nact = createNactPeer();
    return {
      ours: () => nursery.spawnAndStop(COME_AND_GO * scale),
      peer: async () => nact.spawnAndStop(COME_AND_GO * scale),
      async close() {
        nact.close();
        await nursery.close();
      },
    };
  },
};

export const idleActor: BenchCase = {
  name: 'idle-actor',
  unit: 'bytes each',
  peerName: 'budget',
  bar: 1,
  measure: 'value',
  async open(scale): Promise<Contest> {
    const count = IDLE * scale;
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const heapBytes = () => {
      collect();
      collect();
      return process.memoryUsage().heapUsed;
    };
    return {
      async ours() {
        const nursery = await openNursery();
        await nursery.spawn(1);
        const before = heapBytes();
        await nursery.spawn(count);
        const bytes = heapBytes() - before;
        await nursery.close();
        return bytes / count;
      },
      peer: async () => IDLE_BUDGET_BYTES,
      close: async () => undefined,
    };
  },
};

export const skynetSmall = skynetCase('skynet/100-k', 100_000, {});
/** nact takes half a minute for it. */
export const skynetLarge = skynetCase('skynet/1-m', 1_000_000, { rounds: 2, warmUps: 0 });

function skynetCase(
  name: string,
  size: number,
  rounds: Pick<BenchCase, 'rounds' | 'warmUps'>,
): BenchCase {
  return {
    name,
    unit: 'leaves/s',
    peerName: 'nact',
    bar: 6,
    ...rounds,
    async open(scale): Promise<Contest> {
      const nact = createNactPeer();
      const leaves = Math.max(1_000, size * scale);
      return {
        async ours() {
          const system = await openInline();
          const args = { number: 0, size: 0, parent: undefined };
          const root = await startOne(system, skynetActor, 'skynet', args);
          check(await system.ask(root, 'grow', leaves, MINUTE), leaves);
          await system.stop();
          return leaves;
        },
        async peer() {
          check(await nact.skynet(leaves), leaves);
          return leaves;
        },
        async close() {
          nact.close();
        },
      };
    },
  };
}

function check(sum: number, leaves: number): void {
  const expected = (leaves * (leaves - 1)) / 2;
  if (sum !== expected) throw new Error(`the leaves add up to ${sum}, not ${expected}`);
}
