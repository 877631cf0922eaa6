/** Tables of bytes in memory, sorted by the bytes of their keys, with transactions that roll back. Not durable. */
import type { StoreTransaction } from './apply.ts';
import { compareKeys } from './keys.ts';
import type { KeyRange, StoreReader } from './reading.ts';

/** One write of a transaction; undefined bytes = the row was removed. */
export interface Write {
  readonly table: string;
  readonly key: string;
  readonly bytes: Uint8Array | undefined;
}

interface Table {
  readonly rows: Map<string, Uint8Array>;
  /** Sorted. */
  readonly keys: string[];
}

export class Tables implements StoreReader {
  readonly #tables: Map<string, Table>;
  #usedBytes: number;

  constructor() {
    this.#tables = new Map();
    this.#usedBytes = 0;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get(table: string, key: string): Uint8Array | undefined {
    return this.#tables.get(table)?.rows.get(key);
  }

  *range(range: KeyRange): Generator<readonly [string, Uint8Array]> {
    for (const key of this.keys(range)) {
      const bytes = this.get(range.table, key);
      if (bytes === undefined) return;
      yield [key, bytes];
    }
  }

  *keys(range: KeyRange): Generator<string> {
    const keys = this.#tables.get(range.table)?.keys ?? [];
    const step = range.reverse ? -1 : 1;
    for (let index = startOf(keys, range); index >= 0 && index < keys.length; index += step) {
      const key = keys[index];
      if (key === undefined || !key.startsWith(range.prefix)) return;
      yield key;
    }
  }

  /** Runs `work` all or nothing; gives back its result and every write, in order. */
  transaction<T>(work: (transaction: StoreTransaction) => T): {
    readonly result: T;
    readonly writes: readonly Write[];
  } {
    const writes: Write[] = [];
    const undo: Write[] = [];
    const record = (table: string, key: string, bytes: Uint8Array | undefined) => {
      undo.push({ table, key, bytes: this.get(table, key) });
      writes.push({ table, key, bytes });
      this.#write(table, key, bytes);
    };
    const transaction: StoreTransaction = {
      get: (table, key) => this.get(table, key),
      put: (table, key, bytes) => record(table, key, bytes),
      remove: (table, key) => record(table, key, undefined),
    };
    try {
      return { result: work(transaction), writes };
    } catch (error) {
      for (const { table, key, bytes } of undo.reverse()) this.#write(table, key, bytes);
      throw error;
    }
  }

  /** Does again what a transaction of another instance did. */
  replay(writes: readonly Write[]): void {
    for (const { table, key, bytes } of writes) this.#write(table, key, bytes);
  }

  /** An independent copy; the bytes themselves are shared, nobody writes into them. */
  copy(): Tables {
    const copy = new Tables();
    for (const [name, { rows, keys }] of this.#tables) {
      copy.#tables.set(name, { rows: new Map(rows), keys: [...keys] });
    }
    copy.#usedBytes = this.#usedBytes;
    return copy;
  }

  #write(name: string, key: string, bytes: Uint8Array | undefined): void {
    let table = this.#tables.get(name);
    if (table === undefined) {
      if (bytes === undefined) return;
      table = { rows: new Map(), keys: [] };
      this.#tables.set(name, table);
    }
    const { rows, keys } = table;
    const before = rows.get(key);
    if (before !== undefined) this.#usedBytes -= sizeOf(key, before);
    if (bytes !== undefined) {
      rows.set(key, bytes);
      this.#usedBytes += sizeOf(key, bytes);
      if (before === undefined) keys.splice(firstNotBefore(keys, key), 0, key);
    } else if (before !== undefined) {
      rows.delete(key);
      keys.splice(firstNotBefore(keys, key), 1);
    }
  }
}

function sizeOf(key: string, bytes: Uint8Array): number {
  return key.length + bytes.length;
}

function startOf(keys: readonly string[], { prefix, after, reverse }: KeyRange): number {
  if (!reverse) {
    if (after === '' || compareKeys(after, prefix) < 0) return firstNotBefore(keys, prefix);
    const index = firstNotBefore(keys, after);
    return keys[index] === after ? index + 1 : index;
  }
  const end = firstBeyond(keys, prefix);
  return (after === '' ? end : Math.min(end, firstNotBefore(keys, after))) - 1;
}

/** Index of the first key that is `key` or comes after it. */
function firstNotBefore(keys: readonly string[], key: string): number {
  return search(keys, (candidate) => compareKeys(candidate, key) >= 0);
}

/** Index of the first key that comes after all keys with this prefix. */
function firstBeyond(keys: readonly string[], prefix: string): number {
  if (prefix === '') return keys.length;
  return search(keys, (key) => compareKeys(key, prefix) > 0 && !key.startsWith(prefix));
}

function search(keys: readonly string[], isAtOrAfter: (key: string) => boolean): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAtOrAfter(keys[middle] ?? '')) high = middle;
    else low = middle + 1;
  }
  return low;
}
