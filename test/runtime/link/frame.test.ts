/** The frames of a link, both ends in one thread: runtime/SEMANTICS.md M7, and what shapes by number must not do. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isFlat } from '../../../runtime/link/flat.ts';
import { FrameCodec } from '../../../runtime/link/frame.ts';
import { decodeRow, encodeChangeSet, encodedRow, unpack } from '../../../runtime/store/encoding.ts';
import { randomFrom } from '../../../runtime/testing/index.ts';

const test = suite('frames');
const WARM_UP = 20_000;

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

test('whatever shapes come in whatever order, each message arrives as it was sent', () => {
  const [writer, reader] = [new FrameCodec(), new FrameCodec()];
  const random = randomFrom(11);
  for (let i = 0; i < WARM_UP; i += 1) {
    const triples = [1, 0, anyPayload(random), 2, `trace ${i}`, { always: i }];
    assert.equal(reader.decode(writer.encode(triples)), triples);
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
