/** Looks at LMDB's data file before the engine maps it: garbage must be refused, not touched. Reads two meta pages only. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { RuntimeError } from '../../errors.ts';

/** `absent`: nothing was ever written there. */
export type DataFile = 'absent' | 'present';

// The layout of lmdb's data version 2 on 64-bit machines (MDB_page, MDB_meta in liblmdb/mdb.c).
const META_PAGES = 2;
const MAGIC_AT = 24;
const MAGIC = 0xbeefc0de;
const VERSION_AT = 28;
const DATA_VERSION = 2;
const PAGE_SIZE_AT = 48;
const ROOT_PAGE_AT = 136;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const META_BYTES = 160;
const NO_PAGE = 2n ** 64n - 1n;

// The last pages of a transaction may have been given back before they were written; never so many.
const UNWRITTEN_BYTES = 1_024 * 1_024;

/** Throws `store_corrupt` where the file is no LMDB data file, or the half of one. */
export function inspectDataFile(path: string): DataFile {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw error;
  }
  try {
    return inspect(path, file);
  } finally {
    closeSync(file);
  }
}

function inspect(path: string, file: number): DataFile {
  const { size: sizeBefore } = fstatSync(file);
  if (sizeBefore === 0) return 'absent';
  const first = readMeta(path, file, 0);
  const pageBytes = first.readUInt32LE(PAGE_SIZE_AT);
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) {
    throw corrupt(path, `it has pages of ${pageBytes} bytes`);
  }
  if (sizeBefore < META_PAGES * pageBytes) throw corrupt(path, `it ends after ${sizeBefore} bytes`);
  const second = readMeta(path, file, pageBytes);
  const meta =
    first.readBigUInt64LE(TRANSACTION_AT) > second.readBigUInt64LE(TRANSACTION_AT) ? first : second;
  const rootPage = meta.readBigUInt64LE(ROOT_PAGE_AT);
  const neededBytes = (meta.readBigUInt64LE(LAST_PAGE_AT) + 1n) * BigInt(pageBytes);
  // After its metas: a writer beside lengthens the file first and names its new pages then.
  const { size } = fstatSync(file);
  const lacksRoot = rootPage !== NO_PAGE && (rootPage + 1n) * BigInt(pageBytes) > BigInt(size);
  if (lacksRoot || neededBytes > BigInt(size + UNWRITTEN_BYTES)) {
    throw corrupt(path, `${size} of its ${neededBytes} bytes are there`);
  }
  return 'present';
}

function readMeta(path: string, file: number, position: number): Buffer {
  const meta = Buffer.alloc(META_BYTES);
  const read = readSync(file, meta, 0, META_BYTES, position);
  if (read < META_BYTES || meta.readUInt32LE(MAGIC_AT) !== MAGIC) {
    throw corrupt(path, 'it does not begin as one');
  }
  const version = meta.readUInt32LE(VERSION_AT);
  if (version !== DATA_VERSION) throw corrupt(path, `it has data version ${version}`);
  return meta;
}

function corrupt(path: string, detail: string): RuntimeError {
  return new RuntimeError(
    'store_corrupt',
    `${path} is not a whole store file: ${detail}. Nothing was changed. Restore a backup into an empty directory in its place, or move the whole directory away to start empty`,
  );
}
