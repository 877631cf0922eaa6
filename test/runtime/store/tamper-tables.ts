/** Changes one byte of a stored journal entry's facts, as a hand on the disk would. */
import type { Tables } from '../../../runtime/store/index.ts';

/** The last byte of an entry belongs to its last fact. */
export function tamperBytes(bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes);
  const last = changed.length - 1;
  changed[last] = (changed[last] ?? 0) ^ 1;
  return changed;
}

export function tamperTables(tables: Tables, sequence: number): void {
  const key = sequence.toString(16).padStart(16, '0');
  const bytes = tables.get('journal', key);
  if (bytes === undefined) throw new Error(`there is no entry ${sequence}`);
  tables.replay([{ table: 'journal', key, bytes: tamperBytes(bytes) }]);
}
