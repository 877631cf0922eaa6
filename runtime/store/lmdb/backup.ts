/** Copies the data file of a live environment into a directory of its own, which is there in full or not at all. */
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { messageOf, RuntimeError } from '../../errors.ts';
import { DATA_FILE, type DataFile, readDataFile } from './data-file.ts';
import { type Database, pin } from './engine.ts';

/** What the database holds at one moment: its pages are not written over before it is released. */
export interface Moment {
  readonly file: DataFile;
  release(): void;
}

// One that is cut ends within such a piece; flushed one by one, they are no flood for the commits beside them.
const PIECE_BYTES = 4 * 1_024 * 1_024;

/** Nothing may be committed until it returns. */
export function keepMoment(database: Database, directory: string): Moment {
  const { release } = pin(database);
  try {
    const file = readDataFile(join(directory, DATA_FILE));
    if (file === undefined) throw new Error(`there is no ${DATA_FILE}`);
    return { file, release };
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * Rejects with `bad_option` where something is there already, with the signal's reason where that cuts it, and with
 * `store_failed` where the copy does not succeed.
 */
export async function copyMoment(
  { file }: Moment,
  toDirectory: string,
  signal: AbortSignal,
): Promise<void> {
  const target = resolve(toDirectory);
  if (existsSync(target)) {
    throw new RuntimeError('bad_option', `a backup goes to a new directory; ${target} exists`);
  }
  const partial = `${target}.partial`;
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o700 });
    await copyPages(file, join(partial, DATA_FILE), signal);
    await syncPath(partial);
    signal.throwIfAborted();
    await rename(partial, target);
    await syncPath(dirname(target));
  } catch (error) {
    // What went wrong first is what counts.
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
    signal.throwIfAborted();
    const message = `no backup was made at ${target}: ${messageOf(error)}`;
    throw new RuntimeError('store_failed', message, { cause: error, retryable: true });
  }
}

/** Flushes a file, or the names in a directory. */
export async function syncPath(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await file.sync();
}

/** The meta pages as they were, the others as they are: those that the moment knows have not changed. */
async function copyPages(file: DataFile, toPath: string, signal: AbortSignal): Promise<void> {
  const { metaPages, pageBytes, pages } = file;
  await using source = await open(file.path, 'r');
  await using copy = await open(toPath, 'wx', 0o600);
  const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  await writeAt(copy, metaPages, 0);
  for (let at = metaPages.length; at < pages * pageBytes; ) {
    signal.throwIfAborted();
    const wanted = Math.min(piece.length, pages * pageBytes - at);
    const { bytesRead } = await source.read(piece, 0, wanted, at);
    // The last pages may never have been written: nothing is on them.
    if (bytesRead === 0) break;
    await writeAt(copy, piece.subarray(0, bytesRead), at);
    await copy.datasync();
    at += bytesRead;
  }
  await copy.sync();
}

async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
