/** What others say to the outbox: the one owner of every delivery's state. */

import type {
  DeliveryOutcome,
  OutboundMessage,
  ReplyTarget,
} from '../../proto/channel-messages.ts';
import type { OperationOwner } from '../../proto/control/owner.ts';
import type { ActorRef } from '../../runtime/actor.ts';
import type { EncodedChangeSet } from '../../runtime/store/encoding.ts';
import type { ChangeSet } from '../../runtime/store/store.ts';
import type { ConnectorProtocol } from '../channels/protocol.ts';
import type { CommitReply, RowOwner } from '../ledger/protocol.ts';

/** A run's end and its deliveries, made durable as one change set. */
export interface FinishRequest {
  readonly runId: string;
  readonly trace: string;
  /** The run's, session's and inbox's part, as their rows made it. */
  readonly changes: ChangeSet | EncodedChangeSet;
  /** At least one: an end without them is its session's own commit. */
  readonly outputs: readonly { readonly target: ReplyTarget; readonly message: OutboundMessage }[];
}

export interface Settlement {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly chunk: number;
  /** How many pieces the connector's limit makes of the text. */
  readonly chunks: number;
  readonly outcome: DeliveryOutcome;
}

export interface ConnectorUp {
  readonly connectorId: string;
  readonly ref: ActorRef<ConnectorProtocol>;
  readonly onUnknown: 'retry' | 'hold';
  /** A delivery older than this is dead, while the account can send. */
  readonly maxAgeMs: number;
  /** Least time between two of its sends; 0 for none. */
  readonly minIntervalMs: number;
  /** `self.incarnation` of the connector actor: a late `Down` of an earlier one is then told from its own. */
  readonly incarnation?: number;
}

export interface QueueSnapshot {
  readonly pending: number;
  readonly sending: number;
  readonly waiting: number;
  readonly unknown: number;
  readonly held: number;
  readonly deadLetters: number;
  readonly parked: boolean;
  readonly parkReason: string;
  readonly oldestPendingAtMs: number;
  readonly nextAttemptAtMs: number;
  readonly lastDeliveredAtMs: number;
}

export interface DeliveryView {
  readonly deliveryId: string;
  readonly connectorId: string;
  readonly conversationId: string;
  readonly status: string;
  readonly attempts: number;
  readonly chunk: number;
  readonly chunks: number;
  readonly reason: string;
  readonly nativeMessageIds: readonly string[];
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly maybeDuplicate: boolean;
}

export interface OutboxProtocol extends OperationOwner, RowOwner {
  /** As the ledger answers its commit; `busy` too where an account has no room. */
  finish(request: FinishRequest): CommitReply;
  /** A connector actor can send. It is watched: its end makes its attempts in flight `unknown`. Twice is once. */
  connectorUp(connector: ConnectorUp): void;
  /** The account's credential was refused or works again: its lanes rest or go on. */
  parked(account: {
    readonly connectorId: string;
    readonly parked: boolean;
    readonly reason: string;
  }): void;
  /** Repeated by the connector actor until `settledAck` answers it; absorbed by the row. */
  settled(settlement: Settlement): void;
  /** Accounts with deliveries that have not ended or dead letters, whether or not a connector of theirs was ever up. */
  accounts(nothing: null): {
    /** `active`: deliveries that have not ended. */
    readonly accounts: readonly { readonly connectorId: string; readonly active: number }[];
  };
  queue(account: { readonly connectorId: string }): QueueSnapshot;
  /** Newest first: active and recently ended ones, and dead letters. */
  recent(query: { readonly connectorId: string; readonly limit: number }): {
    readonly deliveries: readonly DeliveryView[];
    readonly deadLetters: readonly DeliveryView[];
  };
  /** Deliveries due now or in flight; for the drain. */
  due(nothing: null): { readonly deliveries: number };
}
