/** What actors and the keeper of their state say to each other. A value crosses as bytes: the keeper looks into none. */
import type { Durability } from '../actor.ts';
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

export interface KeeperProtocol {
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
