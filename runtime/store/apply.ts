/** What a commit does to a store, whatever holds its bytes: compare-and-set, writes, one journal entry. Knows no I/O. */
import { type EncodedChangeSet, revisionOf, stampRevision } from './encoding.ts';
import {
  type BytesReader,
  type BytesWriter,
  type Head,
  type Link,
  writeCheckpoint,
  writeHead,
} from './head.ts';
import { CHECKPOINT_EVERY, encodeEntry, linkHash, sequenceKey } from './journal.ts';
import { JOURNAL_TABLE } from './keys.ts';
import type { CommitOutcome } from './store.ts';

/** Everything in it is committed together; a throw takes all of it back. Nothing in it may return a promise. */
export interface StoreTransaction extends BytesReader, BytesWriter {
  remove(table: string, key: string): void;
}

export interface Applied {
  readonly outcomes: readonly CommitOutcome[];
  /** Where the store stands then; with none accepted it is the same as before. */
  readonly head: Head;
}

/** Applies the change sets in order, each all or nothing; with none accepted it writes nothing at all. */
export function applyBatch(
  transaction: StoreTransaction,
  before: Head,
  batch: readonly EncodedChangeSet[],
  atMs: number,
): Applied {
  let { revision } = before;
  const facts: Uint8Array[] = [];
  const outcomes = batch.map((changes): CommitOutcome => {
    const conflict = findConflict(transaction, changes);
    if (conflict !== undefined) return conflict;
    revision += 1;
    write(transaction, changes, revision, facts);
    return { ok: true, revision };
  });
  if (revision === before.revision) return { outcomes, head: before };
  const link = appendEntry(transaction, before, facts, atMs);
  const head = { ...link, revision };
  writeHead(transaction, head);
  return { outcomes, head };
}

/**
 * The outcomes of a batch of which nothing is accepted; undefined where something is. Before the first that is accepted
 * nothing is written, so each is asked about what the reader has.
 */
export function refuseAll(
  reader: BytesReader,
  batch: readonly EncodedChangeSet[],
): readonly CommitOutcome[] | undefined {
  const conflicts: CommitOutcome[] = [];
  for (const changes of batch) {
    const conflict = findConflict(reader, changes);
    if (conflict === undefined) return undefined;
    conflicts.push(conflict);
  }
  return conflicts;
}

function findConflict(reader: BytesReader, changes: EncodedChangeSet): CommitOutcome | undefined {
  for (const [table, key, revision] of changes.expect) {
    const bytes = reader.get(table, key);
    const actual = bytes === undefined ? 0 : revisionOf(bytes);
    if (actual !== revision) return { ok: false, code: 'conflict', table, key, actual };
  }
  return undefined;
}

/** Writes its rows, and adds its facts to those of the batch. */
function write(
  transaction: StoreTransaction,
  { put, remove, facts, body }: EncodedChangeSet,
  revision: number,
  batch: Uint8Array[],
): void {
  let at = 0;
  const next = (bytes: number) => {
    at += bytes;
    return body.subarray(at - bytes, at);
  };
  for (const [table, key, bytes] of put) {
    transaction.put(table, key, stampRevision(next(bytes), revision));
  }
  for (const [table, key] of remove) transaction.remove(table, key);
  for (const bytes of facts) batch.push(next(bytes));
}

function appendEntry(
  transaction: StoreTransaction,
  before: Link,
  facts: readonly Uint8Array[],
  atMs: number,
): Link {
  const sequence = before.sequence + 1;
  const hash = linkHash(before.hash, sequence, facts);
  const entry = { atMs, previous: before.hash, hash, facts };
  transaction.put(JOURNAL_TABLE, sequenceKey(sequence), encodeEntry(entry));
  if (sequence % CHECKPOINT_EVERY === 0) writeCheckpoint(transaction, { sequence, hash });
  return { sequence, hash };
}
