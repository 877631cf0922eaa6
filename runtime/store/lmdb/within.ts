/** Waits for the medium, but not for ever. */
import { setTimeout as sleep } from 'node:timers/promises';

/** True when `work` settled in time; rejects as it does. Late or not, it goes on. */
export async function within(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  const deadline = new AbortController();
  const late = sleep(timeoutMs, false, { signal: deadline.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    deadline.abort();
  }
}
