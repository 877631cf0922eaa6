/** The journal's hash chain: making links, reading entries, verifying them in slices. Repairs nothing. */
import { hash } from 'node:crypto';
import { unpack, unpackTuple } from './encoding.ts';
import { type BytesReader, FIRST_LINK, type Link, readCheckpoint, readHead } from './head.ts';
import { JOURNAL_TABLE } from './keys.ts';
import type { Fact, JournalEntry, JournalVerdict } from './store.ts';

/** An entry as it is stored: the facts are the very bytes that were hashed. */
export interface StoredEntry {
  readonly atMs: number;
  readonly previous: Buffer;
  readonly hash: Buffer;
  readonly facts: readonly Uint8Array[];
}

/** Gives the thread's other work a turn. */
export type Pause = () => Promise<void>;

/** A start reads at most so many entries again: a few milliseconds. */
export const CHECKPOINT_EVERY = 1_000;

// A few milliseconds of hashing and decoding, whichever comes first.
const SLICE_ENTRIES = 200;
const SLICE_BYTES = 256 * 1_024;

/** SHA-256(previous ‖ u64 sequence ‖ per fact u32 length ‖ bytes), big-endian. */
export function linkHash(previous: Buffer, sequence: number, facts: readonly Uint8Array[]): Buffer {
  let length = previous.length + 8;
  for (const fact of facts) length += 4 + fact.length;
  const chained = Buffer.allocUnsafe(length);
  chained.set(previous);
  let at = chained.writeBigUInt64BE(BigInt(sequence), previous.length);
  for (const fact of facts) {
    at = chained.writeUInt32BE(fact.length, at);
    chained.set(fact, at);
    at += fact.length;
  }
  return hash('sha256', chained, 'buffer');
}

/** The entry's key: sixteen hexadecimal digits, so that keys have the order of the sequence. */
export function sequenceKey(sequence: number): string {
  return sequence.toString(16).padStart(16, '0');
}

// msgpack: an array of four, a float64, an array and binaries of at most 2^32 parts and bytes.
const ARRAY_OF_FOUR = 0x94;
const FLOAT64 = 0xcb;
const ARRAY_32 = 0xdd;
const BIN_32 = 0xc6;
const PREFIX_BYTES = 5;

/** `[atMs, previous, hash, facts]`, written here: an entry is mostly copies of bytes, for which msgpackr takes four times as long. */
export function encodeEntry({ atMs, previous, hash, facts }: StoredEntry): Buffer {
  let length = 1 + 9 + previous.length + hash.length + 3 * PREFIX_BYTES;
  for (const fact of facts) length += PREFIX_BYTES + fact.length;
  const entry = Buffer.allocUnsafe(length);
  let at = entry.writeUInt8(ARRAY_OF_FOUR);
  at = entry.writeDoubleBE(atMs, entry.writeUInt8(FLOAT64, at));
  at = writeBinary(entry, hash, writeBinary(entry, previous, at));
  at = entry.writeUInt32BE(facts.length, entry.writeUInt8(ARRAY_32, at));
  for (const fact of facts) at = writeBinary(entry, fact, at);
  return entry;
}

function writeBinary(entry: Buffer, bytes: Uint8Array, at: number): number {
  const from = entry.writeUInt32BE(bytes.length, entry.writeUInt8(BIN_32, at));
  entry.set(bytes, from);
  return from + bytes.length;
}

/** Entries with a greater sequence than `after`, in order: at most `limit`, and none behind the one that fills the slice. */
export function readJournal(reader: BytesReader, after: number, limit: number): JournalEntry[] {
  const entries: JournalEntry[] = [];
  const last = Math.min(readHead(reader).sequence, after + limit);
  let bytes = 0;
  for (let sequence = Math.max(after, 0) + 1; sequence <= last; sequence += 1) {
    const stored = readEntry(reader, sequence);
    if (stored === undefined || entries.length === SLICE_ENTRIES || bytes >= SLICE_BYTES) break;
    bytes += bytesOf(stored);
    entries.push({
      sequence,
      previous: stored.previous.toString('hex'),
      hash: stored.hash.toString('hex'),
      atMs: stored.atMs,
      facts: stored.facts.map((bytes) => unpack(bytes) as Fact),
    });
  }
  return entries;
}

type Broken = Extract<JournalVerdict, { readonly ok: false }>;
type Progress = (sequence: number) => void;

/** Reads the chain up to the head of this moment; commits may go on meanwhile. */
export async function verifyJournal(
  reader: BytesReader,
  options: { readonly whole: boolean; progress?: Progress },
  pause: Pause,
): Promise<JournalVerdict> {
  const head = readHead(reader);
  const start = options.whole ? FIRST_LINK : readCheckpoint(reader);
  if (start.sequence > head.sequence) {
    return broken(start.sequence, 'the checkpoint is after the head');
  }
  if (start.sequence > 0) {
    const anchor = checkEntry(reader, start.sequence, undefined);
    if ('reason' in anchor) return anchor;
    if (!anchor.hash.equals(start.hash)) {
      return broken(start.sequence, 'the checkpoint has another hash than its entry');
    }
  }
  const walk = await walkChain(reader, start, head.sequence, { pause, progress: options.progress });
  if ('reason' in walk) return walk;
  if (!walk.hash.equals(head.hash)) {
    return broken(head.sequence, 'the head has another hash than the last entry');
  }
  const beyond = readHead(reader).sequence + 1;
  if (reader.get(JOURNAL_TABLE, sequenceKey(beyond)) !== undefined) {
    return broken(beyond, 'the entry is after the head');
  }
  const entries = head.sequence - start.sequence;
  return { ok: true, entries, facts: walk.facts, head: head.hash.toString('hex') };
}

async function walkChain(
  reader: BytesReader,
  start: Link,
  last: number,
  { pause, progress }: { readonly pause: Pause; readonly progress: Progress | undefined },
): Promise<Broken | { readonly hash: Buffer; readonly facts: number }> {
  let { hash } = start;
  let facts = 0;
  let slice = { entries: 0, bytes: 0 };
  for (let sequence = start.sequence + 1; sequence <= last; sequence += 1) {
    const entry = checkEntry(reader, sequence, hash);
    if ('reason' in entry) return entry;
    hash = entry.hash;
    facts += entry.facts.length;
    slice = { entries: slice.entries + 1, bytes: slice.bytes + bytesOf(entry) };
    if (slice.entries < SLICE_ENTRIES && slice.bytes < SLICE_BYTES) continue;
    slice = { entries: 0, bytes: 0 };
    progress?.(sequence);
    await pause();
  }
  progress?.(last);
  return { hash, facts };
}

/** The entry, if it is whole and follows `previous`; undefined takes the entry's own word for that. */
function checkEntry(
  reader: BytesReader,
  sequence: number,
  previous: Buffer | undefined,
): Broken | StoredEntry {
  let entry: StoredEntry | undefined;
  try {
    entry = readEntry(reader, sequence);
  } catch {
    return broken(sequence, 'the entry cannot be read');
  }
  if (entry === undefined) return broken(sequence, 'the entry is missing');
  if (previous !== undefined && !entry.previous.equals(previous)) {
    return broken(sequence, 'the entry does not follow the one before it');
  }
  if (!linkHash(entry.previous, sequence, entry.facts).equals(entry.hash)) {
    return broken(sequence, 'the facts do not match the hash');
  }
  return entry;
}

/** Whether the entry after `head` is there and was made after it. */
export function followsHead(reader: BytesReader, head: Link): boolean {
  return readEntry(reader, head.sequence + 1)?.previous.equals(head.hash) ?? false;
}

/** Throws `store_corrupt` where the bytes are no entry. */
function readEntry(reader: BytesReader, sequence: number): StoredEntry | undefined {
  const bytes = reader.get(JOURNAL_TABLE, sequenceKey(sequence));
  if (bytes === undefined) return undefined;
  const [atMs, previous, hash, facts] = unpackTuple(bytes, ['number', 'bytes', 'bytes', 'bytes[]']);
  return { atMs, previous, hash, facts };
}

function bytesOf({ facts }: StoredEntry): number {
  let bytes = 0;
  for (const fact of facts) bytes += fact.length;
  return bytes;
}

function broken(sequence: number, reason: string): Broken {
  return { ok: false, sequence, reason };
}
