/** Decides one delivery's next state from its row and what happened. Pure; sending and committing is the lane's business. */
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';
import { type DeliveryEvent, deliveryTable } from './machine.ts';
import {
  type Charge,
  delayMsOf,
  isQuarantined,
  lostRuleOf,
  RULES,
  type Rule,
  type UnknownPolicy,
} from './policy.ts';
import type { Settlement } from './protocol.ts';
import { type DeliveryRow, progressed, progressOf } from './rows.ts';

export type Happening =
  /** Its turn: nothing stands between it and the connector. */
  | { readonly type: 'turn' }
  | {
      readonly type: 'ended';
      readonly outcome: DeliveryOutcome;
      readonly chunks: number;
      /** Whether the next piece may leave at once. */
      readonly maySend: boolean;
    }
  /** Its sender is gone. */
  | { readonly type: 'lost'; readonly reason: string; readonly charge: Charge }
  | { readonly type: 'expired' }
  /** An operator sends it on its way again, or gives it up. */
  | { readonly type: 'replay' }
  | { readonly type: 'discard' };

export interface Terms {
  readonly onUnknown: UnknownPolicy;
  readonly atMs: number;
  /** In [0, 1). */
  readonly random: number;
}

/** The row as it shall be; undefined: nothing to do in this state. */
export function decide(
  row: DeliveryRow,
  happening: Happening,
  terms: Terms,
): DeliveryRow | undefined {
  const event = eventOf(row, happening, terms);
  const step = deliveryTable.next({ value: row.status, context: progressOf(row) }, event);
  if (!step.changed) return undefined;
  return progressed(row, step.value, step.context, terms.atMs);
}

/** Whether a settlement is about the row as it stands; a stale one is acknowledged and otherwise ignored. */
export function fits(row: DeliveryRow, settlement: Settlement): boolean {
  const { attempt, chunk, outcome } = settlement;
  if (chunk !== row.chunk) return false;
  if (row.status === 'sending') return attempt === row.attempt;
  // It was given up, yet it arrived, and it has not been sent again since.
  return outcome.type === 'delivered' && attempt <= row.attempt;
}

/** How long the whole account rests after this outcome, or that it is parked. */
export function accountAfter(
  outcome: DeliveryOutcome,
  terms: Terms,
): { readonly restMs: number } | { readonly parked: string } | undefined {
  const rule = RULES[outcome.type][terms.onUnknown];
  if (rule.account === 'park') return { parked: reasonOf(outcome) };
  if (rule.account !== 'scope' || outcome.type !== 'rate_limited') return undefined;
  if (outcome.scope !== 'account') return undefined;
  return { restMs: delayMsOf(rule, 0, outcome.retryAfterMs, 0) };
}

function eventOf(row: DeliveryRow, happening: Happening, terms: Terms): DeliveryEvent {
  switch (happening.type) {
    case 'turn':
      if (row.status === 'queued') return { type: 'start' };
      return { type: row.status === 'unknown' && terms.onUnknown === 'hold' ? 'hold' : 'due' };
    case 'expired':
    case 'discard':
      return { type: happening.type };
    case 'replay':
      return { type: 'replay', atMs: terms.atMs };
    case 'lost': {
      const { reason, charge } = happening;
      if (isQuarantined(charge, row)) return { type: 'quarantine', charge };
      const rule = lostRuleOf(charge, row.losses, terms.onUnknown);
      const pause = pauseOf(row, rule, reason, undefined, terms);
      return { type: 'unknown', hold: terms.onUnknown === 'hold', charge, ...pause };
    }
    case 'ended':
      return outcomeEvent(row, happening, terms);
  }
}

function outcomeEvent(
  row: DeliveryRow,
  { outcome, chunks, maySend }: Extract<Happening, { type: 'ended' }>,
  terms: Terms,
): DeliveryEvent {
  const rule = RULES[outcome.type][terms.onUnknown];
  switch (outcome.type) {
    case 'delivered': {
      const { nativeMessageId } = outcome;
      return { type: 'delivered', nativeMessageId, chunks: Math.max(1, chunks), maySend };
    }
    case 'permanent':
      return { type: 'permanent', reason: outcome.reason };
    case 'unknown': {
      // The first time, the sooner the better: nobody has seen a duplicate yet.
      const isFirst = !row.maybeDuplicate && rule.delay === 'backoff';
      const first: Rule = isFirst ? { ...rule, delay: 'soon' } : rule;
      const pause = pauseOf(row, first, outcome.reason, undefined, terms);
      return { type: 'unknown', hold: terms.onUnknown === 'hold', charge: 'none', ...pause };
    }
    case 'auth':
      return { type: 'auth', ...pauseOf(row, rule, outcome.reason, undefined, terms) };
    case 'transient':
    case 'rate_limited':
      return {
        type: outcome.type,
        ...pauseOf(row, rule, outcome.reason, outcome.retryAfterMs, terms),
      };
  }
}

function pauseOf(
  row: DeliveryRow,
  rule: Rule,
  reason: string,
  askedMs: number | undefined,
  { atMs, random }: Terms,
) {
  const failures = row.failures + (rule.counts ? 1 : 0);
  return { atMs, delayMs: delayMsOf(rule, failures, askedMs, random), counts: rule.counts, reason };
}

function reasonOf(outcome: DeliveryOutcome): string {
  return outcome.type === 'delivered' ? '' : outcome.reason;
}
