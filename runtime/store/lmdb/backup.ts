/** Copies a live environment into a directory of its own, which is there in full or not at all. */
import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { messageOf, RuntimeError } from '../../errors.ts';
import type { Database } from './engine.ts';

export const DATA_FILE = 'data.mdb';

/** Rejects with `bad_option` where something is there already, with `store_failed` where the copy does not succeed. */
export async function copyDatabase(database: Database, toDirectory: string): Promise<void> {
  const target = resolve(toDirectory);
  if (existsSync(target)) {
    throw new RuntimeError('bad_option', `a backup goes to a new directory; ${target} exists`);
  }
  const partial = `${target}.partial`;
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o700 });
    await database.backup(partial, true);
    await syncPath(join(partial, DATA_FILE), 0o600);
    await syncPath(partial);
    await rename(partial, target);
    await syncPath(dirname(target));
  } catch (error) {
    // What went wrong first is what counts.
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    const message = `no backup was made at ${target}: ${messageOf(error)}`;
    throw new RuntimeError('store_failed', message, { cause: error, retryable: true });
  }
}

/** Flushes a file, or the names in a directory. */
export async function syncPath(path: string, mode?: number): Promise<void> {
  const file = await open(path, 'r');
  try {
    if (mode !== undefined) await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}
