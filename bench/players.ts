/** The actors that the runtime's benches play with. */
import { type ActorRef, type Deferred, defineActor } from '../runtime/index.ts';

export interface PlayerProtocol {
  /** Plays `rounds` exchanges with the opponent; answers when they are done. */
  play(match: { readonly opponent: ActorRef<PlayerProtocol>; readonly rounds: number }): number;
  ball(ball: { readonly from: ActorRef<PlayerProtocol>; readonly left: number }): void;
}

interface PlayerState {
  done: Deferred<number> | undefined;
  rounds: number;
}

export const playerActor = defineActor<PlayerProtocol, PlayerProtocol, null, PlayerState, unknown>({
  module: import.meta.url,
  export: 'playerActor',
  name: 'player',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  start: () => ({ done: undefined, rounds: 0 }),
  receive: {
    play(state, { opponent, rounds }, self) {
      state.done = self.defer<number>();
      state.rounds = rounds;
      self.tell(opponent, 'ball', { from: self.ref, left: rounds * 2 - 1 });
      return state.done.promise;
    },
    ball(state, { from, left }, self) {
      if (left > 0) self.tell(from, 'ball', { from: self.ref, left: left - 1 });
      else state.done?.resolve(state.rounds * 2);
    },
  },
});

/** About 100 bytes as msgpack. */
export interface Parcel {
  readonly id: number;
  readonly node: string;
  readonly name: string;
  readonly value: number;
  readonly at: number;
  readonly text: string;
}

export interface SinkProtocol {
  take(parcel: Parcel): void;
  /** Answers when so many parcels have come in all. */
  reached(total: number): number;
}

interface SinkState {
  taken: number;
  goal: number;
  waiting: Deferred<number> | undefined;
}

export const sinkActor = defineActor<SinkProtocol, SinkProtocol, null, SinkState, unknown>({
  module: import.meta.url,
  export: 'sinkActor',
  name: 'sink',
  mailbox: { limitMessages: 65_536, overflow: 'reject' },
  start: () => ({ taken: 0, goal: Number.POSITIVE_INFINITY, waiting: undefined }),
  receive: {
    take(state) {
      state.taken += 1;
      if (state.taken === state.goal) state.waiting?.resolve(state.taken);
    },
    reached(state, total, self) {
      state.goal = total;
      state.waiting = self.defer<number>();
      if (state.taken >= total) state.waiting.resolve(state.taken);
      return state.waiting.promise;
    },
  },
});

export interface EchoProtocol {
  number(n: number): number;
  parcel(parcel: Parcel): Parcel;
}

/** Answers with what it gets. */
export const echoActor = defineActor<EchoProtocol, EchoProtocol, null, null, unknown>({
  module: import.meta.url,
  export: 'echoActor',
  name: 'echo',
  mailbox: { limitMessages: 65_536, overflow: 'reject' },
  start: () => null,
  receive: {
    number: (_state, n) => n,
    parcel: (_state, parcel) => parcel,
  },
});

export interface BusyProtocol {
  /** Computes so many microseconds. */
  work(us: number): void;
  /** Keeps itself as busy as it can, until told otherwise. */
  flood(us: number): void;
  calm(nothing: null): number;
}

interface BusyState {
  us: number;
  worked: number;
}

/** Takes five microseconds, or as many as it is told, for each message. */
export const busyActor = defineActor<BusyProtocol, BusyProtocol, null, BusyState, unknown>({
  module: import.meta.url,
  export: 'busyActor',
  name: 'busy',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  start: () => ({ us: 0, worked: 0 }),
  receive: {
    work(state, us) {
      spin(us);
      state.worked += 1;
    },
    flood(state, us, self) {
      if (state.us === 0) {
        state.us = us;
        for (let i = 0; i < 512; i += 1) self.tell(self.ref, 'flood', us);
      }
      spin(us);
      state.worked += 1;
      self.tell(self.ref, 'flood', us);
    },
    calm: (state) => state.worked,
  },
});

function spin(us: number): void {
  const endMs = performance.now() + us / 1_000;
  while (performance.now() < endMs) Math.sqrt(us);
}

export interface HoseProtocol {
  /** Tells `to` as fast as it takes, for ever. */
  open(to: { readonly ref: ActorRef<BusyProtocol>; readonly us: number }): void;
  sent(nothing: null): number;
}

interface HoseState {
  sent: number;
}

/** A sender that never waits longer than it has to. */
export const hoseActor = defineActor<HoseProtocol, HoseProtocol, null, HoseState, unknown>({
  module: import.meta.url,
  export: 'hoseActor',
  name: 'hose',
  mailbox: { limitMessages: 64, overflow: 'reject' },
  start: () => ({ sent: 0 }),
  receive: {
    open(state, to, self) {
      for (let i = 0; i < 256; i += 1) {
        if (!self.tell(to.ref, 'work', to.us)) break;
        state.sent += 1;
      }
      self.after('again', 0, 'open', to);
    },
    sent: (state) => state.sent,
  },
});

export interface VictimProtocol {
  incarnation(nothing: null): number;
  /** Takes its thread with it. */
  exit(nothing: null): void;
}

export const victimActor = defineActor<VictimProtocol, VictimProtocol, null, null, unknown>({
  module: import.meta.url,
  export: 'victimActor',
  name: 'victim',
  mailbox: { limitMessages: 64, overflow: 'reject' },
  start: () => null,
  receive: {
    incarnation: (_state, _nothing, self) => self.incarnation,
    exit() {
      process.exit(1);
    },
  },
});
