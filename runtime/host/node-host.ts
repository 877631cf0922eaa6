/** The machine as Node gives it. */
// Imported: the global one is a getter, called at each reading of the clock.
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { Host, Timer } from './host.ts';

/** `setTimeout` fires at once beyond this. */
const LONGEST_TIMER_MS = 2_147_483_647;

export function createNodeHost(): Host {
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    nextTurn: (run) => {
      setImmediate(run);
    },
    setTimer(delayMs, run): Timer {
      const handle = setTimeout(run, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS));
      return { cancel: () => clearTimeout(handle) };
    },
    random: () => Math.random(),
  };
}

/** Memory of the calling thread's buffers, which V8's heap limit does not count. */
export function externalBytes(): number {
  return getHeapStatistics().external_memory;
}

/** As frameworks ask it: `NODE_ENV`. */
export function isProduction(): boolean {
  return process.env.NODE_ENV === 'production';
}
