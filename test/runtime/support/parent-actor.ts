/** A parent for the runtime's tests whose own hooks misbehave when told to. */
import { type ActorRef, defineActor } from '../../../runtime/actor.ts';
import type { ChildSpec, Strategy } from '../../../runtime/child-spec.ts';
import type { TraceProtocol } from './actors.ts';

export interface ParentProtocol {
  spawn(spec: ChildSpec<unknown, unknown>): string;
  stopChild(id: string): void;
  childIds(nothing: null): readonly string[];
  ping(nothing: null): number;
  crash(code: string): void;
  crashUnprintable(nothing: null): void;
  block(ms: number): void;
}

export interface ParentArgs {
  readonly trace: ActorRef<TraceProtocol>;
  readonly children?: readonly ChildSpec<unknown, unknown>[];
  readonly strategy?: Strategy;
  readonly startTimeoutMs?: number;
  readonly childEnded?: 'throws' | 'rejects' | 'is slow';
  readonly startAwaits?: boolean;
  /** How long the first start in this thread takes. */
  readonly firstStartMs?: number;
  readonly superviseThrows?: string;
  readonly spawnInStop?: ChildSpec<unknown, unknown>;
}

/** Who had its slow start already. */
const slowStarters = new Set<string>();

export const parentActor = defineActor<
  ParentProtocol,
  ParentProtocol,
  ParentArgs,
  ParentArgs,
  unknown
>({
  module: import.meta.url,
  export: 'parentActor',
  name: 'parent',
  mailbox: { limitMessages: 100, overflow: 'reject' },
  start(self, args) {
    const path = self.ref.address.replace(/#.*/, '');
    const { firstStartMs, startAwaits } = args;
    if (firstStartMs !== undefined && !slowStarters.has(path)) {
      slowStarters.add(path);
      return new Promise((resolve) => setTimeout(() => resolve(args), firstStartMs));
    }
    return startAwaits === true ? Promise.resolve(args) : args;
  },
  supervise({ strategy, children, superviseThrows, startTimeoutMs }) {
    if (superviseThrows !== undefined)
      throw Object.assign(new Error('told to'), { code: superviseThrows });
    return {
      strategy: strategy ?? 'one_for_one',
      intensity: 20,
      periodMs: 10_000,
      backoff: { minMs: 20, maxMs: 20, jitter: 0 },
      children: children ?? [],
      ...(startTimeoutMs === undefined ? {} : { startTimeoutMs }),
    };
  },
  receive: {
    spawn: (_state, spec, self) => self.spawn(spec).address,
    stopChild(_state, id, self) {
      void self.stopChild(id);
    },
    childIds: (_state, _nothing, self) => self.children().map(({ id }) => id),
    ping: (_state, _nothing, self) => self.incarnation,
    crash(_state, code) {
      throw Object.assign(new Error(code), { code });
    },
    crashUnprintable() {
      throw Object.create(null);
    },
    block(_state, ms) {
      const endMs = performance.now() + ms;
      while (performance.now() < endMs) Math.sqrt(2);
    },
  },
  childEnded({ childEnded }, { id }) {
    const failure = Object.assign(new Error('told to'), { code: 'bad_hook' });
    if (childEnded === 'throws') throw failure;
    if (childEnded === 'rejects') return Promise.reject(failure);
    if (childEnded === 'is slow' && id === 'a')
      return new Promise((resolve) => setTimeout(resolve, 150));
    return undefined;
  },
  stop({ spawnInStop, trace }, self) {
    if (spawnInStop === undefined) return;
    try {
      self.spawn(spawnInStop);
    } catch (error) {
      self.tell(trace, 'note', `refused ${(error as { code?: string }).code}`);
    }
  },
});
