/** Signals and uncaught errors of the process that serves. It decides when the process ends, not how the gateway stops. */
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
