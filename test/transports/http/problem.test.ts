/** How errors look on the wire. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ERROR_CODES, type ErrorCode } from '../../../proto/errors.ts';
import { problemAnswer, statusOf } from '../../../transports/http/problem.ts';

const test = suite('problem documents');

test('every code has a status of its class, and its document names the code', () => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const { status, headers, body } = problemAnswer({ code, message: 'what happened' });
    const document = JSON.parse(body);
    assert.ok(status >= 400 && status <= 599, `${code} → ${status}`);
    assert.is(headers['content-type'], 'application/problem+json');
    assert.equal(
      [document.type, document.title, document.status, document.detail, document.code],
      [`urn:palyra:problem:${code}`, ERROR_CODES[code][2], status, 'what happened', code],
    );
    assert.is(document.retryable, ERROR_CODES[code][1]);
    // What may be repeated is never told as final, and the other way round.
    if (ERROR_CODES[code][0] === 'availability') assert.ok([429, 503, 504].includes(status), code);
  }
});

test('the statuses that others script against stay as they are', () => {
  const expected: Partial<Record<ErrorCode, number>> = {
    unauthorized: 401,
    signature_missing: 401,
    signature_invalid: 401,
    timestamp_stale: 401,
    malformed: 400,
    validation_error: 400,
    webhook_disabled: 403,
    not_found: 404,
    method_not_allowed: 405,
    idempotency_conflict: 409,
    payload_too_large: 413,
    busy: 429,
    conversation_busy: 429,
    rate_limited: 429,
    storage_low: 503,
    secret_unavailable: 503,
    internal_error: 500,
  };
  for (const [code, status] of Object.entries(expected)) {
    assert.is(statusOf(code as ErrorCode), status, code);
  }
});

test('429 and 503 always say when to come back, in whole seconds, rounded up', () => {
  const after = (code: ErrorCode, retryAfterMs?: number) =>
    problemAnswer({
      code,
      message: '',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    }).headers['retry-after'];
  assert.is(after('busy', 1), '1');
  assert.is(after('busy', 1_001), '2');
  assert.is(after('busy', 0), '1');
  assert.is(after('storage_low', 60_000), '60');
  assert.is(after('not_found'), undefined);
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    if (![429, 503].includes(statusOf(code))) continue;
    assert.match(after(code) ?? '', /^[1-9]\d*$/, code);
    assert.ok(ERROR_CODES[code][1], `${code} says when to come back, and that it is final`);
  }
});

test('401 names the scheme that is asked for', () => {
  const scheme = (code: ErrorCode) =>
    problemAnswer({ code, message: '' }).headers['www-authenticate'];
  assert.match(scheme('unauthorized') ?? '', /^Bearer /);
  assert.is(scheme('signature_invalid'), 'StandardWebhooks');
  assert.is(scheme('forbidden'), undefined);
});

test('fields that are wrong are listed, and a long text is cut', () => {
  const { body } = problemAnswer({
    code: 'validation_error',
    message: 'x'.repeat(100_000),
    issues: Array.from({ length: 100 }, (_, n) => ({ field: `f${n}`, message: 'y'.repeat(9_000) })),
  });
  const document = JSON.parse(body);
  assert.is(document.issues[0].field, 'f0');
  assert.ok(body.length < 40_000, `${body.length}`);
});

test.run();
