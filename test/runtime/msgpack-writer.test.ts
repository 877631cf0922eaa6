/** MessagePack written by our own code: msgpackr reads each value as it was, rows as well as bare ones. */
import { Packr, unpack } from 'msgpackr';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from '../../runtime/errors.ts';
import { MsgpackWriter } from '../../runtime/msgpack-writer.ts';
import { decodeRow, encodeChangeSet, encodeValue } from '../../runtime/store/encoding.ts';
import type { Fact, Row } from '../../runtime/store/store.ts';

const test = suite('msgpack writer');

const packr = new Packr({ useRecords: false });

const powers = [5, 6, 7, 8, 15, 16, 31, 32, 53].map((bits) => 2 ** bits);
const numbers = powers.flatMap((n) => [n - 1, n, n + 1, -n, -n - 1]);
const lengths = [0, 1, 31, 32, 42, 43, 63, 84, 85, 86, 127, 128, 255, 256, 21_845, 21_846, 65_536];
/** A table of 8 KiB, its end met in the middle of a value, and more than is kept. */
const many = [15, 16, 255, 65_535, 65_536];

const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  scalars: [null, undefined, true, false],
  numbers: [0, 1, -1, 0.1, -1.5, 1e300, Number.NaN, Number.POSITIVE_INFINITY, ...numbers],
  ascii: lengths.map((length) => 'x'.repeat(length)),
  'text of two bytes': lengths.map((length) => 'é'.repeat(length)),
  'text of four bytes': lengths.map((length) => '🦊'.repeat(length)),
  'text that turns': lengths.map((length) => `${'x'.repeat(length)}語`),
  binaries: lengths.map((length) => Buffer.alloc(length, 7)),
  arrays: many.map((length) => new Array<number>(length).fill(9)),
  maps: many.map((count) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`field${n}`, n])),
  ),
};

/** Gives the decoded row that holds it. */
function throughRow(value: unknown): unknown {
  const row: Row = { v: 1, before: 'x', value, after: [{ deep: { value } }] };
  const put = [{ table: 'rows', key: 'a', row }];
  const { body } = encodeChangeSet({ expect: [], put, remove: [], facts: [] });
  return decodeRow(body).row;
}

for (const [name, values] of Object.entries(VALUES)) {
  test(`${name} are read as they were written`, () => {
    for (const value of values) {
      assert.equal(unpack(encodeValue(value, 'rows', 10_000_000)), value);
      const expected = { v: 1, before: 'x', value, after: [{ deep: { value } }] };
      assert.equal(throughRow(value), expected);
    }
  });
}

test('half of a surrogate pair is read as the replacement character, however long its text', () => {
  for (const length of lengths) {
    const text = 'x'.repeat(length);
    assert.is(unpack(encodeValue(`${text}\ud800`, 'rows', 1_000_000)), `${text}\ufffd`);
  }
});

test('rows and facts stand one behind the other, each as long as it is said to be', () => {
  const fact: Fact = { type: 'x.done', text: 'fact', count: 300, isLast: true };
  const row = { v: 2, text: 'row' };
  const { body, put, facts } = encodeChangeSet({
    expect: [],
    put: [
      { table: 'rows', key: 'a', row },
      { table: 'rows', key: 'b', row: { ...row, more: 'é'.repeat(500) } },
    ],
    remove: [],
    facts: [fact, { ...fact, count: 1 }],
  });
  const [first = 0, second = 0] = put.map(([, , bytes]) => bytes);
  const [third = 0, fourth = 0] = facts;
  assert.equal(decodeRow(body.subarray(0, first)).row, row);
  assert.is(decodeRow(body.subarray(first, first + second)).row.more, 'é'.repeat(500));
  const at = first + second;
  assert.equal(unpack(body.subarray(at, at + third)), fact);
  assert.equal(unpack(body.subarray(at + third, at + third + fourth)), { ...fact, count: 1 });
  assert.is(at + third + fourth, body.length);
});

test('what was taken stays as it is when more is written', () => {
  const first = encodeValue('first', 'rows', 100);
  encodeValue('other', 'rows', 100);
  assert.is(unpack(first), 'first');
});

test('a getter that writes, throws or takes fields away is refused; the next value is written all the same', () => {
  const writes = {
    get inner() {
      return encodeValue('inner', 'rows', 100);
    },
  };
  const throws = {
    get inner(): never {
      throw new Error('no');
    },
  };
  const shrinks: Record<string, unknown> = {
    get inner() {
      delete this.late;
      return 1;
    },
    late: 1,
  };
  for (const value of [writes, throws, shrinks]) {
    assert.throws(
      () => encodeValue(value, 'rows', 100),
      (error: unknown) => codeOf(error) === 'not_encodable',
    );
    assert.is(unpack(encodeValue('next', 'rows', 100)), 'next');
  }
});

test('an array is as long as it was when its writing began', () => {
  const withGetter = (change: (array: unknown[]) => void) => {
    const array: unknown[] = [0, 1, 2];
    return Object.defineProperty(array, 0, {
      enumerable: true,
      get() {
        change(array);
        return 'read';
      },
    });
  };
  class Endless extends Array<number> {
    override *[Symbol.iterator](): ArrayIterator<number> {
      yield* [7, 7, 7, 7];
    }
  }
  const written: readonly (readonly [unknown, unknown])[] = [
    [withGetter((array) => array.push(3)), ['read', 1, 2]],
    [withGetter((array) => array.pop()), ['read', 1, undefined]],
    [Endless.from([1, 2]), [1, 2]],
  ];
  for (const [array, read] of written) {
    const { before, value, after } = throughRow(array) as Record<string, unknown>;
    assert.equal({ before, value }, { before: 'x', value: read });
    assert.ok(Array.isArray(after));
  }
});

test('bytes take one place more than what holds them', () => {
  const nested = (depth: number): unknown => (depth === 0 ? Buffer.of(1) : [nested(depth - 1)]);
  assert.equal(unpack(encodeValue(nested(64), 'rows', 1_000)), nested(64));
});

test('what msgpackr writes in few bytes takes no more here', () => {
  const values = [
    -1,
    -32,
    -33,
    -128,
    -129,
    -32_768,
    {},
    { a: 1 },
    Buffer.alloc(255),
    Buffer.alloc(256),
  ];
  for (const value of values) {
    assert.is(encodeValue(value, 'rows', 1_000).length, packr.pack(value).length, String(value));
  }
});

test('nesting has an end, and so has a row', () => {
  const nested = (depth: number): unknown => (depth === 0 ? 'x' : [nested(depth - 1)]);
  assert.equal(unpack(encodeValue(nested(64), 'rows', 1_000)), nested(64));
  const refused = [() => encodeValue(nested(65), 'rows', 1_000), () => encodeValue('x', 'rows', 1)];
  for (const work of refused) {
    assert.throws(work, (error: unknown) => codeOf(error) === 'not_encodable');
  }
});

test('a writer gives its memory back, and writes on', () => {
  const writer = new MsgpackWriter();
  for (const text of ['x'.repeat(1_000_000), 'short']) {
    writer.begin();
    writer.text(text);
    assert.is(unpack(writer.toBytes()), text);
    assert.is(unpack(Buffer.from(writer.toLatin1(), 'latin1')), text);
    writer.end();
  }
});

test.run();
