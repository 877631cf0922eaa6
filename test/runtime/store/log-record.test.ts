/** A record of the commit log: what one commit writes, as bytes. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { applyBatch } from '../../../runtime/store/apply.ts';
import { type EncodedChangeSet, encodeChangeSet } from '../../../runtime/store/encoding.ts';
import { FIRST_LINK, type Head } from '../../../runtime/store/head.ts';
import {
  BLOCK_BYTES,
  nameAt,
  placesIn,
  RecordWriter,
  readRecord,
  roomFor,
  rowAt,
} from '../../../runtime/store/lmdb/log-record.ts';
import { collect } from '../../../runtime/store/lmdb/overlay.ts';
import type { ChangeSet } from '../../../runtime/store/store.ts';
import { Tables } from '../../../runtime/store/tables.ts';

const test = suite('a record of the commit log');

const table = 'rows';
const tables = fc.constantFrom(table, 'dedupe', 'a.table-of_another');
// Mostly of so few that a record has several writes of one row.
const rowKey = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('key', 'clé', 'ключ', '鍵🔑') },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }) },
);
// One that fails is made smaller: that takes long where there is much of it.
const few = { maxLength: 4 };

const OLD = 2 ** 52;

test('a record is read as it was written, and none where one byte of it differs', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const row = fc.option(fc.constantFrom(0, 5, 300).chain(bytes), { nil: undefined });
  const writes = fc.array(fc.tuple(tables, rowKey, row), { maxLength: 12 });
  fc.assert(
    fc.property(writes, fc.nat({ max: 9 }), fc.nat(), (given, blocks, flipped) => {
      const at = blocks * BLOCK_BYTES;
      const image = Buffer.alloc(at + 4 * BLOCK_BYTES, 0xee);
      const writer = new RecordWriter(image, at);
      for (const [name, key, bytes] of given) {
        writer.write(name, key, bytes);
        assert.equal(plain(writer.get(name, key)), bytes ?? null);
      }
      const last = new Map(given.map(([name, key, bytes]) => [`${name}\0${key}`, bytes ?? null]));
      for (const [name, key] of given) {
        assert.equal(plain(writer.get(name, key)), last.get(`${name}\0${key}`));
      }
      assert.is(writer.get(table, 'untouched'), undefined);
      const end = writer.seal(7 + blocks);
      assert.is(end % BLOCK_BYTES, 0);
      const record = readRecord(image, at);
      assert.is(record?.sequence, 7 + blocks);
      assert.is(record?.end, end);
      if (record === undefined) return;
      const read = [...placesIn(image, record)].map((place) => {
        return [String(nameAt(image, place)), plain(rowAt(image, place) ?? null)];
      });
      assert.equal(read, writtenOver(given));
      const length = 20 + image.readUInt32BE(at + 16);
      const place = at + (flipped % length);
      image[place] = (image[place] ?? 0) ^ (1 << (flipped % 8));
      assert.is(readRecord(image, at), undefined);
    }),
  );
});

type Written = [name: string, bytes: Uint8Array | null];

/** A write goes over the one of its row before it where that has as many bytes. */
function writtenOver(given: [string, string, Uint8Array | undefined][]): Written[] {
  const writes: Written[] = [];
  for (const [name, key, bytes] of given) {
    const before = writes.findLast(([other]) => other === `${name}\0${key}`);
    if (before !== undefined && before[1]?.length === bytes?.length) before[1] = bytes ?? null;
    else writes.push([`${name}\0${key}`, bytes ?? null]);
  }
  return writes;
}

function plain(bytes: Uint8Array | null | undefined): Uint8Array | null | undefined {
  return bytes ? new Uint8Array(bytes) : bytes;
}

test('a record has of a commit what tables in memory have, in every script', () => {
  const place = fc.record({ table: tables, key: rowKey });
  const text = fc.string({ unit: 'grapheme', maxLength: 40 });
  const row = fc.record({ v: fc.nat({ max: 300 }), text });
  const put = fc.array(fc.record({ table: tables, key: rowKey, row }), few);
  const remove = fc.array(place, few);
  const changes = fc.record({
    // Absent, as it was before, or as the first of the batch left it.
    expect: fc.array(
      fc.record({ table: tables, key: rowKey, revision: fc.constantFrom(0, OLD, OLD + 1) }),
      { maxLength: 1 },
    ),
    put,
    remove,
    facts: fc.array(fc.record({ type: text, n: fc.nat() }), few),
  });
  const batches = fc.array(changes, { minLength: 1, ...few });
  fc.assert(
    fc.property(put, batches, fc.boolean(), (old, batch, marks) => {
      const encoded = batch.map((one) => encodeChangeSet(one));
      const before: Head = { ...FIRST_LINK, sequence: marks ? 999 : 0, revision: OLD };
      const expected = tablesOf(old);
      const copies = encoded.map((one) => ({ ...one, body: Uint8Array.from(one.body) }));
      const { result } = expected.transaction((transaction) =>
        applyBatch(transaction, before, copies, 1.5),
      );
      const image = Buffer.alloc(roomFor(encoded), 0xee);
      const writer = new RecordWriter(image, 0);
      const transaction = collect(tablesOf(old), writer);
      assert.equal(applyBatch(transaction, before, encoded, 1.5), result);
      for (const [name, key] of placesOf(encoded, before)) {
        const found = plain(transaction.get(name, key));
        assert.equal(found, plain(expected.get(name, key)), `${name} ${key}`);
      }
    }),
  );
});

/** Committed before, as revision `OLD`. */
function tablesOf(put: ChangeSet['put']): Tables {
  const rows = new Tables();
  const changes = encodeChangeSet({ expect: [], put, remove: [], facts: [] });
  const before: Head = { ...FIRST_LINK, revision: OLD - 1 };
  rows.transaction((transaction) => applyBatch(transaction, before, [changes], 1));
  return rows;
}

/** Of all rows that applying them writes. */
function placesOf(batch: readonly EncodedChangeSet[], { sequence }: Head): [string, string][] {
  const own = batch.flatMap(({ put, remove }) => [...put, ...remove]);
  const entry = (sequence + 1).toString(16).padStart(16, '0');
  return [
    ...own.map(([name, key]): [string, string] => [name, key]),
    ['journal', entry],
    ['meta', 'head'],
    ['meta', 'checkpoint'],
  ];
}

test('a commit has room for what it writes, also where that reaches into one more block', () => {
  const places = Array.from({ length: 200 }, (_, n) => ({ table, key: `${'€'.repeat(40)}${n}` }));
  const nothing: ChangeSet = { expect: [], put: [], remove: [], facts: [] };
  const cases: Record<string, ChangeSet> = {
    puts: { ...nothing, put: places.map((place) => ({ ...place, row: { v: 1 } })) },
    removals: { ...nothing, remove: places },
    facts: { ...nothing, facts: places.map(() => ({ type: 'f' })) },
    'a checkpoint': nothing,
  };
  for (const [name, changes] of Object.entries(cases)) {
    const given = (length: number) => {
      const row = { v: 1, text: 'x'.repeat(length) };
      return [changes, { ...nothing, put: [{ table, key: 'k', row }] }].map(encodeChangeSet);
    };
    const missing = BLOCK_BYTES + 1 - (bytesOf(given(300)) % BLOCK_BYTES);
    const batch = given(300 + missing);
    const bytes = bytesOf(batch);
    assert.is(bytes % BLOCK_BYTES, 1, name);
    assert.ok(roomFor(batch) >= bytes, name);
  }
});

/** Of the record of the commit, which writes a checkpoint. */
function bytesOf(batch: readonly EncodedChangeSet[]): number {
  const image = Buffer.alloc(64 * BLOCK_BYTES);
  const writer = new RecordWriter(image, 0);
  applyBatch(
    collect(new Tables(), writer),
    { ...FIRST_LINK, sequence: 999, revision: 1 },
    batch,
    1,
  );
  writer.seal(1_000);
  return 20 + image.readUInt32BE(16);
}

test.run();
