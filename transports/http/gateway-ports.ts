/** What the HTTP routes ask of the gateway; written by the receiver, given by `actors/listeners`. */
import type { Metric, OperationReply } from '../../proto/control/owner.ts';
import type { WireError } from '../../proto/errors.ts';

export type WebhookGate =
  | { readonly state: 'unknown' }
  | { readonly state: 'disabled' }
  /** The gateway drains: nothing new is accepted, on no connection. */
  | { readonly state: 'stopping' }
  | { readonly state: 'open'; readonly maxPayloadBytes: number };

export interface WebhookRequest {
  readonly integrationId: string;
  /** '' where the header is missing. */
  readonly webhookId: string;
  readonly webhookTimestamp: string;
  readonly webhookSignature: string;
  readonly body: Uint8Array;
  readonly trace: string;
}

export type WebhookAnswer =
  | { readonly type: 'accepted'; readonly envelopeId: string }
  | { readonly type: 'duplicate'; readonly envelopeId: string }
  | { readonly type: 'refused'; readonly error: WireError };

export interface Principal {
  readonly name: string;
  readonly scopes: readonly string[];
}

export interface OperationCall {
  readonly operation: string;
  readonly input: unknown;
  readonly principal: Principal;
  readonly idempotencyKey: string;
  readonly trace: string;
}

export interface Readiness {
  readonly ready: boolean;
  /** One word a component, e.g. `ledger`, `http`, `stopping`; never an id of a person, conversation or account. */
  readonly failing: readonly string[];
  /** Degraded components: shown, but not unready. */
  readonly degraded: readonly string[];
}

export interface GatewayPorts {
  /** Synchronous, from a snapshot: it is asked before a body is read. */
  webhook(integrationId: string): WebhookGate;
  /** `done` hears the answer, once. Goes on when the sender has gone: it will ask again and hear of a duplicate. */
  ingest(request: WebhookRequest, done: (answer: WebhookAnswer) => void): void;
  /** Constant time. `nobody`: the token is wrong. `unavailable`: the gateway has none that it could be compared with. */
  authenticate(bearerToken: string): Principal | 'nobody' | 'unavailable';
  call(call: OperationCall, signal: AbortSignal): Promise<OperationReply>;
  readiness(): Readiness;
  metrics(): Promise<readonly Metric[]>;
  nextTraceId(): string;
}
