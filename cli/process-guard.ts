/** Signals and uncaught errors of the process that serves, and its end. It decides when the process ends, not how the gateway stops. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from './exit-codes.ts';
import type { OpenLog } from './log.ts';

export interface ProcessGuard extends OpenLog {
  /** Drains; settles when the gateway has stopped or the deadline has passed. undefined: nothing runs yet. */
  stop(deadlineMs: number): Promise<unknown> | undefined;
  /** Synchronous; runs before an exit that does not wait for the gateway. */
  cleanUp(): void;
}

/** The phases of the drain together; see ARCHITECTURE.md. */
const DRAIN_DEADLINE_MS = 24_000;
/** Whoever sent the signal is promised an end within 25 s, whatever hangs. */
const FORCED_EXIT_MS = 24_500;
/** Nobody may be reading the log. */
const LAST_WORDS_MS = 250;

/**
 * The first SIGTERM or SIGINT drains, the second ends the process at once: nothing that was acknowledged is lost, it
 * is flushed. An uncaught error is a defect, exit 70. Returns what takes the handlers away again.
 */
export function guardProcess(guard: ProcessGuard): () => void {
  let isStopping = false;
  const leave = (code: number): void => {
    try {
      guard.cleanUp();
    } finally {
      guard.sayLeftOut();
      const unread = guard.flushed(LAST_WORDS_MS);
      if (unread === undefined) process.exit(code);
      void unread.then(() => process.exit(code));
    }
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) {
      guard.log('warn', 'second signal: ending at once', { signal });
      leave(EXIT.ok);
      return;
    }
    isStopping = true;
    guard.log('info', 'draining', { signal, deadlineMs: DRAIN_DEADLINE_MS });
    setTimeout(() => {
      guard.log('error', 'the drain did not end in time: ending without it');
      leave(EXIT.ok);
    }, FORCED_EXIT_MS).unref();
    const stopped = guard.stop(DRAIN_DEADLINE_MS);
    if (stopped === undefined) leave(EXIT.ok);
    else stopped.catch(onDefect);
  };
  const onDefect = (error: unknown): void => {
    guard.log('error', 'uncaught error', { error });
    leave(EXIT.defect);
  };
  const handlers = [
    ['SIGTERM', onSignal],
    ['SIGINT', onSignal],
    ['uncaughtException', onDefect],
    ['unhandledRejection', onDefect],
  ] as const;
  for (const [event, handler] of handlers) process.on(event, handler);
  return () => {
    for (const [event, handler] of handlers) process.off(event, handler);
  };
}

/** For file work that still goes on when everything is over, e.g. a write to a disk that does not answer. */
const FILE_WORK_GRACE_MS = 2_000;
const LOOK_AGAIN_MS = 20;

/**
 * Ends the process with `code`. An exit waits for the threads that do file work; while one hangs in the kernel it would
 * wait for ever, and the process ends by SIGKILL instead, so that whoever started it sees an end.
 */
export async function endProcess(code: number): Promise<never> {
  const untilMs = performance.now() + FILE_WORK_GRACE_MS;
  while (doesFileWork()) {
    if (performance.now() > untilMs) process.kill(process.pid, 'SIGKILL');
    await sleep(LOOK_AGAIN_MS);
  }
  process.exit(code);
}

function doesFileWork(): boolean {
  return process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'));
}
