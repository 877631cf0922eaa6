/** Reads every row of a database. Its pages may all be whole and one of them still not be the one that was written there. */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeRow } from '../encoding.ts';
import { JOURNAL_TABLE, META_TABLE } from '../keys.ts';
import { corrupt, DATA_FILE } from './data-file.ts';
import type { StoredBytes } from './engine.ts';

const ROWS_A_SLICE = 500;
const BYTES_A_SLICE = 1_024 * 1_024;

/** Rejects with `store_corrupt` where rows are out of order or cannot be read. The journal's entries have their own chain. */
export async function checkRows(
  directory: string,
  rows: Iterable<StoredBytes>,
  signal: AbortSignal,
): Promise<void> {
  const path = join(directory, DATA_FILE);
  let before = Buffer.alloc(0);
  let slice = { rows: 0, bytes: 0 };
  for (const { key, value } of rows) {
    if (Buffer.compare(before, key) >= 0) throw corrupt(path, 'its rows are out of order');
    before = Buffer.from(key);
    checkRow(path, key, value);
    slice = { rows: slice.rows + 1, bytes: slice.bytes + value.length };
    if (slice.rows < ROWS_A_SLICE && slice.bytes < BYTES_A_SLICE) continue;
    slice = { rows: 0, bytes: 0 };
    await nextTurn();
    signal.throwIfAborted();
  }
}

function checkRow(path: string, key: Buffer, value: Buffer): void {
  const table = key.toString('utf8', 0, Math.max(0, key.indexOf(0)));
  if (table === META_TABLE || table === JOURNAL_TABLE) return;
  try {
    decodeRow(value);
  } catch {
    throw corrupt(path, `a row of its table ${JSON.stringify(table)} cannot be read`);
  }
}
