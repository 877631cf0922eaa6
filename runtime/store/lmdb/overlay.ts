/** Rows over a database that does not have them yet: reads that see both as one. */
import type { StoreTransaction } from '../apply.ts';
import { compareKeys } from '../keys.ts';
import type { KeyRange, StoreReader } from '../reading.ts';
import type { RecordWriter } from './log-record.ts';

export interface Overlay {
  /** The row's bytes; null where it was removed, undefined where the database's own counts. */
  get(table: string, key: string): Uint8Array | null | undefined;
  /** Of all rows of the table that it has a word about, each once, in no order. */
  keys(table: string): Iterable<string>;
}

/** Rows under their names over all tables, each once; undefined = removed. */
export interface NamedRows {
  readonly size: number;
  forEach(visit: (row: Uint8Array | undefined, name: Buffer) => void): void;
}

/** Table names hold no NUL, so tables cannot run into each other. */
export function nameOf(table: string, key: string): Buffer {
  return Buffer.from(`${table}\0${key}`);
}

/** A range takes time with what the overlay has of the table, a single row does not. */
export function readThrough(overlay: Overlay, database: StoreReader): StoreReader {
  return {
    get(table, key) {
      const bytes = overlay.get(table, key);
      return bytes === undefined ? database.get(table, key) : (bytes ?? undefined);
    },
    range: (range) =>
      merge<readonly [string, Uint8Array]>(range, {
        own: keysIn(overlay, range),
        rowOf(key) {
          const bytes = overlay.get(range.table, key);
          return bytes ? [key, bytes] : undefined;
        },
        database: database.range(range),
        keyOf: ([key]) => key,
      }),
    keys: (range) =>
      merge<string>(range, {
        own: keysIn(overlay, range),
        rowOf: (key) => (overlay.get(range.table, key) === null ? undefined : key),
        database: database.keys(range),
        keyOf: (key) => key,
      }),
  };
}

/** Reads what is committed and what the record has already; writes into the record only. */
export function collect(reader: StoreReader, record: RecordWriter): StoreTransaction {
  return {
    get(table, key) {
      const bytes = record.get(table, key);
      return bytes === undefined ? reader.get(table, key) : (bytes ?? undefined);
    },
    put: (table, key, bytes) => record.write(table, key, bytes),
    remove: (table, key) => record.write(table, key, undefined),
  };
}

interface Sides<T> {
  /** In the order of the range; they stand before the database's of the same key. */
  readonly own: readonly string[];
  /** Undefined where it was removed. */
  rowOf(key: string): T | undefined;
  readonly database: Iterable<T>;
  keyOf(row: T): string;
}

function* merge<T>({ reverse }: KeyRange, { own, rowOf, database, keyOf }: Sides<T>): Generator<T> {
  let next = 0;
  for (const row of database) {
    const key = keyOf(row);
    while (next < own.length && isBefore(own[next] ?? '', key, reverse)) yield* mine();
    if (own[next] === key) yield* mine();
    else yield row;
  }
  while (next < own.length) yield* mine();

  function* mine(): Generator<T> {
    const row = rowOf(own[next] ?? '');
    next += 1;
    if (row !== undefined) yield row;
  }
}

function isBefore(left: string, right: string, reverse: boolean): boolean {
  const order = compareKeys(left, right);
  return reverse ? order > 0 : order < 0;
}

function keysIn(overlay: Overlay, { table, prefix, after, reverse }: KeyRange): string[] {
  const keys: string[] = [];
  for (const key of overlay.keys(table)) {
    if (!key.startsWith(prefix)) continue;
    if (after === '' || isBefore(after, key, reverse)) keys.push(key);
  }
  keys.sort(compareKeys);
  return reverse ? keys.reverse() : keys;
}
