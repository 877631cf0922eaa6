/** What the log says of a model that fails: at once, then once a minute, and when it answers again. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ModelWatch } from '../../cli/model-watch.ts';
import type { ModelOutcome } from '../../connectors/models/model.ts';

const ANSWER: ModelOutcome = { type: 'answer', text: '', promptTokens: 0, completionTokens: 0 };

function world() {
  const time = { nowMs: 1_000 };
  const lines: unknown[] = [];
  const watch = new ModelWatch(
    (level, _message, fields) => lines.push([level, fields]),
    () => time.nowMs,
  );
  return { time, lines, watch };
}

const test = suite('model watch');

test('a failure is said at once, then once a minute with the calls that failed', () => {
  const { time, lines, watch } = world();
  watch.heard({ type: 'transient', reason: 'a' });
  time.nowMs += 59_999;
  watch.heard({ type: 'permanent', reason: 'b' });
  time.nowMs += 1;
  watch.failed('c');
  assert.equal(lines, [
    ['warn', { reason: 'a', failedCalls: 1 }],
    ['warn', { reason: 'c', failedCalls: 3 }],
  ]);
});

test('an answer after failures is said once; the next failure is said at once again', () => {
  const { lines, watch } = world();
  watch.heard(ANSWER);
  assert.equal(lines, []);
  watch.heard({ type: 'transient', reason: 'a' });
  watch.heard(ANSWER);
  watch.heard(ANSWER);
  watch.heard({ type: 'transient', reason: 'b' });
  assert.equal(lines, [
    ['warn', { reason: 'a', failedCalls: 1 }],
    ['info', { failedCalls: 1 }],
    ['warn', { reason: 'b', failedCalls: 1 }],
  ]);
});

test('turns that are too many, and a call that was given up, say nothing of the model', () => {
  const { lines, watch } = world();
  watch.heard({ type: 'context_too_long', reason: 'a' });
  watch.heard({ type: 'transient', reason: 'b', isAborted: true });
  assert.equal(lines, []);
});

test.run();
