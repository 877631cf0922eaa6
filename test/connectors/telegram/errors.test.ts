/** What each failure of a Bot API call means, and that its words are safe to show. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BotApiError,
  classify,
  FAILURE_CLASSES,
  TELEGRAM_ERRORS,
} from '../../../connectors/telegram/errors.ts';

const test = suite('telegram errors');

const answer = (status: number, description: string, more = {}) =>
  classify({
    type: 'answer',
    status,
    description,
    retryAfterMs: 0,
    migrateToChatId: '',
    isBotApi: true,
    ...more,
  });

const CASES = [
  [429, 'Too Many Requests: retry after 3', 'rate_limited'],
  [420, 'FLOOD_WAIT', 'rate_limited'],
  [401, 'Unauthorized', 'auth'],
  [409, "Conflict: can't use getUpdates method while webhook is active", 'webhook_active'],
  [409, 'Conflict: terminated by other getUpdates request', 'conflict'],
  [403, 'Forbidden: bot was blocked by the user', 'permanent'],
  [403, 'Forbidden: bot was kicked from the supergroup chat', 'permanent'],
  [403, "Forbidden: bot can't initiate conversation with a user", 'permanent'],
  [403, 'Forbidden: user is deactivated', 'permanent'],
  [400, 'Bad Request: chat not found', 'permanent'],
  [400, 'Bad Request: message is too long', 'permanent'],
  [400, 'Bad Request: message thread not found', 'permanent'],
  [400, "Bad Request: can't parse entities", 'permanent'],
  [400, 'Bad Request: something new', 'permanent'],
  [404, 'Not Found', 'auth'],
  [404, 'Not Found: method not found', 'permanent'],
  [413, 'Request Entity Too Large', 'permanent'],
  [500, 'Internal Server Error', 'transient'],
  [502, 'Bad Gateway', 'transient'],
  [504, 'Gateway Timeout', 'transient'],
  [101, 'who knows', 'unknown'],
] as const;

for (const [status, description, expected] of CASES) {
  test(`${status} ${description} is ${expected}`, () => {
    const verdict = answer(status, description);
    assert.is(verdict.class, expected);
    assert.match(verdict.reason, description);
  });
}

test('an answer that names a new chat is readdress, whatever its words', () => {
  assert.is(answer(400, 'anything', { migrateToChatId: '-1' }).class, 'readdress');
});

test('a 200 that is not the Bot API’s is unknown', () => {
  assert.is(answer(200, '', { isBotApi: false }).class, 'unknown');
});

test('a 4xx that is not the Bot API’s is transient, but for one that asks for a pause', () => {
  for (const status of [400, 401, 403, 404, 407, 409, 413, 451, 499]) {
    const verdict = answer(status, '', { isBotApi: false });
    assert.is(verdict.class, 'transient');
    assert.match(verdict.reason, `proxy or captive portal answered, not the Bot API (${status})`);
  }
  for (const status of [420, 429]) {
    assert.is(answer(status, '', { isBotApi: false }).class, 'rate_limited');
  }
});

test('the network: unknown exactly when the request was written', () => {
  for (const reason of ['ECONNREFUSED', 'ENOTFOUND', 'ECONNRESET', 'deadline', 'EHOSTUNREACH']) {
    assert.is(classify({ type: 'network', reason, requestWritten: false }).class, 'transient');
    assert.is(classify({ type: 'network', reason, requestWritten: true }).class, 'unknown');
  }
});

test('each rule has a class of the list and a hint, and can be reached', () => {
  for (const rule of TELEGRAM_ERRORS) {
    assert.ok(FAILURE_CLASSES.includes(rule.class));
    assert.ok(rule.hint.length > 5);
  }
});

test('a long description is cut, and an error’s message holds a code only', () => {
  assert.ok(answer(400, 'x'.repeat(9_000)).reason.length < 300);
  const error = new BotApiError('sendMessage', {
    type: 'network',
    reason: 'ECONNRESET',
    requestWritten: true,
  });
  assert.is(error.message, 'Telegram sendMessage: ECONNRESET');
});

test.run();
