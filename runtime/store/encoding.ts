/** Change sets and rows as bytes: msgpack of `[revision, row]`, with the revision at a fixed place. Stores nothing. */
import { Packr } from 'msgpackr';
import { RuntimeError } from '../errors.ts';
import { checkKey, checkTable } from './keys.ts';
import type { ChangeSet, Fact, Row, StoredRow } from './store.ts';

/**
 * A change set whose rows and facts are bytes already, plain data that may cross to another thread: nothing of it can fail
 * in a transaction. To be committed once.
 */
export interface EncodedChangeSet {
  readonly expect: readonly (readonly [table: string, key: string, revision: number])[];
  readonly put: readonly (readonly [table: string, key: string, bytes: number])[];
  readonly remove: readonly (readonly [table: string, key: string])[];
  /** How many bytes each has. */
  readonly facts: readonly number[];
  /** Row after row as in `put`, then fact after fact: to another thread, one binary costs less than several. */
  readonly body: Uint8Array;
  /** What it writes, and about what it holds in memory beside that. */
  readonly bytes: number;
}

/** Of each part, about. */
const OVERHEAD_BYTES = 64;

// What is read is a copy: the bytes may stand in memory that is written again.
const packr = new Packr({ useRecords: false, copyBuffers: true });

// msgpack: an array of two, then a float64, which holds every revision up to 2^53.
const ARRAY_OF_TWO = 0x92;
const FLOAT64 = 0xcb;
const REVISION_AT = 2;
const ROW_AT = 10;
// No integer: msgpackr gives it the eight bytes of a float64.
const UNSTAMPED = 0.1;

// Bodies are at most 1 MiB; a row far beyond that is a mistake, and would stall every commit behind it.
const MAX_ROW_BYTES = 16 * 1_024 * 1_024;
const MAX_FACT_BYTES = 64 * 1_024;

// Deeper is a cycle, or was made to break something.
const MAX_DEPTH = 64;

/** Throws `bad_option` or `not_encodable` where no store takes this change set. One that is encoded stays as it is. */
export function encodeChangeSet(changes: ChangeSet | EncodedChangeSet): EncodedChangeSet {
  if ('bytes' in changes) return changes;
  const parts: Uint8Array[] = [];
  const expect = changes.expect.map(toExpected);
  const put = changes.put.map(({ table, key, row }) => {
    checkTable(table);
    checkKey(key);
    const bytes = encodeRow(table, row);
    parts.push(bytes);
    return [table, key, bytes.length] as const;
  });
  const remove = changes.remove.map(({ table, key }) => {
    checkTable(table);
    checkKey(key);
    return [table, key] as const;
  });
  const facts = changes.facts.map((fact) => {
    const bytes = encodeFact(fact);
    parts.push(bytes);
    return bytes.length;
  });
  const body = Buffer.concat(parts);
  let bytes = OVERHEAD_BYTES * (expect.length + put.length + remove.length + facts.length);
  for (const [, key] of put) bytes += key.length;
  return { expect, put, remove, facts, body, bytes: bytes + body.length };
}

/** A value that stands in a row as bytes, for `unpack` to read. Throws `not_encodable`. */
export function encodeValue(value: unknown, table: string, maxBytes: number): Uint8Array {
  checkPlain(value, table, 0);
  return packed(value, () => `a value of ${table}`, maxBytes);
}

/** The first row that the change set writes in a table: a view, which `decodeRow` reads once it is committed. */
export function encodedRow({ put, body }: EncodedChangeSet, table: string): Uint8Array {
  let at = 0;
  for (const [name, , bytes] of put) {
    if (name === table) return body.subarray(at, at + bytes);
    at += bytes;
  }
  throw new RangeError(`the change set writes no row of ${table}`);
}

/** Everything of both, in their order: all of it is committed, or none. */
export function joinEncoded(first: EncodedChangeSet, second: EncodedChangeSet): EncodedChangeSet {
  return {
    expect: [...first.expect, ...second.expect],
    put: [...first.put, ...second.put],
    remove: [...first.remove, ...second.remove],
    facts: [...first.facts, ...second.facts],
    body: Buffer.concat([
      first.body.subarray(0, rowBytes(first)),
      second.body.subarray(0, rowBytes(second)),
      first.body.subarray(rowBytes(first)),
      second.body.subarray(rowBytes(second)),
    ]),
    bytes: first.bytes + second.bytes,
  };
}

function rowBytes({ put }: EncodedChangeSet): number {
  return put.reduce((sum, [, , bytes]) => sum + bytes, 0);
}

function toExpected({ table, key, revision }: ChangeSet['expect'][number]) {
  checkTable(table);
  checkKey(key);
  if (!Number.isSafeInteger(revision) || revision < 0) {
    throw new RuntimeError('bad_option', `store: ${table} expects revision ${revision}`);
  }
  return [table, key, revision] as const;
}

/** Writes the revision into bytes that `encodeChangeSet` made. */
export function stampRevision(bytes: Uint8Array, revision: number): Uint8Array {
  Buffer.prototype.writeDoubleBE.call(bytes, revision, REVISION_AT);
  return bytes;
}

export function revisionOf(bytes: Uint8Array): number {
  if (bytes[0] !== ARRAY_OF_TWO || bytes[1] !== FLOAT64 || bytes.length <= ROW_AT)
    throw unreadable();
  // Each expectation of each change set is met here: no view is made for it.
  return Buffer.prototype.readDoubleBE.call(bytes, REVISION_AT);
}

export function decodeRow(bytes: Uint8Array): StoredRow {
  const revision = revisionOf(bytes);
  const row = unpack(bytes.subarray(ROW_AT));
  if (typeof row !== 'object' || row === null) throw unreadable();
  return { revision, row: row as Row };
}

export function pack(value: unknown): Buffer {
  return packr.pack(value);
}

/** Throws `store_corrupt` where the bytes are no msgpack. */
export function unpack(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes);
  } catch (error) {
    throw unreadable(error);
  }
}

interface TupleParts {
  readonly number: number;
  readonly bytes: Buffer;
  readonly 'bytes[]': readonly Buffer[];
}

/** An array of exactly these parts; throws `store_corrupt` where it is anything else. */
export function unpackTuple<const P extends readonly (keyof TupleParts)[]>(
  bytes: Uint8Array,
  parts: P,
): { -readonly [I in keyof P]: TupleParts[P[I]] } {
  const values = unpack(bytes);
  if (!Array.isArray(values) || values.length !== parts.length) throw unreadable();
  return parts.map((part, index) => toPart(part, values[index])) as {
    -readonly [I in keyof P]: TupleParts[P[I]];
  };
}

function toPart(part: keyof TupleParts, value: unknown): TupleParts[keyof TupleParts] {
  if (part === 'number' && typeof value === 'number') return value;
  if (part === 'bytes' && value instanceof Uint8Array) return toBuffer(value);
  if (part === 'bytes[]' && Array.isArray(value)) {
    return value.map((item: unknown) => {
      if (item instanceof Uint8Array) return toBuffer(item);
      throw unreadable();
    });
  }
  throw unreadable();
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function encodeRow(table: string, row: Row): Buffer {
  if (typeof row !== 'object' || row === null || !Number.isInteger(row.v)) {
    throw new RuntimeError('not_encodable', `store: a row of ${table} has no whole-number v`);
  }
  checkPlain(row, table, 0);
  return packed([UNSTAMPED, row], () => `a row of ${table}`, MAX_ROW_BYTES);
}

/** Functions and instances would be stored as something else without a word. */
function checkPlain(value: unknown, table: string, depth: number): void {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
    case 'undefined':
      return;
    case 'object':
      break;
    default:
      throw new RuntimeError('not_encodable', `store: a row of ${table} holds a ${typeof value}`);
  }
  if (value === null || value instanceof Uint8Array) return;
  if (depth === MAX_DEPTH) {
    throw new RuntimeError('not_encodable', `store: a row of ${table} is nested too deeply`);
  }
  if (Array.isArray(value)) {
    for (const item of value) checkPlain(item, table, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const { name } = value.constructor;
    throw new RuntimeError(
      'not_encodable',
      `store: a row of ${table} holds an instance of ${name}`,
    );
  }
  for (const field in value) {
    checkPlain((value as Record<string, unknown>)[field], table, depth + 1);
  }
}

function encodeFact(fact: Fact): Buffer {
  if (typeof fact !== 'object' || fact === null || typeof fact.type !== 'string') {
    throw new RuntimeError('not_encodable', 'store: a fact has no type');
  }
  for (const field in fact) {
    const value = fact[field];
    if (typeof value !== 'string' && typeof value !== 'boolean' && !Number.isFinite(value)) {
      throw new RuntimeError(
        'not_encodable',
        `store: the fact ${fact.type} has a ${typeof value} in ${field}; facts hold text, numbers and booleans`,
      );
    }
  }
  return packed(fact, () => `the fact ${fact.type}`, MAX_FACT_BYTES);
}

function packed(value: unknown, what: () => string, maxBytes: number): Buffer {
  let bytes: Buffer;
  try {
    bytes = packr.pack(value);
  } catch (error) {
    throw new RuntimeError('not_encodable', `store: ${what()} cannot be encoded`, { cause: error });
  }
  if (bytes.length <= maxBytes) return bytes;
  throw new RuntimeError(
    'not_encodable',
    `store: ${what()} has ${bytes.length} bytes, at most ${maxBytes} are taken`,
  );
}

function unreadable(cause?: unknown): RuntimeError {
  return new RuntimeError(
    'store_corrupt',
    'store: a row is not what this program writes; restore a backup, or move the store away and start empty',
    cause === undefined ? {} : { cause },
  );
}
