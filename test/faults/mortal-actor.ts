/** Actors for the suites that end threads: one that ends its thread when it is told to, and a store that answers late. */
import { workerData } from 'node:worker_threads';
import { type Deferred, defineActor, refTo, type Self } from '../../runtime/index.ts';
import type { Port } from '../../runtime/link/port.ts';

/** Ways in which code that runs on a thread ends it, or tries to. */
export const DEATHS = [
  'exit-0',
  'exit-1',
  'throw-outside',
  'reject',
  'loop',
  'heap',
  'buffers',
  'overflow',
  'overflow-outside',
  'closed-data',
  'closed-control',
  'closed-calls',
  'garbage',
  'no-clone',
] as const;
export type Death = (typeof DEATHS)[number];

export interface MortalProtocol {
  die(how: Death): void;
  /** Its `stop` dies so; `wait`: it only waits. */
  dieAtStop(how: Death | 'wait'): boolean;
  echo(value: unknown): unknown;
  incarnation(nothing: null): number;
  /** Computes for so long. */
  spin(ms: number): number;
  add(n: number): number;
  /** Waits for the store. */
  commit(nothing: null): string;
  giveFunction(nothing: null): unknown;
}

export interface MortalArgs {
  /** Of the starts after the first one. */
  readonly restartMs?: number;
}

interface MortalState {
  total: number;
  atStop: Death | 'wait' | undefined;
}

export const mortalActor = defineActor<
  MortalProtocol,
  MortalProtocol,
  MortalArgs,
  MortalState,
  unknown
>({
  module: import.meta.url,
  export: 'mortalActor',
  name: 'mortal',
  mailbox: { limitMessages: 10_000, overflow: 'reject' },
  async start(self, { restartMs = 0 }) {
    if (self.incarnation > 1) await new Promise((resolve) => setTimeout(resolve, restartMs));
    return { total: 0, atStop: undefined };
  },
  receive: {
    die(_state, how) {
      WAYS[how]();
    },
    dieAtStop(state, how) {
      state.atStop = how;
      return true;
    },
    echo: (_state, value) => value,
    incarnation: (_state, _nothing, self) => self.incarnation,
    spin(_state, ms) {
      const endMs = performance.now() + ms;
      while (performance.now() < endMs) Math.sqrt(2);
      return ms;
    },
    add(state, n) {
      state.total += n;
      return state.total;
    },
    commit: (_state, _nothing, self) => commit(self),
    giveFunction: () => () => 1,
  },
  async stop({ atStop }, self) {
    if (atStop === undefined) return;
    self.tell(refTo<StoreProtocol>('chaos', 'root/store'), 'stopping', null);
    if (atStop !== 'wait') WAYS[atStop]();
    // What ends the thread from outside, or in a later turn, has its time.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  },
});

function commit(self: Self<MortalProtocol>): Promise<string> {
  return self.ask(refTo<StoreProtocol>('chaos', 'root/store'), 'commit', null, { inMs: 60_000 });
}

const hoard: unknown[] = [];
const ports = workerData as { readonly [K in 'data' | 'control' | 'calls']: Port };

const WAYS: { readonly [How in Death]: () => void } = {
  'exit-0': () => process.exit(0),
  'exit-1': () => process.exit(1),
  'throw-outside': () => {
    setImmediate(() => {
      throw new Error('thrown outside of any actor');
    });
  },
  reject: () => {
    void Promise.reject(new Error('rejected, and nobody listens'));
  },
  loop: () => {
    for (;;) Math.sqrt(2);
  },
  heap: () => {
    for (;;) hoard.push(new Array(10_000).fill('x'));
  },
  buffers: () => {
    hoard.push(Buffer.alloc(96 * 1_048_576, 1));
  },
  overflow,
  'overflow-outside': () => {
    setImmediate(overflow);
  },
  'closed-data': () => ports.data.close(),
  'closed-control': () => ports.control.close(),
  'closed-calls': () => ports.calls.close(),
  // No MessagePack value begins with this byte.
  garbage: () => ports.data.postMessage('\xc1\xc1\xc1'),
  'no-clone': () => ports.data.postMessage(() => 1),
};

function overflow(): void {
  overflow();
  hoard.push(0);
}

export interface StoreProtocol {
  commit(nothing: null): string;
  stopping(nothing: null): void;
}

/** Stands on main, so that its arguments may be functions. */
export interface StoreArgs {
  /** A commit waits for its answer. */
  committing(answer: Deferred<string>): void;
  stopping(): void;
}

export const storeActor = defineActor<StoreProtocol, StoreProtocol, StoreArgs, StoreArgs, unknown>({
  module: import.meta.url,
  export: 'storeActor',
  name: 'store',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start: (_self, args) => args,
  receive: {
    commit(state, _nothing, self) {
      const answer = self.defer<string>();
      state.committing(answer);
      return answer.promise;
    },
    stopping: (state) => state.stopping(),
  },
});
