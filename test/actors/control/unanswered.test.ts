/** Every ask without a reply has a code that the gateway's callers know. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { unanswered } from '../../../actors/control/unanswered.ts';
import { ASK_CODES, AskError } from '../../../runtime/errors.ts';

const test = suite('control: an ask without a reply');

test('late is deadline_exceeded, a full queue busy, all else unavailable; the ask’s error is the cause', () => {
  for (const code of ASK_CODES) {
    const cause = new AskError(code, 'palyra:services/control', 'call');
    const error = unanswered(cause);
    const expected: Partial<Record<string, string>> = {
      ask_timeout: 'deadline_exceeded',
      mailbox_full: 'busy',
    };
    assert.is(error.code, expected[code] ?? 'unavailable', code);
    assert.is(error.cause, cause);
    assert.ok(error.retryable);
  }
});

test.run();
