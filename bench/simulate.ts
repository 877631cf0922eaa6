/**
 * How many lives of an actor system does the simulator check in a second? Seeds of 200 steps, with the codec and the state
 * machines of the crowd in them, and every invariant after every step. There is no peer; a good number is 300.
 */
import { simulate } from '../runtime/testing/index.ts';
import type { BenchCase, Contest } from './bench-case.ts';

const SEEDS = 1_000;
/** As many milliseconds a seed as 300 a second take. */
const BUDGET_MS = 1_000 / 300;

export const simulateSeeds: BenchCase = {
  name: 'simulate',
  unit: 'ms a seed',
  peerName: 'budget',
  bar: 1,
  measure: 'value',
  async open(scale): Promise<Contest> {
    const count = Math.max(1, Math.round(SEEDS * scale));
    let seed = 0;
    let last = 0;
    return {
      async ours() {
        const beganMs = performance.now();
        for (let i = 0; i < count; i += 1) {
          seed += 1;
          const { failure } = await simulate({ seed });
          if (failure !== undefined) throw new Error(`seed ${seed}: ${failure.detail}`);
        }
        last = (performance.now() - beganMs) / count;
        return last;
      },
      peer: async () => BUDGET_MS,
      details: () => ({ seeds_per_second: Math.round(1_000 / last) }),
      close: async () => undefined,
    };
  },
};
