/** The words that make the echo connector fail on purpose when a delivery's text contains them. */
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';

/**
 * `once`: for the first try of a delivery's piece; the next one is delivered. Else every try ends so.
 * `outcome` undefined: the try throws. `waits`: it answers only when its signal aborts, then with `outcome`.
 * `auth` reports `auth_failed` as health too; after a `once` the account is ready again 50 ms later.
 */
export interface EchoMarker {
  readonly marker: string;
  readonly once: boolean;
  readonly waits: boolean;
  readonly outcome: DeliveryOutcome | undefined;
}

const RETRY_AFTER_MS = 10;

export const ECHO_MARKERS: readonly EchoMarker[] = [
  once('[connector-crash-once]', {
    type: 'transient',
    reason: 'connector_restarting',
    retryAfterMs: RETRY_AFTER_MS,
  }),
  once('[rate-limit-once]', {
    type: 'rate_limited',
    retryAfterMs: RETRY_AFTER_MS,
    scope: 'conversation',
    reason: 'rate_limited',
  }),
  once('[unknown-once]', { type: 'unknown', reason: 'connection_lost' }),
  once('[auth-once]', { type: 'auth', reason: 'credential_refused' }),
  once('[throw-once]', undefined),
  always('[transient]', { type: 'transient', reason: 'unavailable' }),
  always('[permanent]', { type: 'permanent', reason: 'refused' }),
  always('[auth]', { type: 'auth', reason: 'credential_refused' }),
  { ...always('[hang]', { type: 'unknown', reason: 'no_answer' }), waits: true },
];

function once(marker: string, outcome: DeliveryOutcome | undefined): EchoMarker {
  return { marker, once: true, waits: false, outcome };
}

function always(marker: string, outcome: DeliveryOutcome): EchoMarker {
  return { marker, once: false, waits: false, outcome };
}
