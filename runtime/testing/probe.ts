/** An actor that a test holds in its hand: it takes what is sent to it, and the test says what it expected. */
import {
  type ActorRef,
  child,
  type Down,
  defineActor,
  type In,
  type Kind,
  type Self,
} from '../actor.ts';
import { createDeferred, type Deferral } from '../deferred.ts';
import { pathOf } from '../kernel/ref.ts';
import type { System } from '../system.ts';

/** What a probe was sent. */
export interface ProbeMessage<P> {
  readonly kind: Kind<P>;
  readonly payload: unknown;
}

export interface ProbeOptions<P> {
  /** The messages that it takes, by name: a type has no list of them. */
  readonly kinds: readonly Kind<P>[];
  /** Its name below the system. Default `probe`. */
  readonly id?: string;
  /** Its answer to an ask: a value, or a promise of one. Default undefined. What it throws crashes the probe. */
  answer?(message: ProbeMessage<P>): unknown;
}

/** A wait ends after so long, unless it is told otherwise. */
const WAIT_MS = 3_000;
const LIMIT_MESSAGES = 100_000;

/** What the waits of a probe send to it. */
interface Expiry {
  $expired(wait: number): void;
}

/** One look at what is there: true when the wait is over. What it throws is how the wait has failed. */
interface Wait {
  look(): boolean;
  expire(): void;
  fail(error: Error): void;
}

/** What has come in and what is waited for, between the actor and the test. */
class Desk<P> {
  readonly messages: ProbeMessage<P>[] = [];
  readonly downs: Down[] = [];
  #self: Self<Expiry> | undefined = undefined;
  #wait: Wait | undefined = undefined;
  #waits = 0;

  open(self: Self<Expiry>): void {
    this.#self = self;
  }

  /** Its actor's; there is one as soon as there is a probe. */
  get self(): Self<Expiry> {
    if (this.#self === undefined) throw new Error('the probe has not started');
    return this.#self;
  }

  begin(wait: Wait, withinMs: number): void {
    if (this.#wait !== undefined) {
      wait.fail(new Error('the probe waits for something else already'));
      return;
    }
    this.#waits += 1;
    this.#wait = wait;
    this.self.after('wait', withinMs, '$expired', this.#waits);
    this.look();
  }

  look(): void {
    const wait = this.#wait;
    if (wait === undefined) return;
    try {
      if (!wait.look()) return;
    } catch (error) {
      wait.fail(error as Error);
    }
    this.#wait = undefined;
    this.self.cancel('wait');
  }

  expired(wait: number): void {
    if (wait !== this.#waits) return;
    const late = this.#wait;
    this.#wait = undefined;
    late?.expire();
  }
}

/** It waits for one thing at a time, by the system's clock, a virtual one too. */
export class Probe<P> {
  readonly ref: ActorRef<P>;
  readonly #desk: Desk<P>;

  constructor(ref: ActorRef<P>, desk: Desk<P>) {
    this.ref = ref;
    this.#desk = desk;
  }

  /** The payload of the next message, which has to be a `kind`: another one, or none in time, is an error. */
  expect<K extends Kind<P>>(kind: K, withinMs: number = WAIT_MS): Promise<In<P, K>> {
    const { messages } = this.#desk;
    return this.#wait(`a '${kind}'`, withinMs, () => {
      const next = messages.shift();
      if (next === undefined) return undefined;
      if (next.kind !== kind) throw new Error(`expected a '${kind}', got ${shown(next)}`);
      return { found: next.payload as In<P, K> };
    });
  }

  /** The first message that `accepts`; those before it are thrown away. */
  fishFor(
    accepts: (message: ProbeMessage<P>) => boolean,
    withinMs: number = WAIT_MS,
  ): Promise<ProbeMessage<P>> {
    const { messages } = this.#desk;
    return this.#wait('a message to fish for', withinMs, () => {
      for (let next = messages.shift(); next !== undefined; next = messages.shift())
        if (accepts(next)) return { found: next };
      return undefined;
    });
  }

  /** Settles after `forMs`; a message until then, also one that is there already, is an error. */
  expectNothing(forMs: number): Promise<void> {
    const { messages } = this.#desk;
    const done = createDeferred<void>();
    const look = () => {
      const [next] = messages;
      if (next !== undefined) throw new Error(`expected nothing, got ${shown(next)}`);
      return false;
    };
    this.#desk.begin({ look, expire: () => done.resolve(), fail: done.reject }, forMs);
    return done.promise;
  }

  /** What comes of it is for `expectDown`. */
  watch(ref: ActorRef<unknown>): void {
    this.#desk.self.watch(ref);
  }

  /** The next `down` of `ref`, which may be a name; messages and the downs of others stay for later. */
  expectDown(ref: ActorRef<unknown>, withinMs: number = WAIT_MS): Promise<Down> {
    const { downs } = this.#desk;
    return this.#wait(`a down of ${ref.address}`, withinMs, () => {
      const { address } = ref;
      const isIt = ({ ref: { address: of } }: Down) => of === address || pathOf(of) === address;
      const at = downs.findIndex(isIt);
      const [found] = at === -1 ? [] : downs.splice(at, 1);
      return found && { found };
    });
  }

  /** The messages that nobody has expected yet. They are forgotten. */
  take(): readonly ProbeMessage<P>[] {
    return this.#desk.messages.splice(0);
  }

  #wait<T>(
    what: string,
    withinMs: number,
    find: () => { readonly found: T } | undefined,
  ): Promise<T> {
    const done: Deferral<T> = createDeferred<T>();
    const look = () => {
      const seen = find();
      if (seen !== undefined) done.resolve(seen.found);
      return seen !== undefined;
    };
    const expire = () => done.reject(new Error(`expected ${what}, none within ${withinMs} ms`));
    this.#desk.begin({ look, expire, fail: done.reject }, withinMs);
    return done.promise;
  }
}

/**
 * A probe on the system's main thread; it takes messages at once. Create it after the system's own root: the end of the
 * first root child is the end of the system. A system whose threads have a `resolve` of their own cannot find its code:
 * `unknown_module`.
 */
export async function createProbe<P>(
  system: System,
  { kinds, id = 'probe', answer }: ProbeOptions<P>,
): Promise<Probe<P>> {
  const desk = new Desk<P>();
  const take = (kind: Kind<P>) => (_state: null, payload: unknown) => {
    const message: ProbeMessage<P> = { kind, payload };
    desk.messages.push(message);
    desk.look();
    return answer?.(message);
  };
  const definition = defineActor<Expiry, Expiry, null, null, unknown>({
    module: import.meta.url,
    export: 'probe',
    name: 'probe',
    mailbox: { limitMessages: LIMIT_MESSAGES, overflow: 'reject' },
    start(self) {
      desk.open(self);
      return null;
    },
    receive: {
      ...Object.fromEntries(kinds.map((kind) => [kind, take(kind)])),
      $expired: (_state, wait) => desk.expired(wait),
    },
    down(_state, down) {
      desk.downs.push(down);
      desk.look();
    },
  });
  const ref = system.spawn(child(definition, { id, args: null, restart: 'temporary' }));
  await system.started(ref);
  return new Probe<P>(ref as unknown as ActorRef<P>, desk);
}

function shown({ kind, payload }: { readonly kind: string; readonly payload: unknown }): string {
  return `'${kind}' ${JSON.stringify(payload)}`;
}
