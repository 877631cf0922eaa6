/**
 * Philosophers: twenty of them around a table, and an arbitrator who gives both forks or none; who gets none asks again at
 * once.
 */
import { type ActorRef, child, type Deferred, defineActor } from '../../runtime/index.ts';
import { type FirstActor, type Program, runFrom, UNFORGIVING } from './program.ts';

export const PHILOSOPHERS = 20;

interface ArbitratorProtocol extends FirstActor {
  hungry(philosopher: number): void;
  full(philosopher: number): void;
}

interface PhilosopherProtocol {
  sit(meals: number): void;
  eat(nothing: null): void;
  denied(nothing: null): void;
}

interface ArbitratorState {
  readonly philosophers: readonly ActorRef<PhilosopherProtocol>[];
  /** Fork `i` lies between philosophers `i - 1` and `i`. */
  readonly isTaken: boolean[];
  meals: number;
  end: number;
  over: Deferred<number> | undefined;
}

interface PhilosopherArgs {
  readonly number: number;
  readonly arbitrator: ActorRef<ArbitratorProtocol>;
}

interface PhilosopherState extends PhilosopherArgs {
  left: number;
}

export const arbitratorActor = defineActor<
  ArbitratorProtocol,
  ArbitratorProtocol,
  null,
  ArbitratorState,
  unknown
>({
  module: import.meta.url,
  export: 'arbitratorActor',
  name: 'philosophers',
  mailbox: { limitMessages: 64, overflow: 'reject' },
  supervise: () => UNFORGIVING,
  start: (self) => ({
    philosophers: Array.from({ length: PHILOSOPHERS }, (_, number) => {
      const args = { number, arbitrator: self.ref };
      const id = `philosopher-${number}`;
      return self.spawn(child(philosopherActor, { id, args, placement: 'pool' }));
    }),
    isTaken: Array.from({ length: PHILOSOPHERS }, () => false),
    meals: 0,
    end: 0,
    over: undefined,
  }),
  receive: {
    run(state, size, self) {
      state.end = size * PHILOSOPHERS;
      state.over = self.defer<number>();
      for (const philosopher of state.philosophers) self.tell(philosopher, 'sit', size);
      return state.over.promise;
    },
    hungry({ philosophers, isTaken }, left, self) {
      const philosopher = philosophers[left];
      if (philosopher === undefined) return;
      const right = (left + 1) % PHILOSOPHERS;
      if (isTaken[left] === true || isTaken[right] === true) {
        self.tell(philosopher, 'denied', null);
        return;
      }
      isTaken[left] = true;
      isTaken[right] = true;
      self.tell(philosopher, 'eat', null);
    },
    full(state, left) {
      const right = (left + 1) % PHILOSOPHERS;
      if (state.isTaken[left] !== true || state.isTaken[right] !== true)
        throw new Error(`philosopher ${left} had not both forks`);
      state.isTaken[left] = false;
      state.isTaken[right] = false;
      state.meals += 1;
      if (state.meals === state.end) state.over?.resolve(state.meals);
    },
  },
});

export const philosopherActor = defineActor<
  PhilosopherProtocol,
  PhilosopherProtocol,
  PhilosopherArgs,
  PhilosopherState,
  unknown
>({
  module: import.meta.url,
  export: 'philosopherActor',
  name: 'philosopher',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: (_self, { number, arbitrator }) => ({ number, arbitrator, left: 0 }),
  receive: {
    sit(state, meals, self) {
      state.left = meals;
      self.tell(state.arbitrator, 'hungry', state.number);
    },
    eat(state, _nothing, self) {
      state.left -= 1;
      self.tell(state.arbitrator, 'full', state.number);
      if (state.left > 0) self.tell(state.arbitrator, 'hungry', state.number);
    },
    denied({ number, arbitrator }, _nothing, self) {
      self.tell(arbitrator, 'hungry', number);
    },
  },
});

/** `size` meals of each philosopher; the answer is the meals of all. */
export const philosophers: Program = {
  name: arbitratorActor.name,
  unit: 'meals/s',
  units: (size) => PHILOSOPHERS * size,
  answer: (size) => PHILOSOPHERS * size,
  run: (system, size) => runFrom(system, arbitratorActor, size),
};
