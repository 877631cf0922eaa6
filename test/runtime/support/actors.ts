/** Small actors for the runtime's tests; they misbehave when told to. */
import { threadId } from 'node:worker_threads';
import { type ActorRef, type Down, defineActor } from '../../../runtime/actor.ts';

export interface CounterProtocol {
  add(n: number): void;
  total(nothing: null): number;
  where(nothing: null): { readonly thread: number; readonly incarnation: number };
  crash(reason: string): void;
  slow(ms: number): string;
  misbehave(how: 'exit' | 'loop' | 'oom' | 'throw-later'): void;
  relay(request: { readonly to: ActorRef<CounterProtocol>; readonly n: number }): number;
  echo(value: unknown): unknown;
}

interface CounterState {
  total: number;
}

export const counterActor = defineActor<
  CounterProtocol,
  CounterProtocol,
  { readonly from?: number },
  CounterState,
  unknown
>({
  module: import.meta.url,
  export: 'counterActor',
  name: 'counter',
  mailbox: { limitMessages: 100_000, overflow: 'reject' },
  start: (_self, { from }) => ({ total: from ?? 0 }),
  subject: (kind) => (kind === 'misbehave' ? 'subject-of-misbehave' : ''),
  receive: {
    add(state, n) {
      state.total += n;
    },
    total: (state) => state.total,
    where: (_state, _nothing, self) => ({ thread: threadId, incarnation: self.incarnation }),
    crash(_state, reason) {
      throw Object.assign(new Error(reason), { code: 'told_to' });
    },
    slow: (_state, ms) => new Promise((resolve) => setTimeout(() => resolve('done'), ms)),
    misbehave(_state, how) {
      misbehave(how);
    },
    relay: (_state, { to, n }, self) => {
      self.tell(to, 'add', n);
      return self.ask(to, 'total', null, { inMs: 5_000 });
    },
    echo: (_state, value) => value,
  },
});

function misbehave(how: 'exit' | 'loop' | 'oom' | 'throw-later'): void {
  if (how === 'exit') process.exit(0);
  if (how === 'throw-later') {
    setImmediate(() => {
      throw new Error('thrown outside of any actor');
    });
    return;
  }
  const hoard: unknown[] = [];
  for (;;) {
    if (how === 'oom') hoard.push(new Array(10_000).fill('x'));
  }
}

export interface WatcherProtocol {
  watch(ref: ActorRef<CounterProtocol>): void;
  downs(nothing: null): readonly Down[];
}

export const watcherActor = defineActor<WatcherProtocol, WatcherProtocol, null, Down[], unknown>({
  module: import.meta.url,
  export: 'watcherActor',
  name: 'watcher',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start: () => [],
  receive: {
    watch(_state, ref, self) {
      self.watch(ref);
    },
    downs: (state) => state,
  },
  down(state, down) {
    state.push(down);
  },
});
