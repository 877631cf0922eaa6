/** Finds actors by what they do instead of by where they are: services under keys, and who wants to know of them. */
import { type ActorRef, child, defineActor, type Self } from './actor.ts';
import type { ChildSpec } from './child-spec.ts';
import { pathOf } from './kernel/ref.ts';

/** A name for actors that speak `P`. Plain data. */
export interface ServiceKey<P> {
  readonly name: string;
  /** Phantom, never written. */
  readonly protocol?: P;
}

/** Who offers a service. Told of a change with the whole list, so one that is late is mended by the next. */
export interface Listing {
  readonly key: string;
  /** In the order in which they registered. */
  readonly refs: readonly ActorRef<unknown>[];
}

export interface Service {
  readonly key: ServiceKey<unknown>;
  readonly ref: ActorRef<unknown>;
}

/** What an actor that subscribes has to understand. */
export interface ListingReceiver {
  listing(listing: Listing): void;
}

export interface Subscription {
  readonly key: ServiceKey<unknown>;
  readonly subscriber: ActorRef<ListingReceiver>;
}

export interface ReceptionistProtocol {
  /**
   * Until the registered incarnation ends: the next one registers itself anew, in its `start`. Twice is once. False where
   * the receptionist is full.
   */
  register(service: Service): boolean;
  deregister(service: Service): void;
  find(key: ServiceKey<unknown>): Listing;
  /** The listing at once, and again at each change, until the subscriber ends. False where the receptionist is full. */
  subscribe(subscription: Subscription): boolean;
  unsubscribe(subscription: Subscription): void;
}

export interface ReceptionistLimits {
  /** Services and subscriptions, each. Default 10,000. */
  readonly limit?: number;
}

interface Own {
  $retry(nothing: null): void;
}

interface Desk {
  readonly refs: Map<string, ActorRef<unknown>>;
  readonly subscribers: Map<string, ActorRef<ListingReceiver>>;
  /** Subscribers whose mailbox refused the last listing. */
  readonly owed: Set<string>;
}

interface State {
  readonly limit: number;
  readonly desks: Map<string, Desk>;
  /** The keys at which somebody stands, by address: who is in here is watched, once. */
  readonly known: Map<string, Set<string>>;
  services: number;
  subscriptions: number;
}

const DEFAULT_LIMIT = 10_000;
/** A full mailbox is asked again after so long. */
const RETRY_MS = 50;

export const receptionistActor = defineActor<
  ReceptionistProtocol,
  Own,
  ReceptionistLimits,
  State,
  unknown
>({
  module: import.meta.url,
  export: 'receptionistActor',
  name: 'receptionist',
  mailbox: { limitMessages: 10_000, overflow: 'reject' },
  start: (_self, { limit = DEFAULT_LIMIT }) => ({
    limit,
    desks: new Map(),
    known: new Map(),
    services: 0,
    subscriptions: 0,
  }),
  receive: {
    register(state, { key, ref }, self) {
      const isNew = state.desks.get(key.name)?.refs.has(ref.address) !== true;
      if (isNew && state.services >= state.limit) return false;
      // Also again: from another thread its next incarnation may be here before the end of the last one.
      self.unwatch(ref);
      self.watch(ref);
      if (!isNew) return true;
      enter(state, key.name, ref.address).refs.set(ref.address, ref);
      state.services += 1;
      tellAll(state, key.name, self);
      return true;
    },
    deregister(state, { key, ref }, self) {
      removeService(state, key.name, ref.address, self);
      leave(state, key.name, ref, self);
    },
    find: (state, { name }) => listingOf(name, state.desks.get(name)),
    subscribe(state, { key, subscriber }, self) {
      const { address } = subscriber;
      if (state.desks.get(key.name)?.subscribers.has(address) !== true) {
        if (state.subscriptions >= state.limit) return false;
        if (!state.known.has(address)) self.watch(subscriber);
        enter(state, key.name, address).subscribers.set(address, subscriber);
        state.subscriptions += 1;
      }
      tellOne(state, key.name, subscriber, self);
      return true;
    },
    unsubscribe(state, { key, subscriber }, self) {
      removeSubscriber(state, key.name, subscriber.address);
      leave(state, key.name, subscriber, self);
    },
    $retry(state, _nothing, self) {
      for (const [name, { owed, subscribers }] of state.desks) {
        for (const address of [...owed]) {
          const subscriber = subscribers.get(address);
          if (subscriber !== undefined) tellOne(state, name, subscriber, self);
        }
      }
    },
  },
  down(state, { ref }, self) {
    // It may have come by its name.
    for (const address of [ref.address, pathOf(ref.address)]) {
      for (const name of state.known.get(address) ?? []) {
        removeSubscriber(state, name, address);
        removeService(state, name, address, self);
        leave(state, name, { address }, self);
      }
    }
  },
});

export function serviceKey<P>(name: string): ServiceKey<P> {
  return { name };
}

/** The refs of a listing, as the key says they are. */
export function servicesIn<P>(key: ServiceKey<P>, listing: Listing): readonly ActorRef<P>[] {
  return listing.key === key.name ? (listing.refs as readonly ActorRef<P>[]) : [];
}

/**
 * A child spec for a receptionist, on main so that no lost thread takes it along. What it knows ends with its own
 * incarnation; nothing that it is sent can crash it.
 */
export function receptionist(
  id = 'receptionist',
  limits: ReceptionistLimits = {},
): ChildSpec<ReceptionistProtocol, ReceptionistLimits> {
  return child(receptionistActor, { id, args: limits, placement: 'main' });
}

/** Its desk, where it is known from now on. */
function enter({ desks, known }: State, name: string, address: string): Desk {
  const names = known.get(address) ?? new Set();
  known.set(address, names.add(name));
  const desk = desks.get(name) ?? { refs: new Map(), subscribers: new Map(), owed: new Set() };
  desks.set(name, desk);
  return desk;
}

/** Forgets what nobody stands at: the key of an actor, the actor, the desk. */
function leave(
  { desks, known }: State,
  name: string,
  ref: ActorRef<unknown>,
  self: Self<ReceptionistProtocol & Own>,
): void {
  const { address } = ref;
  const desk = desks.get(name);
  if (desk?.refs.has(address) || desk?.subscribers.has(address)) return;
  if (desk?.refs.size === 0 && desk.subscribers.size === 0) desks.delete(name);
  const names = known.get(address);
  if (names?.delete(name) !== true || names.size > 0) return;
  known.delete(address);
  self.unwatch(ref);
}

function listingOf(key: string, desk: Desk | undefined): Listing {
  return { key, refs: [...(desk?.refs.values() ?? [])] };
}

function tellAll(state: State, name: string, self: Self<ReceptionistProtocol & Own>): void {
  for (const subscriber of state.desks.get(name)?.subscribers.values() ?? [])
    tellOne(state, name, subscriber, self);
}

function tellOne(
  { desks }: State,
  name: string,
  subscriber: ActorRef<ListingReceiver>,
  self: Self<ReceptionistProtocol & Own>,
): void {
  const desk = desks.get(name);
  if (self.tell(subscriber, 'listing', listingOf(name, desk))) {
    desk?.owed.delete(subscriber.address);
    return;
  }
  desk?.owed.add(subscriber.address);
  self.after('retry', RETRY_MS, '$retry', null);
}

function removeService(
  state: State,
  name: string,
  address: string,
  self: Self<ReceptionistProtocol & Own>,
): void {
  if (state.desks.get(name)?.refs.delete(address) !== true) return;
  state.services -= 1;
  tellAll(state, name, self);
}

function removeSubscriber(state: State, name: string, address: string): void {
  const desk = state.desks.get(name);
  if (desk?.subscribers.delete(address) !== true) return;
  desk.owed.delete(address);
  state.subscriptions -= 1;
}
