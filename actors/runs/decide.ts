/** What follows one call of the model: the run's result, or another try after a while. Pure. */
import type { ModelOutcome } from '../../connectors/models/model.ts';
import { assertNever } from '../../proto/errors.ts';
import type { RunResult } from './protocol.ts';

export type NextStep =
  | { readonly type: 'end'; readonly result: RunResult }
  | { readonly type: 'retry'; readonly delayMs: number };

export const MAX_CALLS = 5;
const BACKOFF_BASE_MS = 1_000;
const BACKOFF_CAP_MS = 60_000;
/** Longer than this a conversation is not kept waiting on the model's own word. */
const MAX_RETRY_AFTER_MS = 300_000;
const MAX_DETAIL_CHARACTERS = 200;

/** `calls` made so far, this one included; `random` in [0, 1): full jitter. */
export function decideNext(outcome: ModelOutcome, calls: number, random: number): NextStep {
  switch (outcome.type) {
    case 'answer': {
      const { text, promptTokens, completionTokens } = outcome;
      return { type: 'end', result: { type: 'answered', text, promptTokens, completionTokens } };
    }
    case 'permanent':
      return { type: 'end', result: modelFailed(outcome.reason) };
    case 'transient': {
      if (calls >= MAX_CALLS) return { type: 'end', result: modelFailed(outcome.reason) };
      const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (calls - 1));
      const askedMs = Math.min(outcome.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
      return { type: 'retry', delayMs: Math.max(random * ceilingMs, askedMs) };
    }
    default:
      return assertNever(outcome);
  }
}

function modelFailed(reason: string): RunResult {
  return {
    type: 'failed',
    reason: 'model_failed',
    detail: reason.slice(0, MAX_DETAIL_CHARACTERS),
  };
}
