/** One writer a directory: a lock file named after its holder, so that a dead holder's file can never be taken for a living one's. */
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RuntimeError } from '../../errors.ts';

export interface WriterLock {
  release(): void;
}

/** Who holds a lock: a thread (by its start, as ids are reused) of a process space of one boot of one machine. */
interface Holder {
  readonly pid: string;
  readonly tid: string;
  readonly startedAt: string;
  readonly pidSpace: string;
  readonly boot: string;
}

const NAME = /^writer-(\d+)-(\d+)-(\d+)-(\d+)-([0-9a-f]+)\.lock$/;

// Two that start at once see each other and step back; a few tries part them.
const TRIES = 5;
const STEP_BACK_MS = 40;

// A holder in another container cannot be looked up; it shows that it lives by touching its file.
const TOUCH_EVERY_MS = 10_000;
const UNTOUCHED_MS = 60_000;

/** Rejects with `store_locked` while a living thread, of any process, holds the directory. */
export async function acquireWriterLock(directory: string): Promise<WriterLock> {
  const path = join(directory, nameOf(self()));
  for (let tries = 1; ; tries += 1) {
    if (!createExclusive(path)) throw locked(directory, `this thread (pid ${process.pid})`);
    const others = readdirSync(directory).filter(
      (name) => NAME.test(name) && join(directory, name) !== path,
    );
    const living = others.find((name) => isAlive(directory, name));
    if (living === undefined) {
      for (const name of others) remove(join(directory, name));
      return hold(path);
    }
    remove(path);
    if (tries === TRIES) throw locked(directory, `process ${NAME.exec(living)?.[1] ?? living}`);
    await sleep(STEP_BACK_MS * (0.5 + Math.random()));
  }
}

/** Whether a living thread of the process, as its own process space numbers it, holds the directory. It changes nothing. */
export function holdsWriterLock(directory: string, pid: number): boolean {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch {
    return false;
  }
  return names.some((name) => NAME.exec(name)?.[1] === String(pid) && isAlive(directory, name));
}

function hold(path: string): WriterLock {
  const touching = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Gone with its directory; there is nothing left to guard.
      clearInterval(touching);
    }
  }, TOUCH_EVERY_MS);
  touching.unref();
  return {
    release() {
      clearInterval(touching);
      remove(path);
    },
  };
}

function locked(directory: string, holder: string): RuntimeError {
  return new RuntimeError(
    'store_locked',
    `the store ${directory} is open for writing in ${holder}; stop that one first, or use another state root`,
  );
}

function createExclusive(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function nameOf({ pid, tid, startedAt, pidSpace, boot }: Holder): string {
  return `writer-${pid}-${tid}-${startedAt}-${pidSpace}-${boot}.lock`;
}

/** Where there is no /proc the process id alone tells; a thread counts as living as long as its process. */
function self(): Holder {
  const pid = String(process.pid);
  const tid = /(\d+)$/.exec(link('/proc/thread-self'))?.[1] ?? '0';
  return { pid, tid, startedAt: startOf(pid, tid) ?? '0', ...place() };
}

function place(): Pick<Holder, 'pidSpace' | 'boot'> {
  return {
    pidSpace: /\d+/.exec(link('/proc/self/ns/pid'))?.[0] ?? '0',
    boot: read('/proc/sys/kernel/random/boot_id').slice(0, 8) || '0',
  };
}

function isAlive(directory: string, name: string): boolean {
  const [, pid = '', tid = '', startedAt = '', pidSpace = '', boot = ''] = NAME.exec(name) ?? [];
  const here = place();
  if (boot !== here.boot) return false;
  if (pidSpace !== here.pidSpace) return wasTouched(join(directory, name));
  if (tid === '0') return isSignallable(pid) !== 'gone';
  const start = startOf(pid, tid);
  if (start !== undefined) return start === startedAt;
  return isSignallable(pid) === 'hidden';
}

function wasTouched(path: string): boolean {
  try {
    return Date.now() - statSync(path).mtimeMs < UNTOUCHED_MS;
  } catch {
    return false;
  }
}

function isSignallable(pid: string): 'ours' | 'hidden' | 'gone' {
  try {
    process.kill(Number(pid), 0);
    return 'ours';
  } catch (error) {
    return codeOf(error) === 'EPERM' ? 'hidden' : 'gone';
  }
}

/** In clock ticks since the boot; undefined for a thread that is gone or only waits to be reaped. */
function startOf(pid: string, tid: string): string | undefined {
  const stat = read(`/proc/${pid}/task/${tid}/stat`);
  // The second field is the command in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0] ?? '';
  return state === '' || 'ZX'.includes(state) ? undefined : fields[19];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
