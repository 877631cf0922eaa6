/** Runs one actor's table under a scheduler of the test's choice: what it sends and what reaches it are queues, time stands still until moved. */
import type { ActorDefinition, ActorRef, Kind, Self } from '../../../../runtime/actor.ts';
import { createDeferred } from '../../../../runtime/deferred.ts';
import { AskError } from '../../../../runtime/errors.ts';

export interface Sent {
  readonly to: string;
  readonly kind: string;
  readonly payload: unknown;
}

export interface Asked extends Sent {
  answer(value: unknown): void;
  /** The ask ends without a reply. */
  fail(): void;
}

interface Arrived {
  readonly kind: string;
  readonly payload: unknown;
  readonly reply?: { resolve(value: unknown): void; reject(error: Error): void };
}

export interface World {
  wallMs(): number;
  monotonicMs(): number;
  random(): number;
  /** What `tell` returns. */
  takes(sent: Sent): boolean;
  asked(ask: Asked): void;
}

// biome-ignore lint/suspicious/noExplicitAny: it drives definitions of every type
type AnyTable = ActorDefinition<any, any, any, any, any>;

/** One incarnation. After `kill` nothing reaches it and nothing it does is heard. */
export class ActorDriver {
  /** Addresses whose ends it is told of. */
  readonly watched = new Set<string>();
  readonly #definition: AnyTable;
  readonly #world: World;
  readonly #mail = new Map<string, Arrived[]>();
  readonly #timers = new Map<string, { atMs: number; kind: string; payload: unknown }>();
  readonly #self: Self<never>;
  #state: unknown;
  #isOver = false;

  constructor(definition: AnyTable, address: string, incarnation: number, world: World) {
    this.#definition = definition;
    this.#world = world;
    this.#self = this.#createSelf({ address }, incarnation);
  }

  async start(args: unknown): Promise<void> {
    this.#state = await this.#definition.start(this.#self as never, args, {});
  }

  kill(): void {
    this.#isOver = true;
    this.#mail.clear();
    this.#timers.clear();
  }

  /** Messages of one sender arrive in order; those of several, as the test likes. */
  mail(from: string, kind: string, payload: unknown): void {
    this.#push(from, { kind, payload });
  }

  ask(from: string, kind: string, payload: unknown): Promise<unknown> {
    const reply = createDeferred<unknown>();
    this.#push(from, { kind, payload, reply });
    return reply.promise;
  }

  down(down: unknown): void {
    if (!this.#isOver)
      void this.#definition.down?.(this.#state, down as never, this.#self as never);
  }

  /** Senders with something under way. */
  get senders(): readonly string[] {
    return [...this.#mail].filter(([, queue]) => queue.length > 0).map(([from]) => from);
  }

  /** Handles the oldest message of this sender. */
  receive(from: string): void {
    const arrived = this.#mail.get(from)?.shift();
    if (arrived === undefined || this.#isOver) return;
    const result: unknown = this.#definition.receive[arrived.kind as Kind<never>]?.(
      this.#state,
      arrived.payload as never,
      this.#self as never,
    );
    Promise.resolve(result).then(arrived.reply?.resolve, (error: Error) =>
      arrived.reply?.reject(error),
    );
  }

  get nextTimerAtMs(): number | undefined {
    const times = [...this.#timers.values()].map(({ atMs }) => atMs);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Timers whose time has come arrive as messages. */
  fireTimers(): void {
    for (const [name, { atMs, kind, payload }] of this.#timers) {
      if (atMs > this.#world.monotonicMs()) continue;
      this.#timers.delete(name);
      this.mail('timers', kind, payload);
    }
  }

  #push(from: string, arrived: Arrived): void {
    if (this.#isOver) {
      arrived.reply?.reject(new AskError('actor_crashed', 'outbox', arrived.kind));
      return;
    }
    const queue = this.#mail.get(from);
    if (queue === undefined) this.#mail.set(from, [arrived]);
    else queue.push(arrived);
  }

  #createSelf(ref: ActorRef<never>, incarnation: number): Self<never> {
    const world = this.#world;
    const self: Self<Record<string, (payload: never) => unknown>> = {
      ref,
      incarnation,
      clock: { wallMs: () => world.wallMs(), monotonicMs: () => world.monotonicMs() },
      random: () => world.random(),
      signal: new AbortController().signal,
      state: { load: async () => undefined, save: async () => undefined },
      trace: undefined,
      tell: (to, kind, payload) => !this.#isOver && world.takes({ to: to.address, kind, payload }),
      ask: (to, kind, payload) => {
        const reply = createDeferred<never>();
        world.asked({
          to: to.address,
          kind,
          payload,
          answer: (value) => reply.resolve(value as never),
          fail: () => reply.reject(new AskError('ask_timeout', to.address, kind)),
        });
        return reply.promise;
      },
      ready: async () => 1,
      request: (to, kind, payload, deadline, done, about) => {
        self.run(
          () => self.ask(to, kind, payload, deadline),
          done,
          (outcome) => ({ about, outcome }) as never,
        );
      },
      defer: <T>() => createDeferred<T>(),
      after: (name, delayMs, kind, payload) => {
        this.#timers.set(name, { atMs: world.monotonicMs() + delayMs, kind, payload });
      },
      cancel: (name) => void this.#timers.delete(name),
      remind: async () => undefined,
      cancelReminder: async () => undefined,
      run: (work, done, toPayload) => {
        work(new AbortController()).then(
          (value) => this.mail('self', done, toPayload({ ok: true, value })),
          (error: unknown) => this.mail('self', done, toPayload({ ok: false, error })),
        );
        return () => undefined;
      },
      watch: ({ address }) => void this.watched.add(address),
      unwatch: ({ address }) => void this.watched.delete(address),
      spawn: () => {
        throw new Error('this actor has no children');
      },
      stopChild: async () => undefined,
      children: () => [],
      stop: () => undefined,
    };
    return self as never;
  }
}
