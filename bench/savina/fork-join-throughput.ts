/** ForkJoin (throughput): one actor gives sixty others work in turn, as fast as their mailboxes take it. */
import { type ActorRef, child, defineActor } from '../../runtime/index.ts';
import { type FirstActor, MINUTE, type Program, runFrom, UNFORGIVING } from './program.ts';

export const WORKERS = 60;
/** So many for each worker, then a question to each: less than a mailbox holds, and all of them less than a link. */
const WINDOW_MESSAGES = 128;

interface WorkerProtocol {
  work(n: number): void;
  sum(nothing: null): number;
}

export const forkActor = defineActor<
  FirstActor,
  FirstActor,
  null,
  readonly ActorRef<WorkerProtocol>[],
  unknown
>({
  module: import.meta.url,
  export: 'forkActor',
  name: 'fork-join-throughput',
  mailbox: { limitMessages: 16, overflow: 'reject' },
  supervise: () => UNFORGIVING,
  start: (self) =>
    Array.from({ length: WORKERS }, (_, i) =>
      self.spawn(child(workerActor, { id: `worker-${i}`, args: null, placement: 'pool' })),
    ),
  receive: {
    async run(workers, size, self) {
      let total = 0;
      for (let sent = 0; sent < size; ) {
        const end = Math.min(size, sent + WINDOW_MESSAGES);
        for (; sent < end; sent += 1) {
          for (const worker of workers) self.tell(worker, 'work', sent);
        }
        const sums = await Promise.all(
          workers.map((worker) => self.ask(worker, 'sum', null, MINUTE)),
        );
        total = sums.reduce((all, sum) => all + sum, 0);
      }
      return total;
    },
  },
});

export const workerActor = defineActor<
  WorkerProtocol,
  WorkerProtocol,
  null,
  { sum: number },
  unknown
>({
  module: import.meta.url,
  export: 'workerActor',
  name: 'worker',
  mailbox: { limitMessages: 256, overflow: 'reject' },
  start: () => ({ sum: 0 }),
  receive: {
    work(state, n) {
      state.sum += n;
    },
    sum: (state) => state.sum,
  },
});

/** `size` messages for each worker, numbered from 0. */
export const forkJoinThroughput: Program = {
  name: forkActor.name,
  unit: 'messages/s',
  units: (size) => WORKERS * size,
  answer: (size) => (WORKERS * size * (size - 1)) / 2,
  run: (system, size) => runFrom(system, forkActor, size),
};
