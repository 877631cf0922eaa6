/** Change sets and rows as bytes: msgpack of `[revision, row]`, with the revision at a fixed place. Stores nothing. */
import { Packr } from 'msgpackr';
import { RuntimeError } from '../errors.ts';
import { MsgpackWriter } from '../msgpack-writer.ts';
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
const UNSTAMPED = 0;

// Bodies are at most 1 MiB; a row far beyond that is a mistake, and would stall every commit behind it.
const MAX_ROW_BYTES = 16 * 1_024 * 1_024;
const MAX_FACT_BYTES = 64 * 1_024;

// Deeper is a cycle, or was made to break something.
const MAX_DEPTH = 64;

const writer = new MsgpackWriter();

/** Throws `bad_option` or `not_encodable` where no store takes this change set. One that is encoded stays as it is. */
export function encodeChangeSet(changes: ChangeSet | EncodedChangeSet): EncodedChangeSet {
  if ('bytes' in changes) return changes;
  writer.begin();
  try {
    const expect = changes.expect.map(toExpected);
    const put = changes.put.map(toWritten);
    const remove = changes.remove.map(toRemoved);
    const facts = changes.facts.map(writeFact);
    const body = writer.toBytes();
    let bytes = OVERHEAD_BYTES * (expect.length + put.length + remove.length + facts.length);
    for (const [, key] of put) bytes += key.length;
    return { expect, put, remove, facts, body, bytes: bytes + body.length };
  } catch (error) {
    throw refusal(error);
  } finally {
    writer.end();
  }
}

/** A value that stands in a row as bytes, for `unpack` to read. Throws `not_encodable`. */
export function encodeValue(value: unknown, table: string, maxBytes: number): Uint8Array {
  writer.begin();
  try {
    writeValue(value, table, 0);
    checkSize(writer.length, maxBytes, 'a value', table);
    return writer.toBytes();
  } catch (error) {
    throw refusal(error);
  } finally {
    writer.end();
  }
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

function toWritten({ table, key, row }: ChangeSet['put'][number]) {
  checkTable(table);
  checkKey(key);
  return [table, key, writeRow(table, row)] as const;
}

function toRemoved({ table, key }: ChangeSet['remove'][number]) {
  checkTable(table);
  checkKey(key);
  return [table, key] as const;
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

/** Gives the number of bytes. */
function writeRow(table: string, row: Row): number {
  if (typeof row !== 'object' || row === null || !Number.isInteger(row.v)) {
    throw new RuntimeError('not_encodable', `store: a row of ${table} has no whole-number v`);
  }
  const start = writer.length;
  writer.byte(ARRAY_OF_TWO);
  writer.float64(UNSTAMPED);
  writeValue(row, table, 0);
  return checkSize(writer.length - start, MAX_ROW_BYTES, 'a row', table);
}

/** Functions and instances would be stored as something else without a word. */
function writeValue(value: unknown, table: string, depth: number): void {
  switch (typeof value) {
    case 'string':
      writer.text(value);
      break;
    case 'number':
      writer.number(value);
      break;
    case 'boolean':
      writer.boolean(value);
      break;
    case 'undefined':
      writer.undefined();
      break;
    case 'object':
      if (value === null) writer.null();
      else writeObject(value, table, depth);
      break;
    default:
      throw new RuntimeError('not_encodable', `store: a row of ${table} holds a ${typeof value}`);
  }
}

function writeObject(value: object, table: string, depth: number): void {
  if (value instanceof Uint8Array) {
    writer.binary(value);
    return;
  }
  if (depth === MAX_DEPTH) {
    throw new RuntimeError('not_encodable', `store: a row of ${table} is nested too deeply`);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    writeRecord(value as Record<string, unknown>, table, depth + 1);
  } else if (Array.isArray(value)) {
    // As many as the head says, whatever a getter among them does to the array.
    const { length } = value;
    writer.arrayHead(length);
    for (let i = 0; i < length; i += 1) writeValue(value[i], table, depth + 1);
  } else {
    const { name } = value.constructor;
    throw new RuntimeError(
      'not_encodable',
      `store: a row of ${table} holds an instance of ${name}`,
    );
  }
}

function writeRecord(record: Record<string, unknown>, table: string, depth: number): void {
  let left = 0;
  for (const _ in record) left += 1;
  writer.mapHead(left);
  for (const field in record) {
    writer.text(field);
    writeValue(record[field], table, depth);
    left -= 1;
  }
  if (left !== 0) {
    throw new RuntimeError('not_encodable', `store: a row of ${table} changes as it is read`);
  }
}

/** Gives the number of bytes. */
function writeFact(fact: Fact): number {
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
  const start = writer.length;
  writeRecord(fact, fact.type, 0);
  return checkSize(writer.length - start, MAX_FACT_BYTES, 'a fact', fact.type);
}

/** Gives the number back. */
function checkSize(bytes: number, maxBytes: number, what: string, of: string): number {
  if (bytes <= maxBytes) return bytes;
  throw new RuntimeError(
    'not_encodable',
    `store: ${what} of ${of} has ${bytes} bytes, at most ${maxBytes} are taken`,
  );
}

/** What a getter throws, or a text that is longer than memory. */
function refusal(error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  return new RuntimeError('not_encodable', 'store: a value cannot be encoded', { cause: error });
}

function unreadable(cause?: unknown): RuntimeError {
  return new RuntimeError(
    'store_corrupt',
    'store: a row is not what this program writes; restore a backup, or move the store away and start empty',
    cause === undefined ? {} : { cause },
  );
}
