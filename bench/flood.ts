/**
 * Does a fast sender on one thread make memory grow while its receiver on another one is slow? A minute of telling as fast as
 * it is taken; the growth of the process between its tenth second and its last. A good number is none: less than 16 MB.
 */
import { child, refTo, supervisor } from '../runtime/index.ts';
import type { BenchCase, Contest } from './bench-case.ts';
import { openThreads } from './open-system.ts';
import { type BusyProtocol, busyActor, type HoseProtocol, hoseActor } from './players.ts';

const WARM_MS = 10_000;
const FLOOD_MS = 50_000;
const LOOK_MS = 1_000;
const HANDLER_US = 50;
const BUDGET_MB = 16;
const BYTES_PER_MB = 1_048_576;

export const flood: BenchCase = {
  name: 'flood',
  unit: 'MB',
  peerName: 'budget',
  bar: 1,
  measure: 'value',
  rounds: 1,
  async open(scale): Promise<Contest> {
    const system = await openThreads({ pool: 2, spare: false });
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 0,
      periodMs: 1,
      children: [
        child(busyActor, { id: 'slow', args: null, placement: 'pool' }),
        child(hoseActor, { id: 'hose', args: null, placement: 'pool' }),
      ],
    });
    await system.started(system.spawn(root));
    const hose = refTo<HoseProtocol>('bench', 'root/hose');
    const ref = refTo<BusyProtocol>('bench', 'root/slow');
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    let sent = 0;
    return {
      async ours() {
        system.tell(hose, 'open', { ref, us: HANDLER_US });
        await pause(WARM_MS * scale);
        const before = process.memoryUsage().rss;
        let most = before;
        for (let ms = 0; ms < FLOOD_MS * scale; ms += LOOK_MS) {
          await pause(Math.min(LOOK_MS, FLOOD_MS * scale));
          most = Math.max(most, process.memoryUsage().rss);
        }
        sent = await system.ask(hose, 'sent', null, { inMs: 5_000 });
        return Math.max(1, (most - before) / BYTES_PER_MB);
      },
      peer: async () => BUDGET_MB,
      details: () => ({ taken: sent }),
      close: () => system.stop({ deadlineMs: 2_000 }),
    };
  },
};
