/** The outbox's cache of committed rows: accounts, their lanes, the deliveries in each, in order. It decides and sends nothing. */

import type { OperationReply } from '../../proto/control/owner.ts';
import { laneKeyOf } from '../../proto/ids.ts';
import type { ActorRef, Deferred } from '../../runtime/actor.ts';
import type { ConnectorProtocol } from '../channels/protocol.ts';
import type { Happening } from './decide.ts';
import { ACTIVE_STATUSES, type ActiveStatus } from './machine.ts';
import { Pace } from './pace.ts';
import type { UnknownPolicy } from './policy.ts';
import type { DeliveryView, Settlement } from './protocol.ts';
import { DEAD_LETTERS, type DeliveryRow, isActive } from './rows.ts';
import { Trial } from './trial.ts';

export interface Entry {
  readonly deliveryId: string;
  readonly lane: Lane;
  row: DeliveryRow;
  revision: number;
  /** Monotonic: when it was made or replayed, and when its next attempt is due. A jump of the wall clock moves neither. */
  bornAtMs: number;
  dueAtMs: number;
}

/** Something that happened to a delivery and is not yet in its row: kept until it is. */
export interface Pending {
  readonly entry: Entry;
  readonly happening: Happening;
  readonly settlement?: Settlement;
}

/** What an operator asks for one delivery. */
export interface Intervention {
  readonly verb: 'replay' | 'discard';
  readonly connectorId: string;
  readonly deliveryId: string;
  readonly answer: Pick<Deferred<OperationReply>, 'resolve'>;
}

/** One conversation on one account: its deliveries leave one after the other. */
export interface Lane {
  readonly key: string;
  readonly account: Account;
  /** In order, the one in progress first. */
  readonly entries: Entry[];
  /** They stand aside: the lane goes on without them. */
  readonly held: Set<Entry>;
  /** Orders of deliveries whose first commit is under way. */
  readonly arriving: Set<number>;
  /** A step of this lane is at the ledger: nothing else may begin. */
  isBusy: boolean;
  pending: Pending | undefined;
  /** For deliveries that are held, oldest first; bounded. */
  interventions: Intervention[] | undefined;
  /** Registration of the connector that was told of the piece being sent; 0: nobody was. */
  toldEpoch: number;
  toldAtMs: number;
  /** An earlier incarnation of the outbox may have told it: ask, do not send. */
  isResumed: boolean;
  notBeforeMs: number;
}

/** One connector: its registration, what rests it, and the lanes behind it. */
export interface Account {
  readonly id: string;
  /** Not: nobody will send what waits here until the gateway is started with another configuration. */
  readonly isConfigured: boolean;
  ref: ActorRef<ConnectorProtocol> | undefined;
  /** 0: it did not say. */
  incarnation: number;
  epoch: number;
  onUnknown: UnknownPolicy;
  maxAgeMs: number;
  readonly parkedMaxAgeMs: number;
  /** Monotonic: since when there is a connector and it is not parked; undefined while there is none or it is. */
  upSinceMs: number | undefined;
  isParked: boolean;
  parkReason: string;
  restUntilMs: number;
  readonly pace: Pace;
  readonly trial: Trial;
  readonly lanes: Set<Lane>;
  /** Lanes whose piece is being sent, or is about to be: each holds one of the account's places in flight. */
  readonly inFlight: Set<Lane>;
  /** Lanes that wait for a place or for the account's pace, longest first. */
  readonly ready: Set<Lane>;
  readonly counts: Record<ActiveStatus, number>;
  /** Not ended, with those whose first commit is under way. */
  active: number;
  textChars: number;
  lastDeliveredAtMs: number;
  /** Ids of all that are kept. */
  readonly deadLetters: Set<string>;
  /** Ended ones, oldest first. */
  readonly recentDelivered: DeliveryView[];
  readonly recentDead: DeliveryView[];
}

export interface Times {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export interface AccountDefaults {
  readonly onUnknown: UnknownPolicy;
  readonly maxAgeMs: number;
  isConfigured(connectorId: string): boolean;
  parkedMaxAgeMs(connectorId: string): number;
}

/** How many ended deliveries of an account, of each kind, are kept for `recent`. */
const RECENT = 200;

export class Book {
  readonly entries = new Map<string, Entry>();
  readonly accounts = new Map<string, Account>();
  readonly #lanes = new Map<string, Lane>();
  readonly #defaults: AccountDefaults;

  constructor(defaults: AccountDefaults) {
    this.#defaults = defaults;
  }

  account(id: string): Account {
    let account = this.accounts.get(id);
    if (account === undefined) {
      account = createAccount(id, this.#defaults);
      this.accounts.set(id, account);
    }
    return account;
  }

  lane(connectorId: string, conversationId: string, threadId: string): Lane {
    const key = laneKeyOf(connectorId, conversationId, threadId);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = createLane(key, this.account(connectorId));
      this.#lanes.set(key, lane);
      lane.account.lanes.add(lane);
    }
    return lane;
  }

  /** A committed delivery that the book does not have yet. */
  add(deliveryId: string, row: DeliveryRow, revision: number, now: Times): Entry {
    const lane = this.lane(row.connectorId, row.conversationId, row.threadId);
    const ageMs = Math.max(0, now.wallMs - Math.max(row.createdAtMs, row.replayedAtMs));
    const bornAtMs = now.monotonicMs - ageMs;
    const entry: Entry = { deliveryId, lane, row, revision, bornAtMs, dueAtMs: dueOf(row, now) };
    this.entries.set(deliveryId, entry);
    weigh(lane.account, row, 1);
    place(entry);
    return entry;
  }

  /** Keeps a place for a delivery whose first commit is under way: no later one of its lane may overtake it. */
  reserve(lane: Lane, row: DeliveryRow): void {
    lane.arriving.add(row.order);
    weigh(lane.account, row, 1);
  }

  release(lane: Lane, row: DeliveryRow): void {
    if (lane.arriving.delete(row.order)) weigh(lane.account, row, -1);
  }

  /** The delivery's row as it was committed; an ended one leaves the book. */
  step(entry: Entry, row: DeliveryRow, revision: number, now: Times): void {
    const wasHeld = entry.row.status === 'held';
    if (row.replayedAtMs !== entry.row.replayedAtMs) entry.bornAtMs = now.monotonicMs;
    count(entry, -1);
    entry.row = row;
    entry.revision = revision;
    entry.dueAtMs = dueOf(row, now);
    if (!isActive(row.status)) {
      this.#forget(entry);
      return;
    }

    count(entry, 1);
    if (wasHeld === (row.status === 'held')) return;
    displace(entry);
    count(entry, -1);
    place(entry);
  }

  /** The store does not have it any more. */
  remove(entry: Entry): void {
    count(entry, -1);
    this.#forget(entry);
  }

  /** Nothing is known of a lane without deliveries: it goes. */
  dropIdle(lane: Lane): boolean {
    const isIdle = lane.entries.length + lane.held.size + lane.arriving.size === 0;
    if (!isIdle || lane.isBusy) return false;
    lane.account.lanes.delete(lane);
    lane.account.ready.delete(lane);
    lane.account.inFlight.delete(lane);
    this.#lanes.delete(lane.key);
    return true;
  }

  /** Ended deliveries whose rows are gone for their age. */
  forgetEnded(table: string, deliveryIds: readonly string[]): void {
    const gone = new Set(deliveryIds);
    for (const { deadLetters, recentDead, recentDelivered } of this.accounts.values()) {
      forgetViews(table === DEAD_LETTERS ? recentDead : recentDelivered, gone);
      if (table !== DEAD_LETTERS || deadLetters.size === 0) continue;
      for (const deliveryId of deliveryIds) deadLetters.delete(deliveryId);
    }
  }

  #forget(entry: Entry): void {
    this.entries.delete(entry.deliveryId);
    weigh(entry.lane.account, entry.row, -1);
    displace(entry);
  }
}

/** Keeps the newest ended deliveries. */
export function remember(views: DeliveryView[], view: DeliveryView): void {
  views.push(view);
  if (views.length > RECENT) views.shift();
}

/** A dead letter has become a delivery again. */
export function forgetDead(account: Account, deliveryId: string): void {
  account.deadLetters.delete(deliveryId);
  forgetViews(account.recentDead, new Set([deliveryId]));
}

function forgetViews(views: DeliveryView[], gone: ReadonlySet<string>): void {
  const kept = views.filter(({ deliveryId }) => !gone.has(deliveryId));
  if (kept.length < views.length) views.splice(0, views.length, ...kept);
}

/** Whether an older delivery of this lane may still arrive: it goes first. */
export function isOvertaken(entry: Entry): boolean {
  for (const order of entry.lane.arriving) if (order < entry.row.order) return true;
  return false;
}

function place(entry: Entry): void {
  const { entries, held } = entry.lane;
  count(entry, 1);
  if (entry.row.status === 'held') {
    held.add(entry);
    return;
  }
  const first = entries[0];
  // What has begun goes on, even when a delivery that was held comes back before it.
  const begun = first !== undefined && first.row.status !== 'queued' ? 1 : 0;
  let at = entries.length;
  while (at > begun && (entries[at - 1]?.row.order ?? 0) > entry.row.order) at -= 1;
  entries.splice(at, 0, entry);
}

function displace(entry: Entry): void {
  const { entries, held } = entry.lane;
  held.delete(entry);
  const at = entries.indexOf(entry);
  if (at >= 0) entries.splice(at, 1);
}

function weigh(account: Account, row: DeliveryRow, by: 1 | -1): void {
  account.active += by;
  account.textChars += by * row.message.text.length;
}

function count(entry: Entry, by: 1 | -1): void {
  const { status } = entry.row;
  if (isActive(status)) entry.lane.account.counts[status] += by;
}

/** A durable timer waits for what is left, but never longer than it was set for: the wall clock may have jumped. */
function dueOf(row: DeliveryRow, now: Times): number {
  const leftMs = Math.max(0, row.nextAttemptAtMs - now.wallMs);
  return now.monotonicMs + Math.min(leftMs, row.delayMs);
}

function createAccount(id: string, defaults: AccountDefaults): Account {
  const account: Omit<Account, 'pace'> = {
    id,
    isConfigured: defaults.isConfigured(id),
    ref: undefined,
    incarnation: 0,
    epoch: 0,
    onUnknown: defaults.onUnknown,
    maxAgeMs: defaults.maxAgeMs,
    parkedMaxAgeMs: defaults.parkedMaxAgeMs(id),
    upSinceMs: undefined,
    isParked: false,
    parkReason: '',
    restUntilMs: 0,
    trial: new Trial(),
    lanes: new Set(),
    inFlight: new Set(),
    ready: new Set(),
    counts: Object.fromEntries(ACTIVE_STATUSES.map((status) => [status, 0])) as Account['counts'],
    active: 0,
    textChars: 0,
    lastDeliveredAtMs: 0,
    deadLetters: new Set(),
    recentDelivered: [],
    recentDead: [],
  };
  return Object.assign(account, { pace: new Pace(account as Account) });
}

function createLane(key: string, account: Account): Lane {
  return {
    key,
    account,
    entries: [],
    held: new Set(),
    arriving: new Set(),
    isBusy: false,
    pending: undefined,
    interventions: undefined,
    toldEpoch: 0,
    toldAtMs: 0,
    isResumed: false,
    notBeforeMs: 0,
  };
}
