/** Reads of a store from its bytes: rows, pages, cursors. Which bytes are committed is the store's business. */

import { RuntimeError } from '../errors.ts';
import { decodeRow } from './encoding.ts';
import type { BytesReader } from './head.ts';
import { checkKey, checkKeyText, checkTable } from './keys.ts';
import type { KeyPage, ScanPage, ScanQuery, StoredRow } from './store.ts';

export interface KeyRange {
  readonly table: string;
  readonly prefix: string;
  /** Begin strictly behind this key in the direction of travel; '' at the end of the table. */
  readonly after: string;
  readonly reverse: boolean;
}

export interface StoreReader extends BytesReader {
  range(range: KeyRange): Iterable<readonly [key: string, bytes: Uint8Array]>;
  keys(range: KeyRange): Iterable<string>;
}

// A page is held in memory and sent between actors as one message.
const MAX_PAGE_ROWS = 10_000;
const MAX_PAGE_BYTES = 8 * 1_024 * 1_024;

const ROWS_A_LOOK = 64;

export function readRow(reader: BytesReader, table: string, key: string): StoredRow | undefined {
  checkTable(table);
  checkKey(key);
  const bytes = reader.get(table, key);
  return bytes === undefined ? undefined : decodeRow(bytes);
}

/** `isDue` is asked every 64 rows and ends the page early, so that a small page is always whole. */
export function readPage(reader: StoreReader, query: ScanQuery, isDue: () => boolean): ScanPage {
  const { range, wanted } = checkQuery(query);
  const rows: ScanPage['rows'][number][] = [];
  let pageBytes = 0;
  for (const [key, bytes] of reader.range(range)) {
    const last = rows.at(-1);
    const isFull = rows.length >= wanted || pageBytes >= MAX_PAGE_BYTES;
    if (last !== undefined && (isFull || (rows.length % ROWS_A_LOOK === 0 && isDue()))) {
      return { rows, next: last.key };
    }
    rows.push({ key, ...decodeRow(bytes) });
    pageBytes += bytes.length;
  }
  return { rows, next: '' };
}

/** The keys of the rows that `readPage` would give, with the same bounds. */
export function readKeys(reader: StoreReader, query: ScanQuery, isDue: () => boolean): KeyPage {
  const { range, wanted } = checkQuery(query);
  const keys: string[] = [];
  for (const key of reader.keys(range)) {
    const last = keys.at(-1);
    const isLook = keys.length % ROWS_A_LOOK === 0;
    if (last !== undefined && (keys.length >= wanted || (isLook && isDue()))) {
      return { keys, next: last };
    }
    keys.push(key);
  }
  return { keys, next: '' };
}

/** Throws `bad_option` where it is no query. */
function checkQuery({ table, prefix = '', after = '', limit, reverse = false }: ScanQuery): {
  readonly range: KeyRange;
  readonly wanted: number;
} {
  checkTable(table);
  checkKeyText(prefix);
  checkKeyText(after);
  if (!Number.isInteger(limit) || limit < 1) {
    throw new RuntimeError('bad_option', `store: a scan's limit is ${limit}, expected 1 or more`);
  }
  return {
    range: { table, prefix, after, reverse },
    wanted: Math.min(limit, MAX_PAGE_ROWS),
  };
}
