/** What others say to the channels and to one connector actor. */
import type { OperationOwner } from '../../proto/control/owner.ts';
import type { AdmitReply } from '../router/protocol.ts';

/** The code with which a connector actor ends itself when its connector leaves too many sends without an end. */
export const SENDS_HANG = 'sends_hang';

/** One piece to send: the row says `sending` for exactly this attempt, and that is flushed. */
export interface Attempt {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly chunk: number;
  /** The whole text; the connector's `split` makes the pieces. */
  readonly text: string;
  readonly conversationId: string;
  readonly threadId: string;
  readonly inReplyTo: string;
  /** The outbox has restarted: answer with what is known of this attempt, `unknown` where it is not known; never send. */
  readonly resumed: boolean;
  readonly trace: string;
}

export interface ConnectorStatus {
  readonly connectorId: string;
  readonly kind: string;
  readonly availability: string;
  readonly readiness: string;
  readonly liveness: string;
  readonly reason: string;
  readonly restarts: number;
  readonly lastInboundAtMs: number;
  readonly lastOutboundAtMs: number;
  readonly inFlight: number;
  /** Since this incarnation began: events of the platform that are no message, by reason. */
  readonly ignored: Readonly<Record<string, number>>;
}

/** One account's connector, on a pool thread. */
export interface ConnectorProtocol {
  /** Answered by `OutboxProtocol.settled`. */
  deliver(attempt: Attempt): void;
  settledAck(key: {
    readonly deliveryId: string;
    readonly attempt: number;
    readonly chunk: number;
  }): void;
  stopReceiving(nothing: null): { readonly stopped: boolean };
  status(nothing: null): ConnectorStatus;
  /** A synthetic inbound message, admitted like one of the platform's. */
  inject(test: {
    readonly text: string;
    readonly conversationId: string;
    readonly senderId: string;
    readonly isDirectMessage: boolean;
  }): AdmitReply;
}

/** The dynamic supervisor of all accounts. */
export interface ChannelsProtocol extends OperationOwner {
  /** Drain, phase 1: no connector accepts any more; sending works. */
  stopReceiving(nothing: null): { readonly stopped: number };
  /** How many accounts cannot receive and send now, as they were last seen, with those that have deliveries and no configuration. */
  trouble(nothing: null): { readonly accounts: number };
  /** From a connector actor, at each change of its health. */
  observed(status: ConnectorStatus): void;
}
