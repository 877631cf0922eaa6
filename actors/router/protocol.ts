/** What others say to the router: it decides where an inbound event goes and makes event and decision durable together. */

import type { InboundOffer, ReplyTarget } from '../../proto/channel-messages.ts';
import type { Metric } from '../../proto/control/owner.ts';
import type { OpenRun } from './rows.ts';

export interface AdmitRequest {
  readonly offer: InboundOffer;
  /** Hex SHA-256 of the platform's body: the same native id with another digest is a conflict. */
  readonly bodySha256: string;
  /** Where outputs go; null: to the run's tape only. */
  readonly replyTo: ReplyTarget | null;
  readonly trace: string;
}

/** Everything but `refused` is durable when it is said. A `rejected` event is rejected again, whatever the rules have become. */
export type AdmitReply =
  | { readonly type: 'accepted'; readonly envelopeId: string }
  | { readonly type: 'duplicate'; readonly envelopeId: string }
  | { readonly type: 'rejected'; readonly envelopeId: string; readonly reason: string }
  | { readonly type: 'conflict' }
  | {
      readonly type: 'refused';
      readonly code: 'busy' | 'storage_low' | 'conversation_busy' | 'stopping';
      readonly retryAfterMs: number;
    };

export interface RouteStep {
  readonly check: string;
  readonly passed: boolean;
  readonly detail: string;
}

export interface RouterProtocol {
  admit(request: AdmitRequest): AdmitReply;
  /** Every check that was tried, in order; changes nothing. */
  explain(offer: InboundOffer): {
    readonly accepted: boolean;
    readonly reason: string;
    readonly sessionKey: string;
    readonly steps: readonly RouteStep[];
  };
  /** A run of this session has ended: one place free. */
  runEnded(run: OpenRun): void;
  metrics(nothing: null): readonly Metric[];
}
