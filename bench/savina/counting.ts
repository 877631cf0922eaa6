/** Counting: one actor tells another one to count, as fast as its mailbox takes it. */
import { type ActorRef, child, defineActor } from '../../runtime/index.ts';
import { type FirstActor, MINUTE, type Program, runFrom, UNFORGIVING } from './program.ts';

/** So many tells, then one question that is answered behind them: the mailbox of the counter is never full. */
const WINDOW_MESSAGES = 1_000;

interface CounterProtocol {
  increment(nothing: null): void;
  count(nothing: null): number;
}

export const producerActor = defineActor<
  FirstActor,
  FirstActor,
  null,
  ActorRef<CounterProtocol>,
  unknown
>({
  module: import.meta.url,
  export: 'producerActor',
  name: 'counting',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => UNFORGIVING,
  start: (self) =>
    self.spawn(child(counterActor, { id: 'counter', args: null, placement: 'pool' })),
  receive: {
    async run(counter, size, self) {
      let counted = 0;
      for (let sent = 0; sent < size; ) {
        const end = Math.min(size, sent + WINDOW_MESSAGES);
        for (; sent < end; sent += 1) self.tell(counter, 'increment', null);
        counted = await self.ask(counter, 'count', null, MINUTE);
      }
      return counted;
    },
  },
});

export const counterActor = defineActor<
  CounterProtocol,
  CounterProtocol,
  null,
  { count: number },
  unknown
>({
  module: import.meta.url,
  export: 'counterActor',
  name: 'counter',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  start: () => ({ count: 0 }),
  receive: {
    increment(state) {
      state.count += 1;
    },
    count: (state) => state.count,
  },
});

export const counting: Program = {
  name: producerActor.name,
  unit: 'messages/s',
  units: (size) => size,
  answer: (size) => size,
  run: (system, size) => runFrom(system, producerActor, size),
};
