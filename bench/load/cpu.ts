/** What CPU the servers of a bench take, thread by thread, as Linux counts it. Elsewhere nothing is known. */
import { readdirSync, readFileSync } from 'node:fs';

/** Microseconds of CPU by thread id, over all of the processes. */
export type CpuTimes = ReadonlyMap<string, number>;

export interface CpuTaken {
  readonly us: number;
  /** Of the thread that took most of it: no number of cores makes its work shorter. */
  readonly busiestUs: number;
}

export function cpuTimes(pids: readonly number[]): CpuTimes {
  const times = new Map<string, number>();
  if (process.platform !== 'linux') return times;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [ns] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      times.set(thread, Number(ns) / 1_000);
    }
  }
  return times;
}

/** Of threads that have ended meanwhile nothing is known. */
export function cpuTaken(before: CpuTimes, after: CpuTimes): CpuTaken {
  let us = 0;
  let busiestUs = 0;
  for (const [thread, time] of after) {
    const taken = time - (before.get(thread) ?? 0);
    us += taken;
    busiestUs = Math.max(busiestUs, taken);
  }
  return { us, busiestUs };
}
