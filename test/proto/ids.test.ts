/** Ids are canonical, sorted in the order they were made, and derived from each other. */

import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  channelOf,
  createEnvelopeId,
  createUlids,
  deliveryIdOf,
  isUlid,
  laneKeyOf,
  parseConnectorId,
  parseEnvelopeId,
  parseIntegrationId,
  runIdOf,
  sessionKeyOf,
  ulidTimeMs,
} from '../../proto/ids.ts';

const test = suite('ids');
const bytes = (value: number) => (size: number) => new Uint8Array(size).fill(value);

test('ULIDs are canonical and sort in the order they were made, whatever the wall clock does', () => {
  void fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -5, max: 5 }), { maxLength: 200 }),
      fc.integer({ min: 0, max: 255 }),
      (steps, fill) => {
        let wallMs = 1_800_000_000_000;
        const next = createUlids({ wallMs: () => wallMs, randomBytes: bytes(fill) });
        const made = steps.map((step) => {
          wallMs += step;
          return next();
        });
        assert.ok(made.every(isUlid));
        assert.equal([...made].sort(), made);
        assert.is(new Set(made).size, made.length);
      },
    ),
  );
});

test('no ULID is of the instant it must come after, or of an earlier one, whatever the wall clock says', () => {
  const afterMs = 1_800_000_000_000;
  let wallMs = afterMs - 3_600_000;
  const next = createUlids({ wallMs: () => wallMs, randomBytes: bytes(3) }, afterMs);
  const made = [next(), next()];
  wallMs = afterMs + 50;
  made.push(next());
  assert.equal(made.map(ulidTimeMs), [afterMs + 1, afterMs + 1, wallMs]);
  assert.equal([...made].sort(), made);
});

test('a ULID carries its instant', () => {
  const next = createUlids({ wallMs: () => 1_700_000_000_123, randomBytes: bytes(0) });
  const id = next();
  assert.is(ulidTimeMs(id), 1_700_000_000_123);
  assert.is(next(), `${id.slice(0, 25)}1`);
});

test('a known instant and known bytes give the id of the specification', () => {
  // 2016-07-30T23:54:10.259Z is 01ARYZ6S41 in the specification's example.
  const next = createUlids({ wallMs: () => 1_469_918_176_385, randomBytes: bytes(0xff) });
  assert.is(next(), '01ARYZ6S41FZZZZZZZZZZZZZZZ');
});

test('a run id has the time of its envelope and 80 bits of SHA-256("run" NUL envelope_id)', () => {
  const envelope = createEnvelopeId(
    createUlids({ wallMs: () => 1_700_000_000_000, randomBytes: bytes(7) }),
  );
  const run = runIdOf(envelope);
  assert.is(run.slice(0, 10), envelope.slice(0, 10));
  assert.ok(isUlid(run));
  const digest = createHash('sha256').update(`run\0${envelope}`).digest().subarray(0, 10);
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const digits = (bits.match(/.{5}/g) ?? []).map((five) =>
    '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.charAt(Number.parseInt(five, 2)),
  );
  assert.is(run.slice(10), digits.join(''));
  assert.is(runIdOf(envelope), run);
  assert.is(deliveryIdOf(run, 3), `${run}:0003`);
});

test('what is no id is refused', () => {
  for (const text of [
    '',
    'x',
    '01ARYZ6S41FZZZZZZZZZZZZZZZ'.toLowerCase(),
    '81ARYZ6S41FZZZZZZZZZZZZZZZ',
    '01ARYZ6S41FZZZZZZZZZZZZZZU',
  ]) {
    assert.is(parseEnvelopeId(text), undefined, text);
  }
  assert.is(parseConnectorId('telegram:main'), 'telegram:main');
  for (const text of ['telegram', ':main', 'Telegram:main', 'a:b c'])
    assert.is(parseConnectorId(text), undefined, text);
  assert.is(parseIntegrationId('orders-1'), 'orders-1');
  for (const text of ['', 'Orders', 'a/b', 'x'.repeat(65)])
    assert.is(parseIntegrationId(text), undefined, text);
});

test('the channel of a session is read from its key, whatever the conversation is called', () => {
  for (const channel of ['telegram:main', 'webhook:orders', 'telegram:conversation']) {
    for (const conversation of ['', 'c', 'conversation', 'a:b:c']) {
      for (const sender of ['', 'conversation'])
        assert.is(channelOf(sessionKeyOf(channel, conversation, sender)), channel);
    }
  }
});

test('different conversations, senders and threads never share a key', () => {
  void fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (a, b, c, d) => {
      const [one, two] = [sessionKeyOf('telegram:main', a, b), sessionKeyOf('telegram:main', c, d)];
      const same = (x: string, y: string, blank: string) =>
        (x.trim() || blank) === (y.trim() || blank) || x === y;
      if (one === two)
        assert.ok(
          same(a, c, 'default') && (b === d || same(b, d, 'unknown')),
          `${a} ${b} ${c} ${d}`,
        );
    }),
  );
  assert.not.equal(laneKeyOf('a:b', 'c', ''), laneKeyOf('a:b', '', 'c'));
});

test.run();
