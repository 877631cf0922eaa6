/** An answer that comes later: `self.defer()`. The mailbox goes on meanwhile; a promise is made only for who waits for one. */
import type { Deferred } from '../actor.ts';
import { createDeferred, type Deferral } from '../deferred.ts';
import type { AskEnvelope } from './asks.ts';
import type { Unanswered, UnansweredPlace } from './unanswered.ts';

export class DeferredAnswer<T> implements Deferred<T>, PromiseLike<T>, UnansweredPlace {
  ask: AskEnvelope | undefined = undefined;
  previous: UnansweredPlace | undefined = undefined;
  next: UnansweredPlace | undefined = undefined;
  #state: 'open' | 'resolved' | 'rejected' = 'open';
  #value: unknown = undefined;
  #unanswered: Unanswered | undefined = undefined;
  #waiting: Deferral<T> | undefined = undefined;
  /** For the askers after the first. */
  #others: DeferredAnswer<T>[] | undefined = undefined;

  /** Itself, what `receive` returns. */
  get promise(): PromiseLike<T> {
    return this;
  }

  /** Bound, and made when it is looked at: most answers are given in one way, where they were asked for. */
  get resolve(): (value: T) => void {
    return (value) => this.#settle('resolved', value);
  }

  get reject(): (error: Error) => void {
    return (error) => this.#settle('rejected', error);
  }

  /** `ask` gets the answer, at once where it is there already; until then it stands among the unanswered ones. */
  follow(ask: AskEnvelope, unanswered: Unanswered): void {
    if (this.ask !== undefined) {
      const another = new DeferredAnswer<T>();
      another.follow(ask, unanswered);
      this.#others ??= [];
      this.#others.push(another);
      return;
    }
    this.#unanswered = unanswered;
    unanswered.add(this, ask);
    this.#tell();
  }

  // biome-ignore lint/suspicious/noThenProperty: whoever awaits a deferred answer gets it
  then<A = T, B = never>(
    done?: ((value: T) => A | PromiseLike<A>) | null,
    failed?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#waiting ??= createDeferred<T>();
    const { promise } = this.#waiting;
    this.#tell();
    return promise.then(done, failed);
  }

  #settle(state: 'resolved' | 'rejected', value: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    this.#value = value;
    this.#tell();
  }

  #tell(): void {
    if (this.#state === 'open') return;
    const value = this.#value;
    const others = this.#others ?? [];
    this.#others = undefined;
    if (this.#state === 'resolved') {
      this.#unanswered?.answer(this, value);
      this.#waiting?.resolve(value as T);
      for (const other of others) other.resolve(value as T);
    } else {
      this.#unanswered?.refuse(this, value);
      this.#waiting?.reject(value as Error);
      for (const other of others) other.reject(value as Error);
    }
  }
}
