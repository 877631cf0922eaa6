/** What the end of an attempt means, as data: outcome × account policy → next status, delay, whether it counts. It decides nothing else. */
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';
import type { DeliveryStatus } from './machine.ts';

export const UNKNOWN_POLICIES = ['retry', 'hold'] as const;
/** What becomes of a delivery of which nobody knows whether it was sent. */
export type UnknownPolicy = (typeof UNKNOWN_POLICIES)[number];

/** `lost`: the attempt's sender is gone, so nobody will say how it ended. */
export type AttemptEnd = DeliveryOutcome['type'] | 'lost';

export interface Rule {
  readonly next: DeliveryStatus;
  /** `backoff`: grows with the counted failures · `asked`: what the platform said · `soon`: within a second. */
  readonly delay: 'none' | 'backoff' | 'asked' | 'soon';
  /** It lengthens the next backoff. */
  readonly counts: boolean;
  /** The account takes no more attempts: `scope` for as long as asked when the platform says so, `park` until it is unparked. */
  readonly account: 'goes on' | 'scope' | 'park';
}

const DELIVERED: Rule = { next: 'delivered', delay: 'none', counts: false, account: 'goes on' };
const LIMITED: Rule = { next: 'waiting', delay: 'asked', counts: false, account: 'scope' };
const TRANSIENT: Rule = { next: 'waiting', delay: 'backoff', counts: true, account: 'goes on' };
const AUTH: Rule = { next: 'waiting', delay: 'none', counts: false, account: 'park' };
const PERMANENT: Rule = { next: 'dead', delay: 'none', counts: true, account: 'goes on' };
const RETRIED: Rule = { next: 'unknown', delay: 'backoff', counts: true, account: 'goes on' };
const HELD: Rule = { next: 'held', delay: 'none', counts: true, account: 'goes on' };
/** Not the message's fault: a process that is killed ten times must not make it wait for minutes. */
const LOST: Rule = { next: 'unknown', delay: 'soon', counts: false, account: 'goes on' };

/** `delivered` is for the last piece; one before it goes on with the next. */
export const RULES: Readonly<Record<AttemptEnd, Readonly<Record<UnknownPolicy, Rule>>>> = {
  delivered: { retry: DELIVERED, hold: DELIVERED },
  rate_limited: { retry: LIMITED, hold: LIMITED },
  transient: { retry: TRANSIENT, hold: TRANSIENT },
  auth: { retry: AUTH, hold: AUTH },
  permanent: { retry: PERMANENT, hold: PERMANENT },
  unknown: { retry: RETRIED, hold: HELD },
  lost: { retry: LOST, hold: HELD },
};

/** What the end of an attempt's sender is charged to its delivery as: `crash` when it is named, `loss` when nobody is. */
export type Charge = 'none' | 'crash' | 'loss';

/** Crashes that name one delivery before it is not tried again. */
const MAX_CRASHES = 2;
/** Ends that name nobody: what is thrown in a later turn leaves no name, but it comes again with its delivery. */
const MAX_LOSSES = 5;
/** From here on a lost delivery waits like one of unknown outcome: its neighbours get time to be sent. */
const LOSSES_BEFORE_BACKOFF = 3;

const HOUR_MS = 60 * 60 * 1_000;
export const DEFAULT_MAX_AGE_MS = 24 * HOUR_MS;
export const DEFAULT_PARKED_MAX_AGE_MS = 7 * DEFAULT_MAX_AGE_MS;
/** What was too old when its account could send again gets so long to leave. */
const CATCH_UP_MS = HOUR_MS;

export interface Ages {
  readonly maxAgeMs: number;
  readonly parkedMaxAgeMs: number;
  /** Monotonic: since when the account can send; undefined while it cannot. */
  readonly upSinceMs: number | undefined;
}

/**
 * When a delivery is too old, in the clock of `bornAtMs`. An account without a working credential, or without a connector,
 * keeps it longer; where that ends, what has waited is not dead at once.
 */
export function expiryOf(bornAtMs: number, { maxAgeMs, parkedMaxAgeMs, upSinceMs }: Ages): number {
  const usualMs = bornAtMs + maxAgeMs;
  const longestMs = bornAtMs + Math.max(maxAgeMs, parkedMaxAgeMs);
  if (upSinceMs === undefined) return longestMs;
  if (bornAtMs >= upSinceMs) return usualMs;
  const caughtUpMs = upSinceMs + Math.min(CATCH_UP_MS, maxAgeMs);
  return Math.max(usualMs, Math.min(caughtUpMs, longestMs));
}

/** Whether one more end of this charge is the last that a delivery gets. */
export function isQuarantined(
  charge: Charge,
  { crashes, losses }: { readonly crashes: number; readonly losses: number },
): boolean {
  if (charge === 'none') return false;
  return charge === 'crash' ? crashes + 1 >= MAX_CRASHES : losses + 1 >= MAX_LOSSES;
}

export function lostRuleOf(charge: Charge, losses: number, onUnknown: UnknownPolicy): Rule {
  const isRepeated = charge === 'loss' && losses + 1 >= LOSSES_BEFORE_BACKOFF;
  return RULES[isRepeated ? 'unknown' : 'lost'][onUnknown];
}

const BASE_MS = 1_000;
const CAP_MS = 60_000;
const JITTERED_FAILURES = 10;
const LONG_MS = 5 * 60_000;
// A platform that asks for no wait at all would otherwise be asked again in a tight loop.
const MIN_ASKED_MS = 250;

/** Full jitter, 1 s doubled up to 60 s, for the first ten failures; then 5 minutes. `random` in [0, 1). */
export function backoffMs(failures: number, random: number): number {
  if (failures > JITTERED_FAILURES) return LONG_MS;
  return Math.floor(random * Math.min(CAP_MS, BASE_MS * 2 ** Math.max(0, failures - 1)));
}

/** How long until the next attempt; `failures` includes this one where it counts. */
export function delayMsOf(
  rule: Rule,
  failures: number,
  askedMs: number | undefined,
  random: number,
): number {
  switch (rule.delay) {
    case 'none':
      return 0;
    case 'soon':
      return backoffMs(1, random);
    case 'asked':
      return Math.max(MIN_ASKED_MS, finite(askedMs));
    case 'backoff':
      return Math.max(finite(askedMs), backoffMs(failures, random));
  }
}

function finite(ms: number | undefined): number {
  return ms !== undefined && ms > 0 ? Math.min(Math.ceil(ms), DEFAULT_MAX_AGE_MS) : 0;
}
