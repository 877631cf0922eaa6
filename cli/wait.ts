/** Asks again until an answer is final, with a deadline. For commands that watch work end; the gateway never polls. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CliError, EXIT } from './exit-codes.ts';

export interface WaitOptions {
  readonly deadlineMs: number;
  /** Names what is waited for, in the error. */
  readonly what: string;
  /** What to do when it takes too long. */
  readonly next: string;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/** The first answer that is not undefined; throws `deadline_exceeded` (exit 5) when none came in time. */
export async function waitFor<T>(
  look: () => Promise<T | undefined>,
  { deadlineMs, what, next }: WaitOptions,
): Promise<T> {
  const untilMs = performance.now() + deadlineMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    const found = await look();
    if (found !== undefined) return found;
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) {
      const message = `${what} took longer than ${deadlineMs / 1_000} s`;
      throw new CliError('deadline_exceeded', EXIT.unreachable, message, { next });
    }
    await sleep(Math.min(pauseMs, leftMs));
  }
}
