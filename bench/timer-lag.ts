/**
 * How late is a timer of 1 ms while an actor is flooded, by itself or from another thread? The 99th percentile of its lag; a
 * good number is 2 ms within the thread (a slice is 1 ms) and 5 ms from another one (the credits of a link are the lag).
 */
import { child, refTo, supervisor } from '../runtime/index.ts';
import type { BenchCase, Contest } from './bench-case.ts';
import { openInline, openThreads, startOne } from './open-system.ts';
import { type BusyProtocol, busyActor, type HoseProtocol, hoseActor } from './players.ts';

const TICKS = 1_000;
const HANDLER_US = 5;
const OWN_BUDGET_MS = 2;
const OTHER_BUDGET_MS = 5;

/** Of so many timers of 1 ms, one after the other. */
async function lagMs(ticks: number): Promise<number> {
  const lags: number[] = [];
  for (let i = 0; i < ticks; i += 1) {
    const beganMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1));
    lags.push(performance.now() - beganMs - 1);
  }
  lags.sort((a, b) => a - b);
  return lags[Math.floor(lags.length * 0.99)] ?? 0;
}

export const timerLagOwn: BenchCase = {
  name: 'timer-lag/same-thread',
  unit: 'ms, p99',
  peerName: 'budget',
  bar: 1,
  measure: 'value',
  async open(scale): Promise<Contest> {
    const system = await openInline();
    const busy = await startOne(system, busyActor, 'busy', null);
    system.tell(busy, 'flood', HANDLER_US);
    return {
      ours: () => lagMs(TICKS * scale),
      peer: async () => OWN_BUDGET_MS,
      close: () => system.stop({ deadlineMs: 1_000 }),
    };
  },
};

export const timerLagOther: BenchCase = {
  name: 'timer-lag/other-thread',
  unit: 'ms, p99',
  peerName: 'budget',
  bar: 1,
  measure: 'value',
  async open(scale): Promise<Contest> {
    const system = await openThreads({ pool: 1, spare: false });
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 0,
      periodMs: 1,
      children: [
        child(busyActor, { id: 'busy', args: null, placement: 'main' }),
        child(hoseActor, { id: 'hose', args: null, placement: 'pool' }),
      ],
    });
    await system.started(system.spawn(root));
    const hose = refTo<HoseProtocol>('bench', 'root/hose');
    const busy = refTo<BusyProtocol>('bench', 'root/busy');
    system.tell(hose, 'open', { ref: busy, us: HANDLER_US });
    return {
      ours: () => lagMs(TICKS * scale),
      peer: async () => OTHER_BUDGET_MS,
      close: () => system.stop({ deadlineMs: 1_000 }),
    };
  },
};
