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
const rowKey = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
// One that fails is made smaller: that takes long where there is much of it.
const few = { maxLength: 4 };

test('a record is read as it was written, and none where one byte of it differs', () => {
  const row = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined });
  const writes = fc.array(fc.tuple(tables, rowKey, row), { maxLength: 12 });
  fc.assert(
    fc.property(writes, fc.nat({ max: 9 }), fc.nat(), (given, blocks, flipped) => {
      const at = blocks * BLOCK_BYTES;
      const image = Buffer.alloc(at + 4 * BLOCK_BYTES, 0xee);
      const writer = new RecordWriter(image, at);
      for (const write of given) writer.write(...write);
      const last = new Map(given.map(([name, key, bytes]) => [`${name}\0${key}`, bytes]));
      for (const [name, key] of given) {
        assert.equal(plain(writer.get(name, key) ?? undefined), last.get(`${name}\0${key}`));
      }
      const end = writer.seal(7 + blocks);
      assert.is(end % BLOCK_BYTES, 0);
      const record = readRecord(image, at);
      assert.is(record?.sequence, 7 + blocks);
      assert.is(record?.end, end);
      if (record === undefined) return;
      const read = [...placesIn(image, record)].map((place) => {
        return [String(nameAt(image, place)), plain(rowAt(image, place))];
      });
      const expected = given.map(([name, key, bytes]) => [`${name}\0${key}`, bytes]);
      assert.equal(read, expected);
      const length = 20 + image.readUInt32BE(at + 16);
      const place = at + (flipped % length);
      image[place] = (image[place] ?? 0) ^ (1 << (flipped % 8));
      assert.is(readRecord(image, at), undefined);
    }),
  );
});

function plain(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bytes);
}

test('a record has of a commit what tables in memory have, in every script', () => {
  const place = fc.record({ table: tables, key: rowKey });
  const text = fc.string({ unit: 'grapheme', maxLength: 40 });
  const changes = fc.record({
    expect: fc.constant([]),
    put: fc.array(
      fc.record({ table: tables, key: rowKey, row: fc.record({ v: fc.nat(), text }) }),
      few,
    ),
    remove: fc.array(place, few),
    facts: fc.array(fc.record({ type: text, n: fc.nat() }), few),
  });
  fc.assert(
    fc.property(fc.array(changes, { minLength: 1, ...few }), fc.boolean(), (batch, marks) => {
      const encoded = batch.map((one) => encodeChangeSet(one));
      const before: Head = { ...FIRST_LINK, sequence: marks ? 999 : 0, revision: 2 ** 52 };
      const expected = new Tables();
      const copies = encoded.map((one) => ({ ...one, body: Uint8Array.from(one.body) }));
      expected.transaction((transaction) => applyBatch(transaction, before, copies, 1.5));
      const image = Buffer.alloc(roomFor(encoded), 0xee);
      const writer = new RecordWriter(image, 0);
      applyBatch(collect(new Tables(), writer), before, encoded, 1.5);
      for (const [name, key] of placesOf(encoded, before)) {
        const found = plain(writer.get(name, key) ?? undefined);
        assert.equal(found, plain(expected.get(name, key)), `${name} ${key}`);
      }
    }),
  );
});

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
