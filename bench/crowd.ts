/** Many small actors of one thread, for the benches of fan-in, spawning, idling and Skynet. */
import {
  type ActorRef,
  type ChildSpec,
  child,
  type Deferred,
  defineActor,
  type Supervision,
} from '../runtime/index.ts';
import { type Parcel, type SinkProtocol, sinkActor } from './players.ts';

const PARCEL: Parcel = { id: 1, node: 'n', name: 'cpu', value: 0.5, at: 1, text: '' };

export interface SenderProtocol {
  send(count: number): void;
}

export const senderActor = defineActor<
  SenderProtocol,
  SenderProtocol,
  ActorRef<SinkProtocol>,
  ActorRef<SinkProtocol>,
  unknown
>({
  module: import.meta.url,
  export: 'senderActor',
  name: 'sender',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: (_self, sink) => sink,
  receive: {
    send(sink, count, self) {
      for (let i = 0; i < count; i += 1) self.tell(sink, 'take', PARCEL);
    },
  },
});

export interface CrowdProtocol {
  /** Each sender sends so many; answers with how many have arrived in all. */
  go(each: number): number;
}

interface CrowdState {
  readonly senders: readonly ActorRef<SenderProtocol>[];
  readonly sinks: readonly ActorRef<SinkProtocol>[];
  /** Per sink, since the start. */
  sent: number;
}

const PLENTY: Supervision = { strategy: 'one_for_one', intensity: 0, periodMs: 1 };

/** A thousand senders, twenty sinks. */
export const crowdActor = defineActor<CrowdProtocol, CrowdProtocol, null, CrowdState, unknown>({
  module: import.meta.url,
  export: 'crowdActor',
  name: 'crowd',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => PLENTY,
  start(self) {
    const sinks = Array.from({ length: 20 }, (_, i) =>
      self.spawn(child(sinkActor, { id: `sink-${i}`, args: null })),
    );
    const senders = Array.from({ length: 1_000 }, (_, i) =>
      self.spawn(child(senderActor, { id: `sender-${i}`, args: sinks[i % 20] as never })),
    );
    return { senders, sinks, sent: 0 };
  },
  receive: {
    async go(state, each, self) {
      state.sent += each * (state.senders.length / state.sinks.length);
      for (const sender of state.senders) self.tell(sender, 'send', each);
      await Promise.all(
        state.sinks.map((sink) => self.ask(sink, 'reached', state.sent, { inMs: 60_000 })),
      );
      return each * state.senders.length;
    },
  },
});

interface IdleProtocol {
  ping(nothing: null): number;
}

export const idleActor = defineActor<IdleProtocol, IdleProtocol, null, { n: number }, unknown>({
  module: import.meta.url,
  export: 'idleActor',
  name: 'idle',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: () => ({ n: 0 }),
  receive: { ping: (state) => state.n },
});

export interface NurseryProtocol {
  /** Starts so many children and keeps them. */
  spawn(count: number): number;
  /** Starts and stops so many, one by one. */
  spawnAndStop(count: number): number;
  /** Stops all. */
  clear(nothing: null): number;
}

interface NurseryState {
  next: number;
}

export const nurseryActor = defineActor<
  NurseryProtocol,
  NurseryProtocol,
  null,
  NurseryState,
  unknown
>({
  module: import.meta.url,
  export: 'nurseryActor',
  name: 'nursery',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => PLENTY,
  start: () => ({ next: 0 }),
  receive: {
    spawn(state, count, self) {
      for (let i = 0; i < count; i += 1) {
        state.next += 1;
        self.spawn(child(idleActor, { id: `i${state.next}`, args: null, restart: 'temporary' }));
      }
      return count;
    },
    async spawnAndStop(state, count, self) {
      const stops: Promise<void>[] = [];
      for (let i = 0; i < count; i += 1) {
        state.next += 1;
        const id = `i${state.next}`;
        self.spawn(child(idleActor, { id, args: null, restart: 'temporary' }));
        stops.push(self.stopChild(id));
      }
      await Promise.all(stops);
      return count;
    },
    async clear(_state, _nothing, self) {
      const all = self.children();
      await Promise.all(all.map(({ id }) => self.stopChild(id)));
      return all.length;
    },
  },
});

export interface SkynetProtocol {
  total(of: { readonly at: number; readonly sum: number }): void;
  grow(size: number): number;
}

interface SkynetArgs {
  readonly number: number;
  readonly size: number;
  readonly parent: ActorRef<SkynetProtocol> | undefined;
}

interface SkynetState {
  readonly args: SkynetArgs;
  left: number;
  sum: number;
  done: Deferred<number> | undefined;
}

/** Ten children each, until there are `size` leaves; each leaf tells its number, each node the sum of its children. */
export const skynetActor = defineActor<
  SkynetProtocol,
  SkynetProtocol,
  SkynetArgs,
  SkynetState,
  unknown
>({
  module: import.meta.url,
  export: 'skynetActor',
  name: 'skynet',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => PLENTY,
  start(self, args) {
    const state: SkynetState = { args, left: 10, sum: 0, done: undefined };
    const { number, size, parent } = args;
    if (parent === undefined) return state;
    if (size === 1) self.tell(parent, 'total', { at: number, sum: number });
    else branch(self.spawn.bind(self) as never, self.ref, number, size);
    return state;
  },
  receive: {
    grow(state, size, self) {
      state.left = 10;
      state.sum = 0;
      state.done = self.defer<number>();
      branch(self.spawn.bind(self) as never, self.ref, 0, size);
      return state.done.promise;
    },
    total(state, { sum }, self) {
      state.sum += sum;
      state.left -= 1;
      if (state.left > 0) return;
      const { parent, number } = state.args;
      if (parent !== undefined) self.tell(parent, 'total', { at: number, sum: state.sum });
      else state.done?.resolve(state.sum);
    },
  },
});

function branch(
  spawn: (spec: ChildSpec<SkynetProtocol, SkynetArgs>) => unknown,
  parent: ActorRef<SkynetProtocol>,
  number: number,
  size: number,
): void {
  const each = size / 10;
  for (let i = 0; i < 10; i += 1) {
    const args = { number: number + i * each, size: each, parent };
    spawn(child(skynetActor, { id: `${i}`, args, restart: 'temporary' }));
  }
}
