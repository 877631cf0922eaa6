/** What others say to the webhooks and to one integration's actor. */

import type { ReplyTarget } from '../../proto/channel-messages.ts';
import type { OperationOwner } from '../../proto/control/owner.ts';
import type { WireError } from '../../proto/errors.ts';
import type { ActorRef } from '../../runtime/actor.ts';

export interface CheckRequest {
  readonly webhookId: string;
  readonly webhookTimestamp: string;
  readonly webhookSignature: string;
  readonly body: Uint8Array;
}

export type CheckReply =
  | {
      readonly type: 'genuine';
      /** The message in the body. */
      readonly text: string;
      /** Hex, of the body as it was sent. */
      readonly bodySha256: string;
    }
  | { readonly type: 'refused'; readonly error: WireError };

export interface WebhookEntry {
  readonly integrationId: string;
  /** Every webhook is a channel of its own: `webhook:<integration>`. */
  readonly channel: string;
  readonly enabled: boolean;
  readonly maxPayloadBytes: number;
  /** Null: outputs end on the run's tape. */
  readonly replyTo: ReplyTarget | null;
  readonly ref: ActorRef<WebhookProtocol>;
}

export interface WebhookTally {
  readonly integrationId: string;
  /** How many events were answered `accepted`, `duplicate`, or with the code of a refusal. */
  readonly results: Readonly<Record<string, number>>;
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
  };
}

/** The dynamic supervisor of all integrations. */
export interface WebhooksProtocol extends OperationOwner {
  directory(nothing: null): readonly WebhookEntry[];
  /** From whoever takes events in, some time after they came: what became of them since it started. */
  tallies(changed: readonly WebhookTally[]): void;
}
