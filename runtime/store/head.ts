/** Where a store stands: its last change set's number, its journal's last link and last checkpoint. */
import { pack, unpackTuple } from './encoding.ts';
import { META_TABLE } from './keys.ts';

export interface BytesReader {
  get(table: string, key: string): Uint8Array | undefined;
}

export interface BytesWriter {
  put(table: string, key: string, bytes: Uint8Array): void;
}

export interface Link {
  readonly sequence: number;
  readonly hash: Buffer;
}

export interface Head extends Link {
  /** Of the last accepted change set; the next one gets the next number, also after everything was removed. */
  readonly revision: number;
}

/** Before the first entry. */
export const FIRST_LINK: Link = { sequence: 0, hash: Buffer.alloc(32) };

const HEAD_KEY = 'head';
const CHECKPOINT_KEY = 'checkpoint';

/** Throws `store_corrupt` where the bytes are no head. */
export function readHead(reader: BytesReader): Head {
  const bytes = reader.get(META_TABLE, HEAD_KEY);
  if (bytes === undefined) return { ...FIRST_LINK, revision: 0 };
  const [sequence, hash, revision] = unpackTuple(bytes, ['number', 'bytes', 'number']);
  return { sequence, hash, revision };
}

export function writeHead(writer: BytesWriter, { sequence, hash, revision }: Head): void {
  writer.put(META_TABLE, HEAD_KEY, pack([sequence, hash, revision]));
}

/** A verification at start begins here; `FIRST_LINK` before the first checkpoint. */
export function readCheckpoint(reader: BytesReader): Link {
  const bytes = reader.get(META_TABLE, CHECKPOINT_KEY);
  if (bytes === undefined) return FIRST_LINK;
  const [sequence, hash] = unpackTuple(bytes, ['number', 'bytes']);
  return { sequence, hash };
}

export function writeCheckpoint(writer: BytesWriter, { sequence, hash }: Link): void {
  writer.put(META_TABLE, CHECKPOINT_KEY, pack([sequence, hash]));
}
