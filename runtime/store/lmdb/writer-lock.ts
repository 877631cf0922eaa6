/**
 * One writer a directory: a lock named after its holder, so that a dead holder's can never be taken for a living one's. It is a
 * socket that the holder listens on: by it the kernel tells every process of this boot whether the holder lives. Of a holder on
 * another machine nobody can tell.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
  unlinkSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
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
  readonly machine: string;
}

/** Earlier versions did not name the machine. */
const NAME = /^writer-(\d+)-(\d+)-(\d+)-(\d+)-([0-9a-f]+)(?:-([0-9a-f]+))?\.lock$/;

// Two that start at once see each other and step back; a few tries part them.
const TRIES = 5;
const STEP_BACK_MS = 40;

// A local connection is made or refused at once; who takes longer has a full line, and lives.
const KNOCK_MS = 5_000;
// The shortest that any system takes as the path of a socket.
const MAX_SOCKET_PATH_BYTES = 103;

/** `elsewhere`: of another machine, as on a shared volume; its socket refuses everybody here, also while it lives. */
type Life = 'alive' | 'dead' | 'unknown' | 'elsewhere';

/**
 * Rejects with `store_locked` while a living thread, of any process, holds the directory, or one that nobody can judge. Who
 * connects to it is handed on. `isShared`: whether another machine may have the directory too; where it can't, a holder of
 * another machine's name is one of an earlier boot.
 */
export async function acquireWriterLock(
  directory: string,
  onVisitor: (visitor: Socket) => void = (visitor) => visitor.destroy(),
  isShared: (directory: string) => boolean = mayBeShared,
): Promise<WriterLock> {
  const path = join(directory, nameOf(self()));
  for (let tries = 1; ; tries += 1) {
    const lock = await createLock(path, onVisitor);
    if (lock === undefined) throw locked(directory, `this thread (pid ${process.pid})`);
    try {
      const others = await readOthers(directory, path, isShared);
      const holder = others.find(({ life }) => life !== 'dead');
      if (holder === undefined) {
        for (const { name } of others) remove(join(directory, name));
        return lock;
      }
      if (holder.life !== 'alive') throw notToJudge(directory, holder);
      if (tries === TRIES) throw locked(directory, `process ${NAME.exec(holder.name)?.[1]}`);
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
    await sleep(STEP_BACK_MS * (0.5 + Math.random()));
  }
}

/**
 * Whether a living thread of the process, as its own process space numbers it, holds the directory. It changes nothing. A
 * holder of another process space counts where this one sees its socket: from another network its port is not reached.
 */
export function holdsWriterLock(directory: string, pid: number): boolean {
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch {
    return false;
  }
  return names.some((name) => {
    if (NAME.exec(name)?.[1] !== String(pid)) return false;
    const life = lifeByProcess(name);
    return life === 'unknown' ? read('/proc/net/unix').includes(`/${name}\n`) : life === 'alive';
  });
}

/** A connection to each who listens at a lock of the directory: its holder, and for a moment who wants to be it. */
export async function* holdersOf(directory: string): AsyncGenerator<Socket> {
  let names: readonly string[];
  try {
    names = readdirSync(directory).filter((name) => NAME.test(name));
  } catch {
    return;
  }
  for (const name of names) {
    const path = join(directory, name);
    const socket = await byShortPath(path, (short) => {
      const visitor = connect(short);
      return new Promise<Socket | undefined>((resolve) => {
        visitor.once('connect', () => resolve(visitor));
        visitor.once('error', () => resolve(undefined));
      });
    });
    if (socket !== undefined) yield socket;
  }
}

/** undefined where this thread has one already. On a file system without sockets it is a plain file. */
async function createLock(
  path: string,
  onVisitor: (visitor: Socket) => void,
): Promise<WriterLock | undefined> {
  const server = createServer(onVisitor).unref();
  const code = await byShortPath(path, (short) => listen(server, short));
  if (code === 'EADDRINUSE' || (code !== '' && !createExclusive(path))) return undefined;
  return {
    release() {
      remove(path);
      server.close();
    },
  };
}

interface Other {
  readonly name: string;
  readonly life: Life;
}

async function readOthers(
  directory: string,
  mine: string,
  isShared: (directory: string) => boolean,
): Promise<readonly Other[]> {
  const names = readdirSync(directory).filter(
    (name) => NAME.test(name) && join(directory, name) !== mine,
  );
  return Promise.all(
    names.map(async (name) => {
      const found = lifeByProcess(name);
      // A container that is made anew has another name, and is not another machine.
      const life = found === 'elsewhere' && !isShared(directory) ? 'dead' : found;
      return { name, life: life === 'unknown' ? await knock(join(directory, name)) : life };
    }),
  );
}

/** The socket of a process that ended refuses every visitor; one of a process that is stopped takes them. */
async function knock(path: string): Promise<Life> {
  try {
    if (!lstatSync(path).isSocket()) return 'unknown';
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'dead' : 'unknown';
  }
  return byShortPath(
    path,
    (short) =>
      new Promise<Life>((resolve) => {
        const visitor = connect(short);
        const end = (life: Life) => {
          visitor.destroy();
          resolve(life);
        };
        visitor.setTimeout(KNOCK_MS, () => end('alive'));
        visitor.once('connect', () => end('alive'));
        visitor.once('error', (error) => {
          const code = codeOf(error);
          if (code === 'EAGAIN') end('alive');
          else end(code === 'ECONNREFUSED' || code === 'ENOENT' ? 'dead' : 'unknown');
        });
      }),
  );
}

/** The code of the failure; '' for none. */
function listen(server: Server, path: string): Promise<string> {
  return new Promise((resolve) => {
    server.once('error', (error) => resolve(codeOf(error)));
    server.listen(path, () => resolve(''));
  });
}

/** A path that is too long for a socket goes by its directory's handle. */
async function byShortPath<T>(path: string, use: (path: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return use(path);
  const handle = openSync(dirname(path), 'r');
  try {
    return await use(`/proc/self/fd/${handle}/${basename(path)}`);
  } finally {
    closeSync(handle);
  }
}

function locked(directory: string, holder: string): RuntimeError {
  return new RuntimeError(
    'store_locked',
    `the store ${directory} is open for writing in ${holder}; stop that one first, or use another state root`,
  );
}

function notToJudge(directory: string, { name, life }: Other): RuntimeError {
  const owner = life === 'elsewhere' ? 'machine' : 'container or user';
  return new RuntimeError(
    'store_locked',
    `the store ${directory} has a lock, ${name}, of another ${owner}, and nobody says here whether its holder lives; stop it first, or delete that file when nothing runs on this store any more`,
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

function nameOf({ pid, tid, startedAt, pidSpace, boot, machine }: Holder): string {
  return `writer-${pid}-${tid}-${startedAt}-${pidSpace}-${boot}-${machine}.lock`;
}

/** Where there is no /proc the process id alone tells; a thread counts as living as long as its process. */
function self(): Holder {
  const pid = String(process.pid);
  const tid = /(\d+)$/.exec(link('/proc/thread-self'))?.[1] ?? '0';
  return { pid, tid, startedAt: startOf(pid, tid) ?? '0', ...place() };
}

function place(): Pick<Holder, 'pidSpace' | 'boot' | 'machine'> {
  // Images of containers may have no machine id, or one and the same; a digest, as the id itself is not for others.
  const machine = createHash('sha256').update(read('/etc/machine-id')).update(hostname());
  return {
    pidSpace: /\d+/.exec(link('/proc/self/ns/pid'))?.[0] ?? '0',
    boot: read('/proc/sys/kernel/random/boot_id').slice(0, 8) || '0',
    machine: machine.digest('hex').slice(0, 8),
  };
}

/** File systems that one kernel at a time has: ext, XFS, Btrfs, F2FS, ZFS, tmpfs, and overlays on them. */
const OF_ONE_KERNEL: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994, 0x794c7630,
]);

/** Whether another machine can have it mounted too. */
function mayBeShared(directory: string): boolean {
  return !OF_ONE_KERNEL.has(statfsSync(directory).type >>> 0);
}

/** `unknown`: its process is of another process space, and cannot be looked up. */
function lifeByProcess(name: string): Life {
  const [, pid = '', tid = '', startedAt = '', pidSpace = '', boot = '', machine] =
    NAME.exec(name) ?? [];
  const here = place();
  if (boot !== here.boot) return (machine ?? here.machine) === here.machine ? 'dead' : 'elsewhere';
  if (pidSpace !== here.pidSpace) return 'unknown';
  if (tid === '0') return isSignallable(pid) === 'gone' ? 'dead' : 'alive';
  const start = startOf(pid, tid);
  if (start !== undefined) return start === startedAt ? 'alive' : 'dead';
  return isSignallable(pid) === 'hidden' ? 'alive' : 'dead';
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
