/** What others say to the sessions: each orders one conversation's messages and runs them one by one. */
import type { InboundMessageEvent, ReplyTarget } from '../../proto/channel-messages.ts';
import type { OperationOwner } from '../../proto/control/owner.ts';
import type { RunOwner } from '../runs/protocol.ts';

/** A durable, pending run: its row is flushed. */
export interface RoutedRun {
  readonly runId: string;
  readonly envelopeId: string;
  readonly sessionKey: string;
  /** Envelope of the run before it in this session, which may or may not have become durable; '' for none known. */
  readonly after: string;
  /** Of the change set that wrote its row in `runs` and the event's row in `inbox`. */
  readonly revision: number;
  readonly event: InboundMessageEvent;
  readonly replyTo?: ReplyTarget;
  readonly responsePrefix: string;
  readonly trace: string;
}

export interface RunEnded {
  readonly sessionKey: string;
  readonly runId: string;
  readonly status: 'done' | 'failed' | 'quarantined';
}

/** The dispatcher, on the ledger's thread. */
export interface SessionsProtocol extends OperationOwner {
  /** After the flush of its route. Twice is once. */
  routed(run: RoutedRun): void;
  /** From a session: the run's end is durable. Twice is once. */
  ended(run: RunEnded): void;
  /** Look again for durable runs that nobody has: sent by a router that may have died between flush and tell. */
  reconcile(nothing: null): void;
  /** Runs not yet ended; for the drain. */
  open(nothing: null): { readonly runs: number };
}

/** One conversation, on a pool thread. */
export interface SessionProtocol extends RunOwner {
  /** Twice is once. */
  enqueue(run: RoutedRun): void;
  /** Look at the durable open runs again: there may be some that it was never told of. */
  refresh(nothing: null): void;
}
