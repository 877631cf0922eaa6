/** The state of the outbox actor, its own messages, and its bounds. */
import type { ActorRef, Deferred, Replied, Self, Settled } from '../../runtime/actor.ts';
import type { ChangeSet, StoredRow } from '../../runtime/store/store.ts';
import type { CommitReply, LedgerProtocol } from '../ledger/protocol.ts';
import type { OpenRun } from '../router/rows.ts';
import type { SessionsProtocol } from '../sessions/protocol.ts';
import {
  type Account,
  Book,
  type Entry,
  type Intervention,
  type Lane,
  type Pending,
} from './book.ts';
import type { Pace } from './pace.ts';
import { DEFAULT_MAX_AGE_MS, DEFAULT_PARKED_MAX_AGE_MS, type UnknownPolicy } from './policy.ts';
import type { FinishRequest, OutboxProtocol } from './protocol.ts';
import type { DeliveryRow } from './rows.ts';
import { WakeQueue } from './wake-queue.ts';

export interface OutboxPolicies {
  /** For accounts that have not registered yet. */
  readonly onUnknown: UnknownPolicy;
  readonly maxAgeMs: number;
  /** For accounts that `parkedMaxAgesMs` does not name. */
  readonly parkedMaxAgeMs: number;
  /** Lanes of one account that send at the same time. */
  readonly inFlightPerConnector: number;
  /** Deliveries of one account that have not ended; beyond it `finish` is `busy`. */
  readonly activePerConnector: number;
  /** Their text in UTF-16 units: it is what the cache costs. */
  readonly textCharsPerConnector: number;
}

export const DEFAULT_POLICIES: OutboxPolicies = {
  onUnknown: 'retry',
  maxAgeMs: DEFAULT_MAX_AGE_MS,
  parkedMaxAgeMs: DEFAULT_PARKED_MAX_AGE_MS,
  inFlightPerConnector: 64,
  activePerConnector: 10_000,
  textCharsPerConnector: 16 * 1_024 * 1_024,
};

export interface OutboxArgs {
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly sessions: ActorRef<SessionsProtocol>;
  readonly policies?: Partial<OutboxPolicies>;
  /** By connector that is configured; where this is absent, every one is. How old a delivery may become while its account cannot send. */
  readonly parkedMaxAgesMs?: Readonly<Record<string, number>>;
}

export interface Move {
  readonly entry: Entry;
  readonly after: DeliveryRow;
}

/** A lane goes one step on. */
export interface MoveStep {
  readonly kind: 'move';
  readonly lane: Lane;
  /** One delivery's next state and, where that ends it, the start of the next. */
  readonly moves: readonly Move[];
  readonly changes: ChangeSet;
  /** What the first move answers to. */
  readonly cause: Pending | Intervention | undefined;
}

export interface Arrival {
  readonly deliveryId: string;
  readonly lane: Lane;
  readonly row: DeliveryRow;
}

/** A run ends, its deliveries arrive; or a dead letter arrives anew. */
export interface FinishStep {
  readonly kind: 'finish';
  readonly arrivals: readonly Arrival[];
  readonly changes: FinishRequest['changes'];
  readonly later: Pick<Deferred<CommitReply>, 'resolve'>;
}

export type Step = MoveStep | FinishStep;

/** How a delivery ended; `stored` undefined: nobody knows it. */
export interface EndedDelivery {
  readonly stored: StoredRow | undefined;
  /** What its run's session remembers; of a dead one. */
  readonly exchange: OpenRun | undefined;
}

/** What the outbox tells itself. */
export interface OutboxOwn {
  committed(answer: Replied<Step, CommitReply>): void;
  /** The rows of a step whose commit was not answered. */
  fateRead(answer: {
    readonly step: Step;
    readonly outcome: Settled<readonly (StoredRow | undefined)[]>;
  }): void;
  readFates(nothing: null): void;
  /** How a delivery ended that an operator asks something for. */
  endedRead(answer: {
    readonly asked: Intervention;
    readonly outcome: Settled<EndedDelivery>;
  }): void;
  wake(nothing: null): void;
  /** Asks again about pieces that nobody has answered for long. */
  sweep(nothing: null): void;
}

/** `unanswered`: it may have been committed · `conflict`: it was not, and a row is not as this cache has it. */
export type Doubt = 'unanswered' | 'conflict';

export type OutboxSelf = Self<OutboxProtocol & OutboxOwn>;

export interface OutboxState {
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly sessions: ActorRef<SessionsProtocol>;
  readonly policies: OutboxPolicies;
  readonly book: Book;
  /** Deliveries of ends of runs that are at the ledger. */
  arriving: number;
  /** Steps whose rows must be read again to know what became of them, and why. */
  readonly unsure: Map<Step, Doubt>;
  nextOrder: number;
  /** Who waits for a time: a lane for its head, an account for the end of its rest, a pace for its next send. */
  readonly wakes: WakeQueue<Lane | Account | Pace>;
  timerAtMs: number | undefined;
  isSweeping: boolean;
  readonly counters: Map<string, number>;
}

export function createOutboxState(args: OutboxArgs): OutboxState {
  const policies = { ...DEFAULT_POLICIES, ...args.policies };
  const ages = new Map(Object.entries(args.parkedMaxAgesMs ?? {}));
  return {
    ledger: args.ledger,
    sessions: args.sessions,
    policies,
    book: new Book({
      onUnknown: policies.onUnknown,
      maxAgeMs: policies.maxAgeMs,
      isConfigured: (id) => args.parkedMaxAgesMs === undefined || ages.has(id),
      parkedMaxAgeMs: (id) => ages.get(id) ?? policies.parkedMaxAgeMs,
    }),
    arriving: 0,
    unsure: new Map(),
    nextOrder: 1,
    wakes: new WakeQueue(),
    timerAtMs: undefined,
    isSweeping: false,
    counters: new Map(),
  };
}

/** A counter has a name and one label: `attempts:delivered`. */
export function bump(state: OutboxState, counter: string, by = 1): void {
  state.counters.set(counter, (state.counters.get(counter) ?? 0) + by);
}

export function timesOf(self: OutboxSelf) {
  return { monotonicMs: self.clock.monotonicMs(), wallMs: self.clock.wallMs() };
}
