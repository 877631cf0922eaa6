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
