/** PingPong: two actors, one message under way. */
import { type ActorRef, child, type Deferred, defineActor } from '../../runtime/index.ts';
import { type FirstActor, type Program, runFrom, UNFORGIVING } from './program.ts';

interface PingProtocol extends FirstActor {
  pong(n: number): void;
}

interface PongProtocol {
  ping(n: number): void;
}

interface PingState {
  readonly pong: ActorRef<PongProtocol>;
  left: number;
  pongs: number;
  over: Deferred<number> | undefined;
}

export const pingActor = defineActor<PingProtocol, PingProtocol, null, PingState, unknown>({
  module: import.meta.url,
  export: 'pingActor',
  name: 'ping-pong',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => UNFORGIVING,
  start: (self) => ({
    pong: self.spawn(child(pongActor, { id: 'pong', args: self.ref, placement: 'pool' })),
    left: 0,
    pongs: 0,
    over: undefined,
  }),
  receive: {
    run(state, size, self) {
      state.left = size;
      state.over = self.defer<number>();
      self.tell(state.pong, 'ping', size);
      return state.over.promise;
    },
    pong(state, n, self) {
      if (n !== state.left) throw new Error(`pong ${n} is none of ping ${state.left}`);
      state.pongs += 1;
      state.left -= 1;
      if (state.left > 0) self.tell(state.pong, 'ping', state.left);
      else state.over?.resolve(state.pongs);
    },
  },
});

export const pongActor = defineActor<
  PongProtocol,
  PongProtocol,
  ActorRef<PingProtocol>,
  ActorRef<PingProtocol>,
  unknown
>({
  module: import.meta.url,
  export: 'pongActor',
  name: 'pong',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: (_self, ping) => ping,
  receive: {
    ping(ping, n, self) {
      self.tell(ping, 'pong', n);
    },
  },
});

export const pingPong: Program = {
  name: pingActor.name,
  unit: 'messages/s',
  units: (size) => 2 * size,
  answer: (size) => size,
  run: (system, size) => runFrom(system, pingActor, size),
};
