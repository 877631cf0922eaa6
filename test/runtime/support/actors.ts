/** Small actors for the runtime's tests; they misbehave when told to. */
import { threadId } from 'node:worker_threads';
import {
  type ActorRef,
  type Deferred,
  type Down,
  defineActor,
  type Replied,
} from '../../../runtime/actor.ts';

export interface CounterProtocol {
  add(n: number): void;
  total(nothing: null): number;
  where(nothing: null): { readonly thread: number; readonly incarnation: number };
  crash(reason: string): void;
  slow(ms: number): string;
  misbehave(how: 'exit' | 'loop' | 'oom' | 'throw-later'): void;
  /** Holds the thread. */
  block(ms: number): void;
  /** Keeps so many megabytes of buffers. */
  hoard(mb: number): void;
  relay(request: { readonly to: ActorRef<CounterProtocol>; readonly n: number }): number;
  echo(value: unknown): unknown;
  /** An answer that no thread could be given. */
  giveFunction(nothing: null): unknown;
}

interface CounterState {
  total: number;
  readonly hoard: Buffer[];
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
  start: (_self, { from }) => ({ total: from ?? 0, hoard: [] }),
  subject: (kind) => (kind === 'misbehave' || kind === 'block' ? `subject-of-${kind}` : ''),
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
    block(_state, ms) {
      const endMs = performance.now() + ms;
      while (performance.now() < endMs) Math.sqrt(2);
    },
    hoard(state, mb) {
      state.hoard.push(Buffer.alloc(mb * 1_048_576, 1));
    },
    relay: (_state, { to, n }, self) => {
      self.tell(to, 'add', n);
      return self.ask(to, 'total', null, { inMs: 5_000 });
    },
    echo: (_state, value) => value,
    giveFunction: () => () => 1,
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

export interface TraceProtocol {
  read(nothing: null): readonly string[];
  note(line: string): void;
}

/** Writes down what it hears, in order. */
export const traceActor = defineActor<TraceProtocol, TraceProtocol, null, string[], unknown>({
  module: import.meta.url,
  export: 'traceActor',
  name: 'trace',
  mailbox: { limitMessages: 10_000, overflow: 'reject' },
  start: () => [],
  receive: {
    read: (state) => [...state],
    note(state, line) {
      state.push(line);
    },
  },
});

export interface LifeProtocol {
  timer(ms: number): void;
  runs(how: 'resolve' | 'reject'): void;
  /** Requests the total of `of`; its trace hears what came back, and about what. */
  requests(request: { readonly of: ActorRef<CounterProtocol>; readonly inMs: number }): void;
  /** As `requests`, but it crashes before the answer is there. */
  requestsAndCrashes(of: ActorRef<CounterProtocol>): void;
  /** Waits for its own deferred answer before it gives it. */
  awaitsDeferred(nothing: null): string;
  /** All who ask meanwhile get one and the same answer. */
  together(nothing: null): string;
  /** Gives that answer, and crashes. */
  giveAndCrash(nothing: null): void;
  /** Ends in order, by itself. */
  leave(nothing: null): void;
  /** A request that ends before it has left. */
  requestsOf(request: { readonly of: ActorRef<LifeProtocol> }): void;
  deferAnswer(ms: number): string;
  crash(reason: string): void;
  crashLate(reason: string): void;
  /** Takes its thread with it. */
  exit(code: number): void;
  ping(nothing: null): number;
}

interface LifeOwn {
  told(reply: Replied<string, number>): void;
  fired(name: string): void;
  ran(outcome: string): void;
}

export interface LifeArgs {
  readonly name: string;
  readonly trace: ActorRef<TraceProtocol>;
  readonly failStart?: string;
  /** Its starts after the first one fail with this code. */
  readonly failAgain?: string;
  readonly stopMs?: number;
  readonly limit?: number;
}

/** Tells its trace of each step of its life. */
export const lifeActor = defineActor<LifeProtocol, LifeOwn, LifeArgs, LifeArgs, unknown>({
  module: import.meta.url,
  export: 'lifeActor',
  name: 'life',
  mailbox: { limitMessages: 4, overflow: 'reject' },
  start(self, args) {
    self.tell(args.trace, 'note', `start ${args.name}`);
    if (args.failStart !== undefined)
      throw Object.assign(new Error('told to'), { code: args.failStart });
    if (args.failAgain !== undefined && self.incarnation > 1)
      throw Object.assign(new Error('told to'), { code: args.failAgain });
    return args;
  },
  receive: {
    timer(_state, ms, self) {
      self.after('t', ms, 'fired', 't');
    },
    runs(_state, how, self) {
      self.run(
        () => (how === 'resolve' ? Promise.resolve('good') : Promise.reject(new Error('bad'))),
        'ran',
        (outcome) => (outcome.ok ? outcome.value : String(outcome.error)),
      );
    },
    requests(_state, { of, inMs }, self) {
      self.request(of, 'total', null, { inMs }, 'told', 'the total');
    },
    requestsAndCrashes(_state, of, self) {
      self.request(of, 'total', null, { inMs: 1_000 }, 'told', 'the total');
      throw Object.assign(new Error('told to'), { code: 'told_to' });
    },
    async awaitsDeferred(_state, _nothing, self) {
      const later = self.defer<string>();
      setTimeout(() => later.resolve('awaited'), 1);
      return `${await later.promise}, ${await later.promise}`;
    },
    together(_state, _nothing, self) {
      if (shared.answer === undefined) {
        const answer = self.defer<string>();
        shared.answer = answer;
        setTimeout(() => {
          shared.answer = undefined;
          answer.resolve('the same');
        }, 100);
      }
      return shared.answer.promise;
    },
    giveAndCrash() {
      shared.answer?.resolve('given');
      throw Object.assign(new Error('told to'), { code: 'told_to' });
    },
    leave: (_state, _nothing, self) => self.stop(),
    requestsOf(_state, { of }, self) {
      self.request(of, 'ping', null, { inMs: 500 }, 'told', 'the ping');
    },
    told(state, { about, outcome }, self) {
      const said = outcome.ok ? outcome.value : (outcome.error as { code: string }).code;
      self.tell(state.trace, 'note', `${about}: ${said}`);
    },
    deferAnswer(_state, ms, self) {
      const later = self.defer<string>();
      setTimeout(() => later.resolve('later'), ms);
      return later.promise;
    },
    crash(_state, reason) {
      throw Object.assign(new Error(reason), { code: reason });
    },
    async crashLate(state, reason, self) {
      await Promise.resolve();
      setTimeout(() => {
        try {
          self.tell(state.trace, 'note', `zombie ${state.name}`);
        } catch (error) {
          zombieErrors.push(String((error as { code?: string }).code));
        }
      }, 20);
      throw Object.assign(new Error(reason), { code: reason });
    },
    exit(_state, code) {
      process.exit(code);
    },
    ping: (_state, _nothing, self) => self.incarnation,
    fired(state, name, self) {
      self.tell(state.trace, 'note', `fired ${name} ${self.incarnation}`);
    },
    ran(state, outcome, self) {
      self.tell(state.trace, 'note', `ran ${outcome}`);
    },
  },
  async stop(state, self) {
    if (state.stopMs !== undefined)
      await new Promise((resolve) => setTimeout(resolve, state.stopMs));
    self.tell(state.trace, 'note', `stop ${state.name}`);
  },
});

/** What `together` answers with, while it has not. */
const shared: { answer: Deferred<string> | undefined } = { answer: undefined };

/** What zombies of this thread met. */
export const zombieErrors: string[] = [];

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
