/**
 * BoundedBuffer: forty producers, forty consumers and a buffer of fifty places, which asks a producer for an item when it has
 * a place for it. The suite's loops that make each item dear are left out: they would measure `Math.log`.
 */
import {
  type ActorRef,
  child,
  type Deferred,
  defineActor,
  type Self,
} from '../../runtime/index.ts';
import { type FirstActor, type Program, runFrom, UNFORGIVING } from './program.ts';

export const PRODUCERS = 40;
export const CONSUMERS = 40;
export const PLACES = 50;

export interface Offer {
  readonly producer: number;
  readonly item: number;
}

export interface Consumed {
  readonly consumer: number;
  readonly item: number;
}

interface BufferProtocol extends FirstActor {
  offer(offer: Offer): void;
  /** This item is consumed, and the consumer free. */
  consumed(consumed: Consumed): void;
}

interface ProducerProtocol {
  /** Makes the item with this number. */
  produce(item: number): void;
}

interface ConsumerProtocol {
  consume(item: number): void;
}

interface BufferState {
  readonly producers: readonly ActorRef<ProducerProtocol>[];
  readonly consumers: readonly ActorRef<ConsumerProtocol>[];
  readonly waiting: number[];
  readonly freeProducers: number[];
  readonly freeConsumers: number[];
  /** Items that producers were asked for and that have not come. */
  asked: number;
  next: number;
  end: number;
  taken: number;
  sum: number;
  over: Deferred<number> | undefined;
}

interface PeerArgs {
  readonly number: number;
  readonly buffer: ActorRef<BufferProtocol>;
}

export const bufferActor = defineActor<BufferProtocol, BufferProtocol, null, BufferState, unknown>({
  module: import.meta.url,
  export: 'bufferActor',
  name: 'bounded-buffer',
  mailbox: { limitMessages: 256, overflow: 'reject' },
  supervise: () => UNFORGIVING,
  start: (self) => ({
    producers: Array.from({ length: PRODUCERS }, (_, number) => {
      const args = { number, buffer: self.ref };
      return self.spawn(
        child(producerActor, { id: `producer-${number}`, args, placement: 'pool' }),
      );
    }),
    consumers: Array.from({ length: CONSUMERS }, (_, number) => {
      const args = { number, buffer: self.ref };
      return self.spawn(
        child(consumerActor, { id: `consumer-${number}`, args, placement: 'pool' }),
      );
    }),
    waiting: [],
    freeProducers: Array.from({ length: PRODUCERS }, (_, number) => number),
    freeConsumers: Array.from({ length: CONSUMERS }, (_, number) => number),
    asked: 0,
    next: 0,
    end: 0,
    taken: 0,
    sum: 0,
    over: undefined,
  }),
  receive: {
    run(state, size, self) {
      state.end = size * PRODUCERS;
      state.over = self.defer<number>();
      move(state, self);
      return state.over.promise;
    },
    offer(state, { producer, item }, self) {
      state.asked -= 1;
      state.waiting.push(item);
      state.freeProducers.push(producer);
      if (state.waiting.length > PLACES) throw new Error('the buffer has run over');
      move(state, self);
    },
    consumed(state, { consumer, item }, self) {
      state.taken += 1;
      state.sum += item;
      state.freeConsumers.push(consumer);
      if (state.taken === state.end) state.over?.resolve(state.sum);
      else move(state, self);
    },
  },
});

/** What waits goes to whoever is free; then items are asked for, no more than there are places. */
function move(state: BufferState, self: Self<BufferProtocol>): void {
  const { waiting, freeConsumers, freeProducers } = state;
  while (waiting.length > 0 && freeConsumers.length > 0) {
    const consumer = state.consumers[freeConsumers.shift() ?? 0];
    if (consumer !== undefined) self.tell(consumer, 'consume', waiting.shift() ?? 0);
  }
  while (
    state.next < state.end &&
    waiting.length + state.asked < PLACES &&
    freeProducers.length > 0
  ) {
    const producer = state.producers[freeProducers.shift() ?? 0];
    if (producer !== undefined) self.tell(producer, 'produce', state.next);
    state.next += 1;
    state.asked += 1;
  }
}

export const producerActor = defineActor<
  ProducerProtocol,
  ProducerProtocol,
  PeerArgs,
  PeerArgs,
  unknown
>({
  module: import.meta.url,
  export: 'producerActor',
  name: 'producer',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: (_self, args) => args,
  receive: {
    produce({ number, buffer }, item, self) {
      self.tell(buffer, 'offer', { producer: number, item });
    },
  },
});

export const consumerActor = defineActor<
  ConsumerProtocol,
  ConsumerProtocol,
  PeerArgs,
  PeerArgs,
  unknown
>({
  module: import.meta.url,
  export: 'consumerActor',
  name: 'consumer',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: (_self, args) => args,
  receive: {
    consume({ number, buffer }, item, self) {
      self.tell(buffer, 'consumed', { consumer: number, item });
    },
  },
});

/** `size` items for each producer, numbered from 0 over all of them; the answer is the sum of what was consumed. */
export const boundedBuffer: Program = {
  name: bufferActor.name,
  unit: 'items/s',
  units: (size) => PRODUCERS * size,
  answer: (size) => (PRODUCERS * size * (PRODUCERS * size - 1)) / 2,
  run: (system, size) => runFrom(system, bufferActor, size),
};
