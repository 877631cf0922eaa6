/** What text a webhook's body becomes, and what is no body. */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { digestBody } from '../../../actors/webhooks/digest-body.ts';

const test = suite('webhook body');
const SEED = 20_261_103;
const textOf = (body: string | Uint8Array): string => {
  const digest = digestBody({ body: Buffer.from(body) });
  return digest.ok ? digest.text : `refused: ${digest.reason}`;
};

test('payload.text is the message', () => {
  assert.is(textOf('{"text":"hello","more":1}'), 'hello');
  assert.is(textOf('{"text":"ž\\n\\u00e9"}'), 'ž\né');
});

test('without a text that says something, the compact JSON is the message', () => {
  assert.is(textOf('{ "a" : [ 1, 2 ],\n "b" : "x y" }'), '{"a":[1,2],"b":"x y"}');
  assert.is(textOf('{"text": 5}'), '{"text":5}');
  assert.is(textOf('{"text": "  "}'), '{"text":"  "}');
  assert.is(textOf(' [1] '), '[1]');
  assert.is(textOf('42'), '42');
  assert.is(textOf('null'), 'null');
});

test('compact JSON keeps numbers, repeated keys and escapes as they were sent', () => {
  assert.is(textOf('{"n": 12345678901234567890}'), '{"n":12345678901234567890}');
  assert.is(textOf('{"a": 1, "a": 2.50}'), '{"a":1,"a":2.50}');
  assert.is(textOf('{"a": "\\" \\\\ \\u0041"}'), '{"a":"\\" \\\\ \\u0041"}');
});

test('inherited names are not the payload’s', () => {
  assert.is(textOf('{"__proto__":{"text":"no"}}'), '{"__proto__":{"text":"no"}}');
});

test('half of a surrogate pair becomes a replacement character', () => {
  assert.is(textOf('{"text":"a\\ud800b"}'), 'a\ufffdb');
});

test('what is not UTF-8 or not JSON is refused without being repeated', () => {
  for (const body of [
    Buffer.from([0x22, 0xff, 0x22]),
    Buffer.from('{"a":'),
    Buffer.from(''),
    Buffer.from('\ufeff{}'),
  ]) {
    const digest = digestBody({ body });
    assert.is(digest.ok, false);
    assert.not.match(digest.ok ? '' : digest.reason, /\{/);
  }
});

test('the digest is that of the raw bytes', () => {
  const body = Buffer.from('{ "text": "x" }');
  const digest = digestBody({ body });
  assert.is(digest.ok && digest.sha256, createHash('sha256').update(body).digest('hex'));
});

test(`compact JSON means the same as what was sent (seed ${SEED})`, async () => {
  await fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), fc.integer({ min: 0, max: 4 }), (json, indent) => {
      const value: unknown = JSON.parse(json);
      const sent = JSON.stringify({ value }, null, indent);
      return textOf(sent) === JSON.stringify({ value });
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test.run();
