/** What a gateway touches of its machine, on main only: environment, files below its state root, randomness. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { VaultDeps } from '../actors/vault/actor.ts';
import { codeOf, messageOf } from '../runtime/errors.ts';
import type { Store } from '../runtime/store/store.ts';
import { Connections } from '../transports/http/connections.ts';
import { adminTokenFileOf } from './state-root.ts';

const KEY_BYTES = 32;

export const STORE_DIRECTORY = 'store';
const BACKUPS = 'backups';
/** A job's id, as the store's copy is called until it is whole. */
const HALF_BACKUP = /^[0-9A-Z]{26}\.partial$/;
/** 5: rows of `inbox` leave out what is usual, and turns go by envelope. */
export const STORE_FORMAT = 5;

/** What another path mends; the rest is the disk's. */
const WRONG_PATH: readonly string[] = [
  'EACCES',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
  'ENOENT',
  'ENOTDIR',
  'EPERM',
  'EROFS',
];

/** The state root is not a directory, cannot be made, or is another user's. */
export class StateRootUnusable extends Error {
  readonly code: 'state_root_unusable' | 'store_failed';
  readonly retryable = false;

  constructor(stateRoot: string, cause: unknown) {
    super(`the state root ${stateRoot} cannot be used: ${messageOf(cause)}`, { cause });
    this.name = 'StateRootUnusable';
    this.code = WRONG_PATH.includes(codeOf(cause)) ? 'state_root_unusable' : 'store_failed';
  }
}

/** Makes the state root and its store's directory where they are not there, for their owner only. */
export async function makeStateRoot(stateRoot: string): Promise<void> {
  try {
    await makeDirectory(join(stateRoot, STORE_DIRECTORY));
  } catch (error) {
    throw new StateRootUnusable(stateRoot, error);
  }
}

/** A store that did not open, as a command ends with it: one that is another user's has not failed. */
export function toOpenFailure(stateRoot: string, error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  const isMisplaced = codeOf(error) === 'store_failed' && WRONG_PATH.includes(codeOf(cause));
  return isMisplaced ? new StateRootUnusable(stateRoot, cause) : error;
}

/** One after the other: the recursive mkdir of Node.js never ends below /proc. */
async function makeDirectory(path: string): Promise<void> {
  if (await isDirectory(path)) return;
  const parent = dirname(path);
  if (parent !== path) await makeDirectory(parent);
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (codeOf(error) !== 'EEXIST' || !(await isDirectory(path))) throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/** What the vault asks for. */
export function machineSecrets(stateRoot: string): VaultDeps {
  return {
    readEnv: (name) => process.env[name],
    readFile: readBounded,
    randomBytes: (size) => randomBytes(size),
    masterKey: (make) => masterKey(join(stateRoot, 'vault.key'), make),
  };
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    // A FIFO would hold a thread of the pool until somebody writes to it.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) {
      throw Object.assign(new Error('not a regular file'), { code: 'not_a_file' });
    }
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The key file's bytes. A new one is for its owner only, and flushed. */
async function masterKey(path: string, make: boolean): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  if (!make) return undefined;
  await writeWhole(path, randomBytes(KEY_BYTES));
  return readFile(path);
}

/** Whole or not at all, readable by its owner only, on the disk when it settles. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  await writeFile(partial, content, { mode: 0o600, flush: true });
  await rename(partial, path);
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}

/** Gives the path of the file that holds it. */
export async function publishToken(stateRoot: string, token: string): Promise<string> {
  const path = adminTokenFileOf(stateRoot);
  await writeWhole(path, `${token}\n`);
  return path;
}

/** A token file of an earlier configuration would send commands off with the wrong token. */
export async function withdrawToken(stateRoot: string): Promise<void> {
  await rm(adminTokenFileOf(stateRoot), { force: true });
}

/** Enough for any proxy; an idle connection costs memory too. */
const MOST_CONNECTIONS = 8_192;
/** What files, threads that start, and calls to platforms and models find free at least, where there are so many. */
const OTHER_DESCRIPTORS = 256;
const LEAST_CONNECTIONS = 32;
/** Where the system does not say: what it gives at least, as a rule. */
const USUAL_DESCRIPTORS = 1_024;

let connections: Promise<Connections> | undefined;

/** Those to all listeners of this process, whose descriptors they share: half of them at most. */
export function processConnections(): Promise<Connections> {
  connections ??= countDescriptors().then((descriptors) => {
    const most = Math.min(MOST_CONNECTIONS, descriptors / 2, descriptors - OTHER_DESCRIPTORS);
    return new Connections(Math.max(LEAST_CONNECTIONS, Math.floor(most)));
  });
  return connections;
}

async function countDescriptors(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? USUAL_DESCRIPTORS);
}

/** Where the copy of this id goes: a path below the state root that does not exist yet. */
export async function prepareBackup(stateRoot: string, id: string): Promise<string> {
  const parent = join(stateRoot, BACKUPS);
  await mkdir(parent, { recursive: true, mode: 0o700 });
  return join(parent, id);
}

/** Removes what backups have left that their process did not survive. With the store open for writing: nobody makes one then. */
export async function clearHalfBackups(stateRoot: string): Promise<void> {
  const parent = join(stateRoot, BACKUPS);
  const names = await readdir(parent).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  for (const name of names.filter((name) => HALF_BACKUP.test(name))) {
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** A store that does not close in this time is opened anew all the same: its lock then says what is wrong. */
const CLOSE_WAIT_MS = 6_000;

/**
 * Opens the store for one incarnation of the ledger after the other: the next one waits until the one before has let
 * go, else it would meet its own process's lock.
 */
export function createStoreOpener(
  open: () => Promise<Store>,
  closeWaitMs = CLOSE_WAIT_MS,
): () => Promise<Store> {
  let before: Promise<unknown> = Promise.resolve();
  return async () => {
    await waitAtMost(before, closeWaitMs);
    const store = await open();
    const close = store.close.bind(store);
    before = new Promise<void>((resolve) => {
      store.close = () => close().finally(resolve);
    });
    return store;
  };
}

async function waitAtMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((done) => {
    timer = setTimeout(done, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
