/** Runs one actor's table by hand, synchronously: every effect is recorded, nothing is sent. For unit tests. */
import type {
  ActorDefinition,
  ActorRef,
  Deferred,
  Down,
  Durability,
  Kind,
  ReminderTime,
  Self,
  Settled,
  WorkOptions,
} from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import { createDeferred } from '../deferred.ts';
import { codeOf } from '../errors.ts';

export type Effect =
  | {
      readonly type: 'tell' | 'ask';
      readonly to: string;
      readonly kind: string;
      readonly payload: unknown;
    }
  | {
      readonly type: 'after';
      readonly name: string;
      readonly delayMs: number;
      readonly kind: string;
      readonly payload: unknown;
    }
  | { readonly type: 'cancel' | 'cancelReminder'; readonly name: string }
  | {
      readonly type: 'remind';
      readonly name: string;
      readonly when: ReminderTime;
      readonly kind: string;
      readonly payload: unknown;
    }
  | { readonly type: 'run'; readonly done: string }
  | { readonly type: 'ready' | 'watch' | 'unwatch' | 'stopChild'; readonly to: string }
  | { readonly type: 'spawn'; readonly spec: ChildSpec<unknown, unknown> }
  | { readonly type: 'save'; readonly value: unknown; readonly durability: Durability }
  | { readonly type: 'stop' };

export interface BehaviorKitOptions {
  readonly address?: string;
  readonly wallMs?: number;
  readonly incarnation?: number;
  /** What `state.load` gives until something is saved, in the definition's present shape. */
  readonly saved?: unknown;
  /** Answers asks; throw to fail one. Default: every ask rejects. */
  answer?(to: string, kind: string, payload: unknown): unknown;
  /** What `tell` returns. Default true. */
  takes?(to: string, kind: string): boolean;
}

export interface BehaviorKit<P, S> {
  readonly self: Self<P>;
  readonly state: S;
  readonly effects: Effect[];
  /** Calls the handler and gives back what it returned; a deferred answer is its promise. */
  receive(kind: Kind<P>, payload: unknown): unknown;
  /** Waits for the running `self.run` work and feeds each outcome to its handler, until none is left. */
  settle(): Promise<void>;
  /** Moves both clocks; fires due `after` timers and reminders in order. */
  advance(ms: number): Promise<void>;
  down(down: Down): void | Promise<void>;
  /** The effects so far, which are forgotten. */
  take(): Effect[];
}

interface Planned {
  readonly atMs: number;
  readonly kind: string;
  readonly payload: unknown;
  readonly everyMs?: number | undefined;
}

export async function createBehaviorKit<P, Own, A, S, D>(
  definition: ActorDefinition<P, Own, A, S, D>,
  args: A,
  deps: D,
  options: BehaviorKitOptions = {},
): Promise<BehaviorKit<P & Own, S>> {
  const effects: Effect[] = [];
  const running: Promise<void>[] = [];
  /** Reminders too, with a `#` before their names. */
  const timers = new Map<string, Planned>();
  const kids = new Map<string, ActorRef<unknown>>();
  const abort = new AbortController();
  let wallMs = options.wallMs ?? 1_800_000_000_000;
  let monotonicMs = 1_000;
  let saved = options.saved;
  const record = (effect: Effect) => {
    effects.push(effect);
  };
  const self: Self<P & Own> = {
    ref: { address: options.address ?? 'test/subject#1' },
    incarnation: options.incarnation ?? 1,
    clock: { wallMs: () => wallMs, monotonicMs: () => monotonicMs },
    random: () => 0.5,
    signal: abort.signal,
    state: {
      load: async () => structuredClone(saved) as never,
      async save(value, { durability }) {
        saved = structuredClone(value);
        record({ type: 'save', value: saved, durability });
      },
    },
    trace: undefined,
    tell(ref, kind, payload) {
      record({ type: 'tell', to: ref.address, kind, payload });
      return options.takes?.(ref.address, kind) ?? true;
    },
    async ask(ref, kind, payload) {
      record({ type: 'ask', to: ref.address, kind, payload });
      if (options.answer === undefined) throw new Error(`no answer scripted for ${kind}`);
      return (await options.answer(ref.address, kind, payload)) as never;
    },
    async ready(ref) {
      record({ type: 'ready', to: ref.address });
      return 1;
    },
    request(ref, kind, payload, deadline, done, about) {
      self.run(
        () => self.ask(ref, kind, payload, deadline),
        done,
        (outcome) => ({ about, outcome }) as never,
      );
    },
    defer: <T>(): Deferred<T> => createDeferred<T>(),
    after(name, delayMs, kind, payload) {
      timers.set(name, { atMs: monotonicMs + delayMs, kind, payload });
      record({ type: 'after', name, delayMs, kind, payload });
    },
    cancel(name) {
      timers.delete(name);
      record({ type: 'cancel', name });
    },
    async remind(name, when, kind, payload) {
      const delayMs = when.afterMs ?? when.atWallMs - wallMs;
      const { everyMs } = when;
      timers.set(`#${name}`, { atMs: monotonicMs + Math.max(0, delayMs), kind, payload, everyMs });
      record({ type: 'remind', name, when, kind, payload });
    },
    async cancelReminder(name) {
      timers.delete(`#${name}`);
      record({ type: 'cancelReminder', name });
    },
    run<T>(
      work: (options: WorkOptions) => Promise<T>,
      done: string,
      toPayload: (outcome: Settled<T>) => unknown,
    ) {
      record({ type: 'run', done });
      const own = new AbortController();
      const settled = work({ signal: AbortSignal.any([abort.signal, own.signal]) }).then(
        (value): Settled<T> => ({ ok: true, value }),
        (error: unknown): Settled<T> => ({ ok: false, error }),
      );
      running.push(settled.then(async (outcome) => void (await receive(done, toPayload(outcome)))));
      return () => own.abort();
    },
    watch: (ref) => record({ type: 'watch', to: ref.address }),
    unwatch: (ref) => record({ type: 'unwatch', to: ref.address }),
    spawn<Q, B>(spec: ChildSpec<Q, B>): ActorRef<Q> {
      record({ type: 'spawn', spec: spec as ChildSpec<unknown, unknown> });
      const ref: ActorRef<Q> = { address: `${self.ref.address}/${spec.id}#1` };
      kids.set(spec.id, ref);
      return ref;
    },
    async stopChild(id) {
      record({ type: 'stopChild', to: id });
      kids.delete(id);
    },
    children: () => [...kids].map(([id, ref]) => ({ id, ref })),
    stop: () => record({ type: 'stop' }),
  };
  const state = await definition.start(self, args, deps);
  const receive = (kind: string, payload: unknown): unknown => {
    const handler = definition.receive[kind as Kind<P & Own>];
    if (handler === undefined) throw new Error(`no handler for ${kind}`);
    return handler(state, payload as never, self);
  };
  return {
    self,
    state,
    effects,
    receive,
    async settle() {
      while (running.length > 0) await Promise.all(running.splice(0));
    },
    async advance(ms) {
      const untilMs = monotonicMs + ms;
      for (;;) {
        const [name, next] = [...timers].sort(([, a], [, b]) => a.atMs - b.atMs)[0] ?? [];
        if (name === undefined || next === undefined || next.atMs > untilMs) break;
        timers.delete(name);
        const { everyMs } = next;
        if (everyMs !== undefined) timers.set(name, { ...next, atMs: next.atMs + everyMs });
        wallMs += next.atMs - monotonicMs;
        monotonicMs = next.atMs;
        await receive(next.kind, next.payload);
      }
      wallMs += untilMs - monotonicMs;
      monotonicMs = untilMs;
    },
    down: (down) => definition.down?.(state, down, self),
    take: () => effects.splice(0),
  };
}

/** The code of what `work` rejects with; fails when it does not reject. */
export async function rejectionCode(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return codeOf(error);
  }
  throw new Error('expected a rejection');
}
