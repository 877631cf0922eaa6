/** A thread setup without anything of its own. */
import type { ThreadContext, ThreadWorld } from '../../../runtime/system.ts';

export function setup(args: unknown): ThreadWorld {
  return { deps: { args } };
}

/** Counts where it ran, in memory that all threads share. */
export function countedSetup(ran: SharedArrayBuffer): ThreadWorld {
  Atomics.add(new Int32Array(ran), 0, 1);
  return { deps: undefined };
}

/** Works for main and the first thread, and again after two that had no descriptor. */
export function scarceSetup(ran: SharedArrayBuffer): ThreadWorld {
  const before = Atomics.add(new Int32Array(ran), 0, 1);
  if (before === 2 || before === 3) throw new Error('too many open files');
  return { deps: undefined };
}

/** A main thread whose world does not let go. */
export function stubbornSetup(how: unknown, { isMain }: ThreadContext): ThreadWorld {
  const close = () =>
    how === 'rejects'
      ? Promise.reject(Object.assign(new Error('told to'), { code: 'bad_close' }))
      : new Promise<void>(() => undefined);
  return isMain ? { deps: undefined, close } : { deps: undefined };
}
