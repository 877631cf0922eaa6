/**
 * How long are actors away when their thread is lost? A worker is ended by one of its hundred actors; the time until the last
 * one answers again, with a warm spare. A good number is 100 ms.
 */
import { child, refTo, supervisor } from '../runtime/index.ts';
import type { BenchCase, Contest } from './bench-case.ts';
import { openThreads } from './open-system.ts';
import { type VictimProtocol, victimActor } from './players.ts';

const ACTORS = 100;
const BUDGET_MS = 100;
/** Until the next spare is warm. */
const SPARE_MS = 1_500;

export const threadLoss: BenchCase = {
  name: 'thread-loss',
  unit: 'ms',
  peerName: 'budget',
  bar: 1,
  measure: 'value',
  async open(): Promise<Contest> {
    const system = await openThreads({ pool: 1 });
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 1_000,
      periodMs: 1_000,
      backoff: { minMs: 0, maxMs: 0 },
      children: Array.from({ length: ACTORS }, (_, i) =>
        child(victimActor, { id: `v${i}`, args: null, placement: 'pool' }),
      ),
    });
    await system.started(system.spawn(root));
    const victims = Array.from({ length: ACTORS }, (_, i) =>
      refTo<VictimProtocol>('bench', `root/v${i}`),
    );
    const isBack = async (incarnation: number) => {
      const asks = victims.map((ref) => system.ask(ref, 'incarnation', null, { inMs: 5_000 }));
      const found = await Promise.allSettled(asks);
      return found.every((one) => one.status === 'fulfilled' && one.value === incarnation);
    };
    let incarnation = 1;
    await new Promise((resolve) => setTimeout(resolve, SPARE_MS));
    return {
      async ours() {
        const beganMs = performance.now();
        const [first] = victims;
        if (first !== undefined) system.tell(first, 'exit', null);
        incarnation += 1;
        while (!(await isBack(incarnation))) await new Promise((resolve) => setTimeout(resolve, 1));
        return performance.now() - beganMs;
      },
      peer: async () => BUDGET_MS,
      settle: () => new Promise((resolve) => setTimeout(resolve, SPARE_MS)),
      close: () => system.stop(),
    };
  },
};
