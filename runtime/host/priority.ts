/** The priority of threads, where the system has one for each. */
import { constants, getPriority, setPriority } from 'node:os';

/** Under load main gets about six times the share of a pool thread. */
const NICER_THAN_MAIN = 8;

/**
 * The calling thread gives way to main, which all others wait for: an actor that computes slows its neighbours down first.
 * It gives way to other processes too. On Linux a niceness is one thread's; elsewhere the process's, and nothing is done.
 */
export function giveWayToMain(): void {
  if (process.platform !== 'linux') return;
  const lowest = constants.priority.PRIORITY_LOW;
  try {
    setPriority(0, Math.min(lowest, getPriority(0) + NICER_THAN_MAIN));
  } catch {
    // A sandbox that forbids it: all threads are equal then.
  }
}
