/** Signatures, against the npm package `standardwebhooks` as the other side. */
import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  parseSecret,
  signMessage,
  toSecret,
  verifyMessage,
} from '../../../actors/webhooks/standard-webhooks.ts';

const test = suite('standard webhooks');
const SEED = 20_261_102;
const NOW_MS = 1_800_000_000_000;
const SECRET = toSecret(randomBytes(24).toString('base64'));
const OTHER = toSecret(randomBytes(64).toString('base64'));

interface Sent {
  readonly id?: string;
  readonly atMs?: number;
  readonly body?: string;
  readonly secret?: string;
}

/** What the reference sender sends. */
function send({ id = 'msg_1', atMs = NOW_MS, body = '{"a":1}', secret = SECRET }: Sent = {}) {
  const signature = new Webhook(secret).sign(id, new Date(atMs), body);
  const webhookTimestamp = String(Math.floor(atMs / 1_000));
  return { message: { webhookId: id, webhookTimestamp, body: Buffer.from(body) }, signature };
}

function keysOf(...secrets: readonly string[]): readonly Uint8Array[] {
  return secrets.map((secret) => {
    const key = parseSecret(secret);
    assert.ok(key);
    return key;
  });
}

function verdict(sent: ReturnType<typeof send>, secrets = [SECRET], nowMs = NOW_MS) {
  return verifyMessage(keysOf(...secrets), sent.message, sent.signature, nowMs);
}

test('what the reference library signs is valid', () => {
  assert.is(verdict(send()), 'valid');
  assert.is(verdict(send({ id: 'with.dots.in.it' })), 'valid');
  assert.is(verdict(send({ body: '' })), 'valid');
  assert.is(verdict(send({ body: '{"text":"žluťoučký 🐎"}' })), 'valid');
});

test('what we sign the reference library takes', () => {
  const [key] = keysOf(SECRET);
  assert.ok(key);
  const body = '{"a":1}';
  const webhookTimestamp = String(Math.floor(Date.now() / 1_000));
  const message = { webhookId: 'msg_2', webhookTimestamp, body: Buffer.from(body) };
  const headers = {
    'webhook-id': message.webhookId,
    'webhook-timestamp': webhookTimestamp,
    'webhook-signature': signMessage(key, message),
  };
  assert.equal(new Webhook(SECRET).verify(body, headers), { a: 1 });
});

test('one valid signature among several is enough, wherever it stands', () => {
  const { message, signature } = send();
  const wrong = send({ secret: OTHER }).signature;
  const [keys] = [keysOf(SECRET)];
  for (const header of [
    `${wrong} ${signature}`,
    `${signature} ${wrong}`,
    `v1a,abc ${signature}`,
    `v2,${signature.slice(3)} ${signature}`,
    `${wrong}, ${signature}`,
  ]) {
    assert.is(verifyMessage(keys, message, header, NOW_MS), 'valid', header);
  }
});

test('while a secret is being replaced both are good, afterwards only the new one', () => {
  assert.is(verdict(send({ secret: SECRET }), [OTHER, SECRET]), 'valid');
  assert.is(verdict(send({ secret: OTHER }), [OTHER, SECRET]), 'valid');
  assert.is(verdict(send({ secret: SECRET }), [OTHER]), 'signature_invalid');
});

test('another body, id, time or secret is invalid', () => {
  const { message, signature } = send();
  const keys = keysOf(SECRET);
  const changed = [
    { ...message, body: Buffer.from('{"a":2}') },
    { ...message, body: Buffer.from('{"a":1} ') },
    { ...message, webhookId: 'msg_2' },
    { ...message, webhookTimestamp: String(NOW_MS / 1_000 + 1) },
  ];
  for (const tampered of changed) {
    assert.is(verifyMessage(keys, tampered, signature, NOW_MS), 'signature_invalid');
  }
  assert.is(verdict(send({ secret: OTHER })), 'signature_invalid');
});

test('the dots of an id cannot be shifted into the timestamp', () => {
  const { message, signature } = send({ id: `a.${NOW_MS / 1_000}` });
  const shifted = { ...message, webhookId: 'a' };
  assert.is(verifyMessage(keysOf(SECRET), shifted, signature, NOW_MS), 'signature_invalid');
});

test('signatures of another version, length or alphabet are invalid', () => {
  const { message, signature } = send();
  const keys = keysOf(SECRET);
  const bare = signature.slice(3);
  const urlSafe = `v1,${bare.replaceAll('+', '-').replaceAll('/', '_').replace('=', '')}`;
  for (const header of [
    `v1a,${bare}`,
    `v2,${bare}`,
    bare,
    `v1,`,
    'v1',
    ',',
    ' ',
    urlSafe,
    `v1,${bare}=`,
  ]) {
    assert.is(verifyMessage(keys, message, header, NOW_MS), 'signature_invalid', header);
  }
});

test('five minutes are allowed either way, not more', () => {
  for (const [offsetMs, expected] of [
    [-300_000, 'valid'],
    [300_000, 'valid'],
    [-301_000, 'timestamp_stale'],
    [301_000, 'timestamp_stale'],
  ] as const) {
    assert.is(verdict(send({ atMs: NOW_MS + offsetMs })), expected);
  }
});

test('a timestamp that is no whole number of seconds is invalid', () => {
  const { message, signature } = send();
  for (const webhookTimestamp of [
    'soon',
    '1.8e9',
    '-1',
    '1800000000.5',
    ' 1800000000',
    '9'.repeat(30),
  ]) {
    const odd = { ...message, webhookTimestamp };
    assert.is(verifyMessage(keysOf(SECRET), odd, signature, NOW_MS), 'signature_invalid');
  }
});

test('a missing header is told apart', () => {
  const { message, signature } = send();
  const keys = keysOf(SECRET);
  assert.is(verifyMessage(keys, message, '', NOW_MS), 'signature_missing');
  assert.is(
    verifyMessage(keys, { ...message, webhookId: '' }, signature, NOW_MS),
    'signature_missing',
  );
  const noTime = { ...message, webhookTimestamp: '' };
  assert.is(verifyMessage(keys, noTime, signature, NOW_MS), 'signature_missing');
});

test('without a key nothing is valid', () => {
  const { message, signature } = send();
  assert.is(verifyMessage([], message, signature, NOW_MS), 'signature_invalid');
});

test('a secret is whsec_ and base64 of 128 bits or more', () => {
  assert.is(parseSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')?.length, 24);
  for (const secret of [
    '',
    'whsec_',
    'whsec_!!',
    'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    'whsec_c2hvcnQ=',
  ]) {
    assert.is(parseSecret(secret), undefined, secret);
  }
});

test(`any message signed by the reference library is valid, any changed byte is not (seed ${SEED})`, async () => {
  const sent = fc.record({
    id: fc.stringMatching(/^[!-~]{1,40}$/),
    body: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }),
    at: fc.nat(),
  });
  await fc.assert(
    fc.property(sent, ({ id, body, at }) => {
      const { message, signature } = send({ id, body });
      const bytes = Uint8Array.from(message.body);
      bytes[at % bytes.length] = ((bytes[at % bytes.length] ?? 0) + 1) % 256;
      const keys = keysOf(SECRET);
      return (
        verifyMessage(keys, message, signature, NOW_MS) === 'valid' &&
        verifyMessage(keys, { ...message, body: bytes }, signature, NOW_MS) === 'signature_invalid'
      );
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test.run();
