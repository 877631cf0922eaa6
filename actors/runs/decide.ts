/** What follows one call of the model: the run's result, another try after a while, or one with fewer earlier turns. Pure. */
import type { ModelOutcome, ModelTurn } from '../../connectors/models/model.ts';
import { assertNever } from '../../proto/errors.ts';
import type { RunResult } from './protocol.ts';

export type NextStep =
  | { readonly type: 'end'; readonly result: RunResult }
  | { readonly type: 'retry'; readonly delayMs: number }
  /** The same again with fewer earlier turns. */
  | { readonly type: 'shorten' };

/** How the run stands when an outcome comes. */
export interface Progress {
  /** Calls that were made, this one included, without those for which the turns were too many. */
  readonly calls: number;
  /** As this call had them. */
  readonly turns: readonly ModelTurn[];
  /** Left out before this call. */
  readonly leftOut: number;
}

export const MAX_CALLS = 5;
const BACKOFF_BASE_MS = 1_000;
const BACKOFF_CAP_MS = 60_000;
/** Longer than this a conversation is not kept waiting on the model's own word. */
const MAX_RETRY_AFTER_MS = 300_000;
const MAX_DETAIL_CHARACTERS = 200;

/** `random` in [0, 1): full jitter. */
export function decideNext(
  outcome: ModelOutcome,
  { calls, turns, leftOut }: Progress,
  random: number,
): NextStep {
  switch (outcome.type) {
    case 'answer': {
      const { text, promptTokens, completionTokens } = outcome;
      const result = { type: 'answered', text, promptTokens, completionTokens, leftOut } as const;
      const failedCalls = calls - 1;
      return { type: 'end', result: failedCalls === 0 ? result : { ...result, failedCalls } };
    }
    case 'permanent':
      return { type: 'end', result: failed('model_failed', outcome.reason, calls) };
    case 'context_too_long':
      // The bare message: nothing is left to leave out.
      if (turns.length > 1) return { type: 'shorten' };
      return { type: 'end', result: failed('context_too_long', outcome.reason, calls) };
    case 'transient': {
      if (calls >= MAX_CALLS) {
        return { type: 'end', result: failed('model_failed', outcome.reason, calls) };
      }
      const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (calls - 1));
      const askedMs = Math.min(outcome.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
      return { type: 'retry', delayMs: Math.max(random * ceilingMs, askedMs) };
    }
    default:
      return assertNever(outcome);
  }
}

/** Without the older half of what comes before the new message, and beginning with a user's turn. */
export function shortened(turns: readonly ModelTurn[]): readonly ModelTurn[] {
  const newer = turns.slice(Math.ceil((turns.length - 1) / 2));
  return newer.slice(newer.findIndex(({ role }) => role !== 'assistant'));
}

function failed(reason: string, detail: string, failedCalls: number): RunResult {
  return { type: 'failed', reason, detail: detail.slice(0, MAX_DETAIL_CHARACTERS), failedCalls };
}
