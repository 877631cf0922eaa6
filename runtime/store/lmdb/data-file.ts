/** LMDB's data file as it stands on the disk, read without the engine: its two meta pages say where everything else is. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { RuntimeError } from '../../errors.ts';

export const DATA_FILE = 'data.mdb';

export interface DataFile {
  readonly path: string;
  readonly pageBytes: number;
  /** With the meta pages, as of the last transaction. */
  readonly pages: number;
  readonly transaction: number;
  /** Both, with the bytes that they had in one moment. */
  readonly metaPages: Buffer;
  readonly freeList: PageTree;
  readonly rows: PageTree;
}

/** What the engine has counted of one of its trees. */
export interface PageTree {
  /** Levels of pages, the leaves with them; 0 where it is empty. */
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  readonly rootPage: number;
}

// The layout of lmdb's data version 2 on 64-bit machines (MDB_page, MDB_meta, MDB_db in liblmdb/mdb.c).
const META_PAGES = 2;
const MAGIC_AT = 24;
const MAGIC = 0xbeefc0de;
const VERSION_AT = 28;
const DATA_VERSION = 2;
const FREE_LIST_AT = 48;
const ROWS_AT = 96;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const META_BYTES = 160;

// The last pages of a transaction may have been given back before they were written; never so many.
const UNWRITTEN_BYTES = 1_024 * 1_024;

/** undefined where nothing was ever written. Throws `store_corrupt` where the file is no LMDB data file, or the half of one. */
export function readDataFile(path: string): DataFile | undefined {
  let handle: number;
  try {
    handle = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return inspect(path, handle);
  } finally {
    closeSync(handle);
  }
}

export function corrupt(path: string, detail: string): RuntimeError {
  return new RuntimeError(
    'store_corrupt',
    `${path} is not a whole store file: ${detail}. Nothing was changed. Restore a backup into an empty directory in its place, or move the whole directory away to start empty`,
  );
}

function inspect(path: string, handle: number): DataFile | undefined {
  const { size: sizeBefore } = fstatSync(handle);
  if (sizeBefore === 0) return undefined;
  const pageBytes = pageBytesIn(path, readBytes(handle, META_BYTES));
  const metaPages = readBytes(handle, META_PAGES * pageBytes);
  const first = checkMeta(path, metaPages.subarray(0, pageBytes));
  const second = checkMeta(path, metaPages.subarray(pageBytes));
  const meta =
    first.readBigUInt64LE(TRANSACTION_AT) > second.readBigUInt64LE(TRANSACTION_AT) ? first : second;
  const pages = numberAt(meta, LAST_PAGE_AT) + 1;
  const rows = treeAt(meta, ROWS_AT);
  // After its metas: a writer beside lengthens the file first and names its new pages then.
  const { size } = fstatSync(handle);
  const lacksRoot = rows.depth > 0 && (rows.rootPage + 1) * pageBytes > size;
  if (lacksRoot || pages * pageBytes > size + UNWRITTEN_BYTES) {
    throw corrupt(path, `${size} of its ${pages * pageBytes} bytes are there`);
  }
  const transaction = numberAt(meta, TRANSACTION_AT);
  const freeList = treeAt(meta, FREE_LIST_AT);
  return { path, pageBytes, pages, transaction, metaPages, freeList, rows };
}

/** The free list's tree has no use for this field. */
function pageBytesIn(path: string, start: Buffer): number {
  const pageBytes = checkMeta(path, start).readUInt32LE(FREE_LIST_AT);
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) {
    throw corrupt(path, `it has pages of ${pageBytes} bytes`);
  }
  return pageBytes;
}

function checkMeta(path: string, meta: Buffer): Buffer {
  if (meta.length < META_BYTES || meta.readUInt32LE(MAGIC_AT) !== MAGIC) {
    throw corrupt(path, 'it does not begin as one');
  }
  const version = meta.readUInt32LE(VERSION_AT);
  if (version !== DATA_VERSION) throw corrupt(path, `it has data version ${version}`);
  return meta;
}

function treeAt(meta: Buffer, at: number): PageTree {
  return {
    depth: meta.readUInt16LE(at + 6),
    branchPages: numberAt(meta, at + 8),
    leafPages: numberAt(meta, at + 16),
    overflowPages: numberAt(meta, at + 24),
    entries: numberAt(meta, at + 32),
    rootPage: numberAt(meta, at + 40),
  };
}

/** Past 2^53 it is not exact, and no place in any file. */
function numberAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

/** From the file's start; fewer where it ends before. */
function readBytes(handle: number, bytes: number): Buffer {
  const start = Buffer.alloc(bytes);
  return start.subarray(0, readSync(handle, start, 0, bytes, 0));
}
