/** The frames of a link, both ends in one thread: runtime/SEMANTICS.md M7, and what shapes by number must not do. */
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { Packr } from 'msgpackr';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from '../../../runtime/errors.ts';
import { isFlat } from '../../../runtime/link/flat.ts';
import { FrameCodec } from '../../../runtime/link/frame.ts';
import { decodeRow, encodeChangeSet, encodedRow, unpack } from '../../../runtime/store/encoding.ts';
import { randomFrom } from '../../../runtime/testing/index.ts';

const test = suite('frames');
const WARM_UP = 20_000;
/** From so many bytes on a binary goes beside its frame. */
const BESIDE = 16_384;

/** Far more shapes than there are numbers for them. */
function anyPayload(random: () => number, depth = 0): unknown {
  const dice = random();
  if (dice < 0.2) return Math.trunc(random() * 1e9);
  if (dice < 0.4) return `text ${random()} ž`;
  if (dice < 0.5) return [random() < 0.5, null, ''];
  const payload: Record<string, unknown> = {};
  for (let left = Math.trunc(random() * 4); left >= 0; left -= 1) {
    const field = `f${Math.trunc(random() * (random() < 0.8 ? 4 : 1e6))}`;
    payload[field] = depth === 2 ? 1 : anyPayload(random, depth + 1);
  }
  return payload;
}

function table(prefix: string): Record<string, number> {
  return Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`${prefix}${n}`, n]));
}

test('whatever shapes come in whatever order, each message arrives as it was sent', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const random = randomFrom(11);
  for (let i = 0; i < WARM_UP; i += 1) {
    const triples = [1, 0, anyPayload(random), 2, `trace ${i}`, { always: i }];
    assert.equal(reader.decode(writer.encode(triples)), triples);
  }
});

test('an array that its own getter changes is as long as it was; what follows is read', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const list: unknown[] = [0, 1];
  Object.defineProperty(list, 0, { enumerable: true, get: () => list.push('more') });
  const frame = writer.encode([1, 0, { list }, 2, 0, 'next']);
  assert.equal(reader.decode(frame), [1, 0, { list: [3, 1] }, 2, 0, 'next']);
});

test('whatever it is, it arrives as the library alone would have it', () => {
  const alone = new Packr({ useRecords: false, copyBuffers: true });
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const bytes = fc.uint8Array({ maxLength: 300 });
  const values = fc.anything({
    maxDepth: 4,
    maxKeys: 6,
    key: fc.oneof(fc.constantFrom('a', 'b', 'constructor', '__proto__'), fc.string()),
    withDate: true,
    withNullPrototype: true,
    withSparseArray: true,
    values: [
      fc.string({ unit: 'binary', maxLength: 100 }),
      fc.double(),
      fc.integer(),
      fc.integer({ min: -70_000, max: 70_000 }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.boolean(),
      fc.constantFrom(null, undefined, '', -0, 2 ** 32, 2 ** 31, -(2 ** 31), Number.NaN),
      bytes,
      bytes.map((own) => Buffer.from(own)),
      fc.dictionary(fc.string(), fc.integer()).map((own) => new Map(Object.entries(own))),
    ],
  });
  void fc.assert(
    fc.property(values, (value) => {
      const got = reader.decode(writer.encode([1, 0, value]))[2];
      assert.ok(isDeepStrictEqual(got, alone.unpack(alone.pack(value))));
    }),
    { numRuns: 10_000, seed: 40_961 },
  );
});

test('a text, a binary or an object of any size is whole, wherever in a frame it stands', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  for (const size of [0, 31, 32, 63, 64, 65, 85, 86, 255, 256, 8_190, 21_845, 21_846, 65_536]) {
    for (const letter of ['x', 'é', 'ž', '語', '😀']) {
      const text = letter.repeat(size);
      const table = Object.fromEntries(Array.from({ length: size % 300 }, (_, n) => [`f${n}`, n]));
      const bytes = Buffer.alloc(size % BESIDE, 7);
      const triples = [1, 0, { text, nested: { table, bytes, text } }, 1, 0, text, 1, 0, [text]];
      assert.equal(reader.decode(writer.encode(triples)), triples, `${size} of ${letter}`);
    }
  }
});

test('nothing is lost where the memory of a frame has to grow', () => {
  const kinds = [1.5, 70_000, true, null, undefined, 'x'.repeat(63), Buffer.alloc(3), {}, ['']];
  const others = [{ a: true }, new Date(1_500), 2n ** 62n, -70_000, 'é', table('g')];
  const map = new Map([['a', 'x'.repeat(50)]]);
  for (const kind of [...kinds, ...others, map]) {
    for (let before = 0; before < 80; before += 1) {
      const triplesOf = (payload: unknown) => [
        ...[1, 0, new Array(8_000 + before).fill(true)],
        ...Array.from({ length: 80 }, () => [1, 'a trace so long', payload]).flat(),
      ];
      const got = new FrameCodec().decode(new FrameCodec().encode(triplesOf(kind)));
      const expected = triplesOf(kind === map ? Object.fromEntries(map) : kind);
      assert.ok(isDeepStrictEqual(got, expected), `${String(kind)} behind ${before}`);
    }
  }
});

test('an object of very many fields takes no shape’s number', () => {
  const writer = new FrameCodec();
  const lengthOf = (payload: unknown) => writer.encode([1, 0, payload]).frame.length;
  const first = lengthOf({ kept: 1 });
  const known = lengthOf({ kept: 1 });
  assert.ok(known < first);
  for (let n = 0; n < 100; n += 1) lengthOf(table(`t${n}_`));
  assert.is(lengthOf({ kept: 1 }), known);
});

test('a message that sends, or changes, while it is read has no form and harms no other', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const send = (payload: unknown) => reader.decode(writer.encode([1, 0, payload]))[2];
  let inner: unknown;
  const sending = {
    a: 1,
    get b() {
      try {
        writer.encode([1, 0, { c: 1 }]);
      } catch (error) {
        inner = error;
      }
      return 2;
    },
  };
  assert.equal(send(sending), { a: 1, b: 2 });
  assert.is((inner as { code?: string }).code, 'not_encodable');
  const changing: Record<string, unknown> = {
    get a() {
      delete changing.b;
      return 1;
    },
    b: 2,
  };
  assert.throws(() => writer.encode([1, 0, changing]), /change/);
  writer.forget();
  assert.equal(send({ a: 1, b: 2 }), { a: 1, b: 2 });
});

test('a message that is nested deeply is refused by its writer, whatever it is made of', () => {
  const nests: ((inner: unknown) => unknown)[] = [
    (inner) => ({ inner }),
    (inner) => [inner],
    (inner) => new Map([['inner', inner]]),
    (inner) => Object.assign(Object.create(null), { inner }),
  ];
  for (const nest of nests) {
    const nested = (levels: number) => {
      let payload: unknown = 'the innermost';
      for (let level = 0; level < levels; level += 1) payload = nest(payload);
      return payload;
    };
    const [writer, reader] = [new FrameCodec(), new FrameCodec()];
    const got = reader.decode(writer.encode([1, 0, nested(900)]))[2];
    assert.match(JSON.stringify(got), 'the innermost');
    for (const levels of [1_100, 6_000]) {
      assert.throws(
        () => writer.encode([1, 0, nested(levels)]),
        (error: Error) => codeOf(error) === 'not_encodable',
      );
      writer.forget();
    }
  }
});

test('what would be read as something else, or not at all, is refused by its writer', () => {
  for (const payload of [
    new Float64Array([1, 2.5]),
    new Uint16Array(3),
    new DataView(new ArrayBuffer(4)),
    new Map([[{ a: 1 }, 1]]),
    new Map([['a', new Float32Array(1)]]),
    new Set([new BigInt64Array(1)]),
    () => undefined,
  ]) {
    const refused = (error: Error) => codeOf(error) === 'not_encodable';
    assert.throws(() => new FrameCodec().encode([1, 0, payload]), refused);
    assert.throws(() => new FrameCodec().encode([1, 0, { in: [payload] }]), refused);
  }
  for (const bytes of [new Uint8Array([1, 2]), new Uint8ClampedArray([1, 2]), Buffer.from('hi')]) {
    const got = new FrameCodec().decode(new FrameCodec().encode([1, 0, bytes]))[2];
    assert.equal([...(got as Uint8Array)], [...bytes]);
  }
});

test('a large binary arrives whatever its field is called', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const bytes = Buffer.alloc(BESIDE, 7);
  for (const name of ['a', '__proto__', 'half \ud800', '']) {
    const payload: unknown = JSON.parse('{}');
    Object.defineProperty(payload, name, { value: bytes, enumerable: true });
    const got = reader.decode(writer.encode([1, 0, payload]))[2] as Record<string, Uint8Array>;
    assert.ok(
      Object.values(got).some((value) => Buffer.compare(value, bytes) === 0),
      name,
    );
  }
});

test('no name of a field breaks the messages after it', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  for (const payload of [
    { a: 1, __keys__: 2 },
    { a: 3 },
    { __keys__: 'x', constructor: { a: 1 } },
    { toString: 1, a: { __keys__: { hasOwnProperty: 1 } } },
    { a: 4 },
  ]) {
    const got = reader.decode(writer.encode([1, 0, payload]))[2];
    assert.is(JSON.stringify(got), JSON.stringify(payload));
  }
});

test('what was read from a frame stays as it is when the next one comes', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const read = (n: number) => {
    const payload = { text: `text ${n} ž`, bytes: new Uint8Array(1_000).fill(n), n };
    return { payload, got: reader.decode(writer.encode([1, 0, payload]))[2] as typeof payload };
  };
  const all = [1, 2, 3, 4, 5].map(read);
  for (const { payload, got } of all) {
    assert.is(got.text, payload.text);
    assert.equal(new Uint8Array(got.bytes), payload.bytes);
  }
});

test('rows that are packed before a frame stay as they are, whatever becomes of the frame', () => {
  const writer = new FrameCodec();
  const rows = Array.from({ length: 200 }, (_, n) => {
    if (n % 3 === 0) writer.encode([1, 0, { text: 'x'.repeat((n * 997) % 40_000), n }]);
    if (n % 7 === 0) {
      assert.throws(() => writer.encode([1, 0, { text: 'y'.repeat(n * 50), bad: Symbol('z') }]));
      writer.forget();
    }
    const row = { v: 1, n, text: `row ${n} `.repeat(1 + (n % 9)) };
    const put = [{ table: 'rows', key: String(n), row }];
    const fact = { type: 'written', n };
    return { row, fact, set: encodeChangeSet({ expect: [], put, remove: [], facts: [fact] }) };
  });
  for (const { row, fact, set } of rows) {
    assert.equal(decodeRow(encodedRow(set, 'rows')).row, row);
    assert.equal(unpack(set.body.subarray(-(set.facts[0] ?? 0))), fact);
  }
});

test('what is cut off is not made whole by the frame before', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const { frame } = writer.encode([1, 0, { text: 'a whole message', n: 1 }]);
  reader.decode({ frame, beside: [] });
  const next = writer.encode([1, 0, { text: 'a whole message', n: 2 }]);
  assert.throws(() => reader.decode({ frame: next.frame.slice(0, -4), beside: [] }));
});

test('a frame is as long as it has to be', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  for (const length of [1, 100_000, 131_000, 140_000, 2_000_000, 10]) {
    const payload = { text: 'ž'.repeat(length), after: length };
    assert.equal(reader.decode(writer.encode([1, 0, payload]))[2], payload);
  }
});

test('M7 a frame that could not be made leaves the ones after it readable', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const send = (payload: unknown) => reader.decode(writer.encode([1, 0, payload]))[2];
  const broken = {
    seen: 1,
    get unseen(): never {
      throw new Error('no value');
    },
  };
  for (let i = 0; i < 200; i += 1) {
    assert.equal(send({ a: i, b: { c: i } }), { a: i, b: { c: i } });
    assert.throws(() => writer.encode([1, 0, { [`new${i}`]: 1, broken }]), /no value/);
    writer.forget();
    assert.equal(send({ seen: i, other: 2 }), { seen: i, other: 2 });
  }
});

test('a large binary goes beside its frame, a small one within', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const payload = { name: 'x', small: new Uint8Array(9).fill(3), large: new Uint8Array(20_000) };
  const wire = writer.encode([1, 0, payload]);
  assert.is(wire.beside.length, 1);
  assert.ok(wire.frame.length < 200);
  const got = reader.decode(wire)[2] as typeof payload;
  assert.is(got.large.byteLength, 20_000);
  assert.equal([...got.small], [...payload.small]);
  assert.is(payload.large.byteLength, 20_000, 'the sender still has its own');
});

test('a binary that came within a frame is copied out of it when it is sent on', () => {
  const [writer, reader, next] = [new FrameCodec(), new FrameCodec(), new FrameCodec()];
  const nested = { in: { bytes: new Uint8Array(20_000).fill(7) }, note: 'kept' };
  const got = reader.decode(writer.encode([1, 0, nested]))[2] as typeof nested;
  const wire = next.encode([1, 0, { bytes: got.in.bytes }]);
  const [, , sent] = wire.beside[0] ?? [];
  assert.equal(sent, new Uint8Array(20_000).fill(7));
  assert.is((sent as Uint8Array).buffer.byteLength, 20_000, 'a copy of its own');
  assert.is(got.in.bytes.byteLength, 20_000);
});

test('what needs no frame comes out of one as it comes out of the platform’s own copy', () => {
  const values = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.integer({ min: 0xd7f0, max: 0xe010 }).map((n) => String.fromCharCode(n)),
    }),
    fc.double(),
    fc.integer(),
    fc.bigInt(),
    fc.boolean(),
    fc.constantFrom(null, undefined, new Date(0), new Uint8Array(3), [1]),
  );
  const payloads = fc.oneof(values, fc.dictionary(fc.string({ unit: 'binary' }), values));
  let flat = 0;
  void fc.assert(
    fc.property(payloads, (payload) => {
      if (!isFlat(payload)) return;
      flat += 1;
      const wire = new FrameCodec().encode([1, 0, payload]);
      assert.equal(new FrameCodec().decode(wire)[2], structuredClone(payload));
    }),
    { numRuns: 5_000, seed: 7_142 },
  );
  assert.ok(flat > 1_000, `${flat} were flat`);
});

test.run();
