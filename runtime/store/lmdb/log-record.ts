/** A record of the commit log: the writes of one commit as bytes, whole or not there. Knows no file. */
import { crc32 } from 'node:zlib';

/** Rows by name; undefined = removed. A name is the table, NUL and the key. */
export type Writes = ReadonlyMap<string, Uint8Array | undefined>;

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

// Then for each write: u16 bytes of the name, the name, u32 bytes of the row, the row.
const NAME_LENGTH_BYTES = 2;
const ROW_LENGTH_BYTES = 4;
const REMOVED = 0xffff_ffff;
const MAX_BYTES_A_UNIT = 3;

/** What a record of these writes takes at most, in whole blocks. */
export function roomFor(writes: Writes): number {
  let bytes = HEADER_BYTES;
  for (const [name, row] of writes) {
    bytes += NAME_LENGTH_BYTES + name.length * MAX_BYTES_A_UNIT;
    bytes += ROW_LENGTH_BYTES + (row?.length ?? 0);
  }
  return toBlock(bytes);
}

/** Writes the record at `at`, where there is room for it. `places` are those of its rows, in the order of the writes. */
export function encodeRecord(
  image: Buffer,
  at: number,
  sequence: number,
  writes: Writes,
): { readonly end: number; readonly places: readonly number[] } {
  const places: number[] = [];
  let cursor = at + HEADER_BYTES;
  for (const [name, row] of writes) {
    const nameBytes = image.write(name, cursor + NAME_LENGTH_BYTES);
    image.writeUInt16BE(nameBytes, cursor);
    cursor += NAME_LENGTH_BYTES + nameBytes;
    places.push(cursor);
    image.writeUInt32BE(row?.length ?? REMOVED, cursor);
    cursor += ROW_LENGTH_BYTES;
    if (row === undefined) continue;
    image.set(row, cursor);
    cursor += row.length;
  }
  image.writeUInt32BE(MAGIC, at);
  image.writeDoubleBE(sequence, at + SEQUENCE_AT);
  image.writeUInt32BE(cursor - at - HEADER_BYTES, at + LENGTH_AT);
  image.writeUInt32BE(crc32(image.subarray(at + SEQUENCE_AT, cursor)), at + CRC_AT);
  const end = toBlock(cursor);
  image.fill(0, cursor, end);
  return { end, places };
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

/** The writes of a record that `readRecord` found, in order: the name and the place of its row. */
export function* writesOf(
  image: Buffer,
  { at }: LogRecord,
): Generator<readonly [name: string, place: number]> {
  let cursor = at + HEADER_BYTES;
  const end = cursor + image.readUInt32BE(at + LENGTH_AT);
  while (cursor < end) {
    const nameAt = cursor + NAME_LENGTH_BYTES;
    const place = nameAt + image.readUInt16BE(cursor);
    yield [image.toString('utf8', nameAt, place), place];
    cursor = place + ROW_LENGTH_BYTES + (rowAt(image, place)?.length ?? 0);
  }
}

/** The row at a place, as a view; undefined where the write removed it. */
export function rowAt(image: Buffer, place: number): Buffer | undefined {
  const bytes = image.readUInt32BE(place);
  if (bytes === REMOVED) return undefined;
  const from = place + ROW_LENGTH_BYTES;
  return image.subarray(from, from + bytes);
}

function toBlock(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
