/** What others say to the webhooks and to one integration's actor. */

import type { OperationOwner } from '../../proto/control/owner.ts';
import type { WireError } from '../../proto/errors.ts';
import type { ActorRef } from '../../runtime/actor.ts';

export interface IngestRequest {
  readonly webhookId: string;
  readonly webhookTimestamp: string;
  readonly webhookSignature: string;
  readonly body: Uint8Array;
  readonly trace: string;
}

export type IngestReply =
  | { readonly type: 'accepted'; readonly envelopeId: string }
  | { readonly type: 'duplicate'; readonly envelopeId: string }
  | { readonly type: 'refused'; readonly error: WireError };

export interface WebhookEntry {
  readonly integrationId: string;
  readonly enabled: boolean;
  readonly maxPayloadBytes: number;
  readonly ref: ActorRef<WebhookProtocol>;
}

/** One integration, on a pool thread: it checks the signature over the raw body and asks the router to admit the event. */
export interface WebhookProtocol {
  ingest(request: IngestRequest): IngestReply;
  sign(request: { readonly body: string }):
    | {
        readonly ok: true;
        readonly webhookId: string;
        readonly webhookTimestamp: string;
        readonly webhookSignature: string;
      }
    | { readonly ok: false; readonly error: WireError };
  status(nothing: null): {
    readonly secretPresent: boolean;
    readonly accepted: number;
    readonly duplicates: number;
    readonly refused: Readonly<Record<string, number>>;
  };
}

/** The dynamic supervisor of all integrations. */
export interface WebhooksProtocol extends OperationOwner {
  directory(nothing: null): readonly WebhookEntry[];
}
