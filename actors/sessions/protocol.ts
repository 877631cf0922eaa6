/** What others say to the sessions: each orders one conversation's messages and runs them one by one. */
import type { OperationOwner } from '../../proto/control/owner.ts';
import type { OpenRun } from '../router/rows.ts';
import type { RunOwner } from '../runs/protocol.ts';
import type { RunEndStatus } from './rows.ts';
import type { GivenBack } from './session-memory.ts';

/** A durable, open run: its row in the inbox is flushed. */
export interface RoutedRun extends OpenRun, QueuedRun {}

/** As its session is told of it. */
export interface QueuedRun {
  readonly envelopeId: string;
  /** Envelope of the run before it in this session, which may or may not have become durable; '' for none known. */
  readonly after: string;
  /** Its row as the store has it: bytes go from thread to thread for less than fields do. */
  readonly row: Uint8Array;
}

export interface RunEnded extends OpenRun {
  readonly status: RunEndStatus;
  /** Earlier turns that its model had no room for; absent: none. */
  readonly leftOut?: number;
  /** Calls of its model that gave no answer; absent: none. */
  readonly failedCalls?: number;
}

/** The dispatcher, on the ledger's thread. */
export interface SessionsProtocol extends OperationOwner {
  /** After the flush of its route. Twice is once. */
  routed(run: RoutedRun): void;
  /** From a session: the run's end is durable. Twice is once. */
  ended(run: RunEnded): void;
  /** From a session: what those of its thread gave back since the last time. */
  gaveBack(text: GivenBack): void;
  /** From the outbox: a note of what became of an answer was added to this session's turns, or taken away. Twice is once. */
  turnsChanged(session: { readonly sessionKey: string }): void;
  /** Look again for durable runs that nobody has: sent by a router that may have died between flush and tell. */
  reconcile(nothing: null): void;
  /** Runs not yet ended; for the drain. */
  open(nothing: null): { readonly runs: number };
}

/** One conversation, on a pool thread. */
export interface SessionProtocol extends RunOwner {
  /** Twice is once. */
  enqueue(run: QueuedRun): void;
  /** Look at the open runs again: there may be some that it was never told of. Its turns stay as it has them. */
  refresh(nothing: null): void;
  /** Its turns are others than it has read: it reads them again for its next run. */
  turnsChanged(nothing: null): void;
}
