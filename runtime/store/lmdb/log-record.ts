/** A record of the commit log: the writes of one commit as bytes, whole or not there. Knows no file. */
import { crc32 } from 'node:zlib';
import type { EncodedChangeSet } from '../encoding.ts';
import { RowMap } from './row-map.ts';

export interface LogRecord {
  /** Of the journal entry that the commit made; one record an entry. */
  readonly sequence: number;
  readonly at: number;
  /** Where the next record begins. */
  readonly end: number;
}

/** A record begins on a block of its own: what is durable is never written again with the one after it. */
export const BLOCK_BYTES = 4_096;

// u32 magic, u32 CRC of all that follows, f64 sequence, u32 bytes after the header; big-endian.
const CRC_AT = 4;
const SEQUENCE_AT = 8;
const LENGTH_AT = 16;
const HEADER_BYTES = 20;
// No text holds the byte 0xff: what others say cannot be taken for a record.
const MAGIC = 0xff50_4cff;

// Then for each write: u16 bytes of the name, the name (table, NUL, key), u32 bytes of the row, the row. The last write of a
// row counts. A place is where its write begins.
const NAME_LENGTH_BYTES = 2;
const ROW_LENGTH_BYTES = 4;
const REMOVED = 0xffff_ffff;
const MAX_BYTES_A_UNIT = 3;
// Of the journal's entry: its own row, the head's and a checkpoint's; and of each fact in it.
const ENTRY_BYTES = 512;
const FACT_BYTES = 5;

/** What the record of a commit of these takes at most, in whole blocks. */
export function roomFor(batch: readonly EncodedChangeSet[]): number {
  let bytes = HEADER_BYTES + ENTRY_BYTES;
  for (const { put, remove, facts, body } of batch) {
    for (const [table, key] of put) bytes += roomForName(table, key);
    for (const [table, key] of remove) bytes += roomForName(table, key);
    bytes += facts.length * FACT_BYTES + body.length;
  }
  return toBlock(bytes);
}

function roomForName(table: string, key: string): number {
  return NAME_LENGTH_BYTES + table.length + 1 + key.length * MAX_BYTES_A_UNIT + ROW_LENGTH_BYTES;
}

/** Makes a record in the image of a file, behind all that is durable there. */
export class RecordWriter {
  readonly image: Buffer;
  /** Of each row's last write. */
  readonly places = new RowMap<number>();
  readonly #at: number;
  #cursor: number;

  constructor(image: Buffer, at: number) {
    this.image = image;
    this.#at = at;
    this.#cursor = at + HEADER_BYTES;
  }

  get isEmpty(): boolean {
    return this.#cursor === this.#at + HEADER_BYTES;
  }

  /** What was written here: null where it was removed, undefined where it was not touched. */
  get(table: string, key: string): Uint8Array | null | undefined {
    const place = this.places.get(table, key);
    return place === undefined ? undefined : (rowAt(this.image, place) ?? null);
  }

  /**
   * Undefined removes the row. One that was written here in as many bytes is written over where it stands: nobody takes a
   * write back, as a change set that conflicts is refused before its first one.
   */
  write(table: string, key: string, row: Uint8Array | undefined): void {
    const { image } = this;
    const places = this.places.of(table);
    const before = places.get(key);
    if (before !== undefined && writeOver(image, before, row)) return;
    const place = this.#cursor;
    let at = place + NAME_LENGTH_BYTES;
    // A table's name is ASCII.
    for (let index = 0; index < table.length; index += 1) image[at++] = table.charCodeAt(index);
    image[at++] = 0;
    at += image.write(key, at);
    image.writeUInt16BE(at - place - NAME_LENGTH_BYTES, place);
    at = image.writeUInt32BE(row?.length ?? REMOVED, at);
    if (row !== undefined) image.set(row, at);
    this.#cursor = at + (row?.length ?? 0);
    places.set(key, place);
  }

  /** Its bytes are ready then; gives where they end, on a whole block. */
  seal(sequence: number): number {
    const { image } = this;
    const at = this.#at;
    const cursor = this.#cursor;
    image.writeUInt32BE(MAGIC, at);
    image.writeDoubleBE(sequence, at + SEQUENCE_AT);
    image.writeUInt32BE(cursor - at - HEADER_BYTES, at + LENGTH_AT);
    image.writeUInt32BE(crc32(image.subarray(at + SEQUENCE_AT, cursor)), at + CRC_AT);
    const end = toBlock(cursor);
    image.fill(0, cursor, end);
    return end;
  }
}

/** False where the write at this place has another length. */
function writeOver(image: Buffer, place: number, row: Uint8Array | undefined): boolean {
  const at = rowLengthAt(image, place);
  if (image.readUInt32BE(at) !== (row?.length ?? REMOVED)) return false;
  if (row !== undefined) image.set(row, at + ROW_LENGTH_BYTES);
  return true;
}

/** The record that begins at `at`, if there is a whole one. */
export function readRecord(image: Buffer, at: number): LogRecord | undefined {
  const body = at + HEADER_BYTES;
  if (body > image.length || image.readUInt32BE(at) !== MAGIC) return undefined;
  const end = body + image.readUInt32BE(at + LENGTH_AT);
  if (end > image.length) return undefined;
  const crc = crc32(image.subarray(at + SEQUENCE_AT, end));
  if (crc !== image.readUInt32BE(at + CRC_AT)) return undefined;
  return { sequence: image.readDoubleBE(at + SEQUENCE_AT), at, end: toBlock(end) };
}

/** The places of the writes of a record that `readRecord` found, in order. */
export function* placesIn(image: Buffer, { at }: LogRecord): Generator<number> {
  let cursor = at + HEADER_BYTES;
  const end = cursor + image.readUInt32BE(at + LENGTH_AT);
  while (cursor < end) {
    yield cursor;
    cursor = rowLengthAt(image, cursor) + ROW_LENGTH_BYTES + (rowAt(image, cursor)?.length ?? 0);
  }
}

/** The row's name over all tables, as a view. */
export function nameAt(image: Buffer, place: number): Buffer {
  return image.subarray(place + NAME_LENGTH_BYTES, rowLengthAt(image, place));
}

/** The row as a view; undefined where the write removed it. */
export function rowAt(image: Buffer, place: number): Buffer | undefined {
  const at = rowLengthAt(image, place);
  const bytes = image.readUInt32BE(at);
  if (bytes === REMOVED) return undefined;
  return image.subarray(at + ROW_LENGTH_BYTES, at + ROW_LENGTH_BYTES + bytes);
}

function rowLengthAt(image: Buffer, place: number): number {
  return place + NAME_LENGTH_BYTES + image.readUInt16BE(place);
}

function toBlock(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
