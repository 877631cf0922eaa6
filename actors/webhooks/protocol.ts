/** What others say to the webhooks and to one integration's actor. */

import type { OperationOwner } from '../../proto/control/owner.ts';
import type { WireError } from '../../proto/errors.ts';
import type { ActorRef } from '../../runtime/actor.ts';
import type { AdmitRequest } from '../router/protocol.ts';

export interface CheckRequest {
  readonly webhookId: string;
  readonly webhookTimestamp: string;
  readonly webhookSignature: string;
  readonly body: Uint8Array;
  readonly trace: string;
}

export type CheckReply =
  /** As the router takes it. */
  | { readonly type: 'genuine'; readonly admission: AdmitRequest }
  | { readonly type: 'refused'; readonly error: WireError };

export interface WebhookEntry {
  readonly integrationId: string;
  readonly enabled: boolean;
  readonly maxPayloadBytes: number;
  readonly ref: ActorRef<WebhookProtocol>;
}

/** One integration, on a pool thread: it checks the signature over the raw body and reads the message in it. */
export interface WebhookProtocol {
  /** Changes nothing: the same event is genuine each time. */
  check(request: CheckRequest): CheckReply;
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
    /** By code: what this actor refused. */
    readonly refused: Readonly<Record<string, number>>;
  };
}

/** The dynamic supervisor of all integrations. */
export interface WebhooksProtocol extends OperationOwner {
  directory(nothing: null): readonly WebhookEntry[];
  /** What the router made of a genuine event; `result` is `accepted`, `duplicate` or the code of a refusal. To be counted. */
  settled(event: { readonly integrationId: string; readonly result: string }): void;
}
