/** A file that only takes room: deleted when the disk is nearly full, so that work in progress can be written down. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RuntimeError } from '../../errors.ts';

export interface BallastOptions {
  readonly path: string;
  /** Default 16 MiB. */
  readonly bytes?: number;
}

export interface Ballast {
  /** Makes it where it is not there in full; rejects with `store_failed` where there is no room, and leaves nothing. */
  ensure(): Promise<void>;
  /** Deletes it; false when there was none. */
  release(): Promise<boolean>;
  exists(): boolean;
}

const DEFAULT_BYTES = 16 * 1_024 * 1_024;
const CHUNK_BYTES = 1_024 * 1_024;

export function createBallast({ path, bytes = DEFAULT_BYTES }: BallastOptions): Ballast {
  const partial = `${path}.partial`;
  return {
    async ensure() {
      try {
        if ((await sizeOf(path)) === bytes) return;
        await mkdir(dirname(path), { recursive: true });
        await fill(partial, bytes);
        await rename(partial, path);
      } catch (error) {
        await rm(partial, { force: true }).catch(() => undefined);
        const message = `no room for the ballast file ${path} of ${bytes} bytes`;
        throw new RuntimeError('store_failed', message, { cause: error, retryable: true });
      }
    },
    async release() {
      try {
        await unlink(path);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
        throw error;
      }
    },
    exists: () => existsSync(path),
  };
}

async function fill(path: string, bytes: number): Promise<void> {
  // Zeros take no room on a file system that compresses or leaves holes.
  const chunk = randomBytes(CHUNK_BYTES);
  const file = await open(path, 'w', 0o600);
  try {
    for (let left = bytes; left > 0; ) {
      const { bytesWritten } = await file.write(chunk, 0, Math.min(left, CHUNK_BYTES));
      left -= bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return -1;
    throw error;
  }
}
