/** What actors and the keeper of their state say to each other. A value crosses as bytes: the keeper looks into none. */
import { type ActorRef, type Durability, refTo } from '../actor.ts';
import type { Reminder } from './reminders.ts';

/** The keeper's name below the system's. */
export const KEEPER_ID = 'state~keeper';

/**
 * Where an incarnation stands among all that have lived at its path in this process, compared number by number: the uid and
 * the incarnation of the actor that main placed in its thread, then its own. Each grows with time.
 */
export type Stamp = readonly [
  placedUid: number,
  placedIncarnation: number,
  uid: number,
  incarnation: number,
];

/** Who asks: whoever comes after another one at its path shuts that one out. */
export interface Place {
  readonly path: string;
  readonly stamp: Stamp;
}

export interface SaveRequest extends Place {
  readonly durability: Durability;
  /** Of the value's shape. */
  readonly version: number;
  /** null: there is to be no value. */
  readonly bytes: Uint8Array | null;
}

export interface RemindRequest extends Place {
  readonly name: string;
  readonly reminder: Reminder;
}

export interface CancelRequest extends Place {
  readonly name: string;
}

/** '' where it was done; `stale_incarnation`, `state_full`, `reminders_full`, or the code with which the store failed. */
export type Refusal = string;

export interface Loaded {
  readonly refusal: Refusal;
  readonly version: number;
  /** null: there is no value. */
  readonly bytes: Uint8Array | null;
}

/** One that is kept, without its payload. */
export interface KeptReminder {
  /** Of its actor, as `inspect` has it. */
  readonly path: string;
  readonly name: string;
  readonly kind: string;
  /** Of the wall clock. */
  readonly dueAtMs: number;
  /** 0: once. */
  readonly everyMs: number;
  /** Deliveries in vain since it was set or last confirmed, in this process. */
  readonly attempts: number;
}

export interface ReminderQuery {
  /** '' for the first page, then `next` of the page before. */
  readonly after: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface ReminderPage {
  /** '', `bad_option`, or the code with which the store failed. */
  readonly refusal: Refusal;
  /** How many the keeper has in memory: those whose setting is not flushed too, and none whose removal is under way. */
  readonly total: number;
  /** By path and name. */
  readonly reminders: readonly KeptReminder[];
  /** '' at the end. */
  readonly next: string;
}

/** What a host asks of the reminders that its system keeps; `remindersIn` has the ref. */
export interface RemindersProtocol {
  /** Those whose setting is flushed. */
  listReminders(query: ReminderQuery): ReminderPage;
  /**
   * Removes all reminders of the actor at `path`, whether it runs or never starts again: one that is in its mailbox already is
   * handled. Answered when it is flushed, an earlier removal too: '', `state_full`, or the code with which the store failed.
   */
  forgetReminders(path: string): Refusal;
}

/** The reminders of the system of this name; where it has no `store` an ask is `actor_dead`. */
export function remindersIn(system: string): ActorRef<RemindersProtocol> {
  // Frozen, it remembers nobody: one that is kept would keep the keeper's store, and its system.
  return Object.freeze(refTo<RemindersProtocol>(system, KEEPER_ID));
}

export interface KeeperProtocol extends RemindersProtocol {
  load(place: Place): Loaded;
  /** Answered when the value is as durable as it is to be. */
  save(request: SaveRequest): Refusal;
  /** Answered when it is flushed. */
  remind(request: RemindRequest): Refusal;
  /** Answered when it is flushed. */
  cancel(request: CancelRequest): Refusal;
  /** An incarnation runs that may have reminders. */
  awake(place: Place): void;
}
