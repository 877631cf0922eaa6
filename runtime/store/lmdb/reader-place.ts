/** The directory of its own in which a reader opens a store's data file. It opens nothing and knows no LMDB but the names of its files. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, RuntimeError } from '../../errors.ts';
import { DATA_FILE } from './data-file.ts';

const LOCK_FILE = 'lock.mdb';
/** More than LMDB's table of 126 readers, so that it takes the file as it is. */
const LOCK_BYTES = 16_384;

/**
 * A new directory below the first of `parents` that takes one, with the data file and room for the lock file in it: LMDB maps
 * that file, and where there is no room for it behind the map the process is killed. Who opened both removes the directory.
 * Throws `no_temp_directory` where no parent takes one.
 */
export function createReaderPlace(parents: readonly string[], dataFile: string): string {
  const refusals: string[] = [];
  for (const parent of parents) {
    let place = '';
    try {
      place = mkdtempSync(join(parent, 'palyra-reader-'));
      symlinkSync(dataFile, join(place, DATA_FILE));
      writeFileSync(join(place, LOCK_FILE), new Uint8Array(LOCK_BYTES), { mode: 0o600 });
      return place;
    } catch (error) {
      if (place !== '') rmSync(place, { recursive: true, force: true });
      refusals.push(`${parent} (${codeOf(error)})`);
    }
  }
  throw new RuntimeError(
    'no_temp_directory',
    `a reader of the store needs a temporary directory for its lock file, and none of these takes one: ${refusals.join(', ')}. The store was not opened`,
  );
}
