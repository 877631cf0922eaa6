/** Big: 120 actors, each of which pings one of the others by chance and waits for its pong before the next ping. */
import {
  type ActorRef,
  child,
  type Deferred,
  defineActor,
  type Self,
} from '../../runtime/index.ts';
import { type FirstActor, MINUTE, type Program, runFrom, UNFORGIVING } from './program.ts';

export const PLAYERS = 120;

/** The next number of a chain that looks like chance and is the same in each run (Numerical Recipes' generator). */
export function following(seed: number): number {
  return (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
}

interface PlayerProtocol {
  /** Answers with its number when it knows the others. */
  meet(players: readonly ActorRef<PlayerProtocol>[]): number;
  /** Answers with the pongs that it got, after so many pings. */
  play(pings: number): number;
  ping(from: number): void;
  pong(from: number): void;
  /** Pings that it was sent. */
  served(nothing: null): number;
}

interface PlayerState {
  readonly number: number;
  players: readonly ActorRef<PlayerProtocol>[];
  seed: number;
  partner: number;
  left: number;
  pongs: number;
  served: number;
  over: Deferred<number> | undefined;
}

export const bigActor = defineActor<
  FirstActor,
  FirstActor,
  null,
  readonly ActorRef<PlayerProtocol>[],
  unknown
>({
  module: import.meta.url,
  export: 'bigActor',
  name: 'big',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => UNFORGIVING,
  async start(self) {
    const players = Array.from({ length: PLAYERS }, (_, i) =>
      self.spawn(child(playerActor, { id: `player-${i}`, args: i, placement: 'pool' })),
    );
    await Promise.all(players.map((player) => self.ask(player, 'meet', players, MINUTE)));
    return players;
  },
  receive: {
    async run(players, size, self) {
      const pongs = players.map((player) => self.ask(player, 'play', size, MINUTE));
      const got = sum(await Promise.all(pongs));
      const served = players.map((player) => self.ask(player, 'served', null, MINUTE));
      const given = sum(await Promise.all(served));
      if (got !== given) throw new Error(`${given} pings were answered by ${got} pongs`);
      return got;
    },
  },
});

export const playerActor = defineActor<
  PlayerProtocol,
  PlayerProtocol,
  number,
  PlayerState,
  unknown
>({
  module: import.meta.url,
  export: 'playerActor',
  name: 'player',
  mailbox: { limitMessages: 256, overflow: 'reject' },
  start: (_self, number) => ({
    number,
    players: [],
    seed: number,
    partner: 0,
    left: 0,
    pongs: 0,
    served: 0,
    over: undefined,
  }),
  receive: {
    meet(state, players) {
      state.players = players;
      return state.number;
    },
    play(state, pings, self) {
      state.left = pings;
      state.over = self.defer<number>();
      pingNext(state, self);
      return state.over.promise;
    },
    ping(state, from, self) {
      state.served += 1;
      const player = state.players[from];
      if (player !== undefined) self.tell(player, 'pong', state.number);
    },
    pong(state, from, self) {
      if (from !== state.partner) throw new Error(`a pong of ${from}, not of ${state.partner}`);
      state.pongs += 1;
      pingNext(state, self);
    },
    served: (state) => state.served,
  },
});

function pingNext(state: PlayerState, self: Self<PlayerProtocol>): void {
  if (state.left === 0) {
    state.over?.resolve(state.pongs);
    return;
  }
  state.left -= 1;
  state.seed = following(state.seed);
  state.partner = state.seed % PLAYERS;
  const player = state.players[state.partner];
  if (player !== undefined) self.tell(player, 'ping', state.number);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

/** `size` pings of each player; the answer is the pongs of all. */
export const big: Program = {
  name: bigActor.name,
  unit: 'messages/s',
  units: (size) => 2 * PLAYERS * size,
  answer: (size) => PLAYERS * size,
  run: (system, size) => runFrom(system, bigActor, size),
};
