/** ForkJoin (create): actors that are started for one message each, tell its result and end. */
import {
  type ActorRef,
  child,
  type Deferred,
  defineActor,
  type Self,
} from '../../runtime/index.ts';
import { type FirstActor, type Program, runFrom, UNFORGIVING } from './program.ts';

/** So many at once: the mailbox that hears their results is bounded. */
export const ALIVE = 1_000;

interface ParentProtocol extends FirstActor {
  done(n: number): void;
}

interface TaskProtocol {
  work(n: number): void;
}

interface ParentState {
  size: number;
  started: number;
  done: number;
  sum: number;
  over: Deferred<number> | undefined;
}

export const parentActor = defineActor<ParentProtocol, ParentProtocol, null, ParentState, unknown>({
  module: import.meta.url,
  export: 'parentActor',
  name: 'fork-join-create',
  mailbox: { limitMessages: ALIVE, overflow: 'reject' },
  supervise: () => UNFORGIVING,
  start: () => ({ size: 0, started: 0, done: 0, sum: 0, over: undefined }),
  receive: {
    run(state, size, self) {
      state.size = size;
      state.over = self.defer<number>();
      startMore(state, self);
      return state.over.promise;
    },
    done(state, n, self) {
      state.sum += n;
      state.done += 1;
      if (state.done === state.size) state.over?.resolve(state.sum);
      else if (state.done === state.started) startMore(state, self);
    },
  },
});

function startMore(state: ParentState, self: Self<ParentProtocol>): void {
  const end = Math.min(state.size, state.started + ALIVE);
  for (; state.started < end; state.started += 1) {
    const id = `task-${state.started}`;
    const task = self.spawn(
      child(taskActor, { id, args: self.ref, restart: 'transient', placement: 'pool' }),
    );
    self.tell(task, 'work', state.started);
  }
}

export const taskActor = defineActor<
  TaskProtocol,
  TaskProtocol,
  ActorRef<ParentProtocol>,
  ActorRef<ParentProtocol>,
  unknown
>({
  module: import.meta.url,
  export: 'taskActor',
  name: 'task',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  start: (_self, parent) => parent,
  receive: {
    work(parent, n, self) {
      self.tell(parent, 'done', n);
      self.stop();
    },
  },
});

/** `size` actors, numbered from 0. */
export const forkJoinCreate: Program = {
  name: parentActor.name,
  unit: 'actors/s',
  units: (size) => size,
  answer: (size) => (size * (size - 1)) / 2,
  run: (system, size) => runFrom(system, parentActor, size),
};
