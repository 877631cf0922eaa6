/** The contract between a platform's client library and the gateway. It knows no storage, retries or sessions. */
import type { DeliveryOutcome, InboundOffer } from '../proto/channel-messages.ts';

/** The event is durable: the platform may be told so. */
export type Accepted = {
  readonly accepted: true;
  readonly envelopeId: string;
  readonly duplicate: boolean;
};
/** A `Refused.reason`: this conversation is full; the account's others are not. */
export const CONVERSATION_BUSY = 'conversation_busy';

/**
 * It is not: do not acknowledge; offer it again after `retryAfterMs`. Where `reason` is `CONVERSATION_BUSY`, go on with other
 * conversations meanwhile; for any other, nothing of this account is taken.
 */
export type Refused = {
  readonly accepted: false;
  readonly retryAfterMs: number;
  readonly reason: string;
};

export const READINESSES = ['ready', 'missing_credential', 'auth_failed', 'misconfigured'] as const;
export type Readiness = (typeof READINESSES)[number];
export const LIVENESSES = ['stopped', 'starting', 'running', 'degraded'] as const;
export type Liveness = (typeof LIVENESSES)[number];

/** What the connector observed of itself, at each change. `reason` is safe to show: no token, no message text. */
export interface HealthObservation {
  readonly readiness: Readiness;
  readonly liveness: Liveness;
  readonly reason: string;
}

export interface ConnectorPorts {
  /**
   * Settles only after the flush (or with the refusal). The connector confirms to its platform afterwards, never before.
   * A rejection counts as a refusal, except: `validation_error`, `malformed`, `payload_too_large` (this offer will never
   * be taken: drop it and count it) and `stale_incarnation` (the receiver is gone: receive no more).
   */
  accept(offer: InboundOffer, signal: AbortSignal): Promise<Accepted | Refused>;
  health(observation: HealthObservation): void;
  /** Counts an event of the platform that is no message for the gateway; `reason` is one of a small set of words. */
  ignored?(reason: string): void;
}

/** One piece of one delivery, to be sent once. */
export interface DeliveryAttempt {
  readonly deliveryId: string;
  readonly attempt: number;
  /** Index of this piece in `split(text)`. */
  readonly chunk: number;
  /** The piece itself, not the whole text. */
  readonly text: string;
  readonly conversationId: string;
  readonly threadId: string;
  /** Native id of the message that this one answers; '' for none. */
  readonly inReplyTo: string;
}

export interface Connector {
  /**
   * Least time between two sends, where the account's configuration asks for one. The outbox keeps it, before a piece is given
   * to `deliver`: a connector never waits for its own pace.
   */
  readonly minIntervalMs?: number;
  /**
   * Starts receiving. Settles when the platform took the credential; rejects with `auth_failed` or `secret_unavailable`
   * where it did not. Trouble on the way to the platform is no rejection: it stays pending, `health` says degraded, and it
   * goes on trying. After `auth_failed` too it goes on trying, slowly, and `health` says when it is ready. An abort of
   * `signal` ends receiving at any time, later ones included: pass the signal of whoever owns the connector.
   */
  open(ports: ConnectorPorts, signal: AbortSignal): Promise<void>;
  /** No event is accepted after this settles; sending still works. An `accept` under way is waited for until `signal` aborts. */
  stopReceiving(signal: AbortSignal): Promise<void>;
  /**
   * Sends one piece and says how it ended. Only a throw means that nobody knows whether it was sent. The log has the message of
   * what is thrown, here and by `open`, without the account's credential: no message text may stand in it.
   */
  deliver(attempt: DeliveryAttempt, signal: AbortSignal): Promise<DeliveryOutcome>;
  /** Ends everything, deliveries under way too; nothing is left open. Twice is once. */
  close(signal: AbortSignal): Promise<void>;
  /** The pieces that the platform's length limit makes of a text. Pure: the same text gives the same pieces. At least one. */
  split(text: string): readonly string[];
}

/** A configured account. The secret is resolved by the gateway and never kept in it. */
export interface ConnectorAccount {
  /** `kind:account`, e.g. `telegram:main`. */
  readonly connectorId: string;
  readonly kind: string;
  /** Options of this kind as its configuration schema left them, e.g. `{ api_root }`. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a connector is given beside its account: ambient powers, injected. */
export interface ConnectorDeps {
  /** '' when the account has no credential reference. */
  readonly credential: string;
  wallMs(): number;
  /** A wait that ends early, by rejecting, when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  random(): number;
  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void;
}

/** Every kind exports one of these; hosts add their own through `createGateway({ connectors })`. */
export interface ConnectorKind {
  readonly kind: string;
  readonly availability: 'supported' | 'internal_test_only';
  readonly needsCredential: boolean;
  /** Throws a coded `invalid_options` naming the key; called at configuration time and again in the thread. */
  checkOptions(options: Readonly<Record<string, unknown>>): void;
  create(account: ConnectorAccount, deps: ConnectorDeps): Connector;
}
