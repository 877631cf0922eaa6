/** What a payload counts: each value, each text, each binary, once and to an end. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { payloadBytes } from '../../../runtime/kernel/payload-bytes.ts';

const test = suite('payload bytes');
const MOST = 10_000_000;

const counts: readonly (readonly [string, unknown, number])[] = [
  ['nothing', null, 8],
  ['undefined', undefined, 8],
  ['a number', 1.5, 8],
  ['a text', 'abc', 11],
  ['bytes', new Uint8Array(100), 108],
  ['a part of a buffer', new Uint8Array(100).subarray(90), 18],
  ['an ArrayBuffer', new ArrayBuffer(7), 15],
  ['an empty object', {}, 8],
  ['a field, its name and its value', { ab: 'xyz' }, 8 + 2 + 11],
  ['a list', [1, 'a', []], 8 + 8 + 9 + 8],
  ['what is inside of what is inside', { a: [{ b: new Uint8Array(5) }] }, 8 + 1 + 8 + 8 + 1 + 13],
];

for (const [what, payload, bytes] of counts)
  test(`M16 ${what} counts ${bytes}`, () => assert.is(payloadBytes(payload, MOST), bytes));

test('M16 exactly the most is no more than that', () => {
  assert.is(payloadBytes('x'.repeat(92), 100), 100);
  assert.is(payloadBytes('x'.repeat(93), 100), Number.POSITIVE_INFINITY);
  assert.is(payloadBytes(['x'.repeat(84)], 100), 100);
  assert.is(payloadBytes(['x'.repeat(85)], 100), Number.POSITIVE_INFINITY);
});

test('M16 one that contains itself, or has no end, is more than the most', () => {
  const round: Record<string, unknown> = { name: 'round' };
  round.self = round;
  assert.is(payloadBytes(round, MOST), Number.POSITIVE_INFINITY);
  assert.is(payloadBytes(new Array(4_000_000_000), MOST), Number.POSITIVE_INFINITY);
});

test('M16 one that is very deep is counted', () => {
  let deep: unknown = null;
  for (let i = 0; i < 100_000; i += 1) deep = [deep];
  assert.is(payloadBytes(deep, MOST), 800_008);
});

test('M16 one that cannot be read is more than the most', () => {
  const unreadable = {
    get field(): never {
      throw new Error('nobody reads this');
    },
  };
  assert.is(payloadBytes(unreadable, MOST), Number.POSITIVE_INFINITY);
});

test.run();
