/** Who wants to know when an incarnation ends; each is told once. */
import type { ActorRef, Down, ExitCause } from '../actor.ts';

export interface Watcher {
  readonly id: number | string;
  notify(down: Down): void;
}

export interface Watched {
  readonly ref: ActorRef<unknown>;
  readonly incarnation: number;
}

export class Watchers {
  #list: Watcher[] | undefined = undefined;

  add(watcher: Watcher): void {
    this.#list ??= [];
    this.#list.push(watcher);
  }

  remove(id: number | string): void {
    this.#list = this.#list?.filter((watcher) => watcher.id !== id);
  }

  tell({ ref, incarnation }: Watched, cause: ExitCause): void {
    const list = this.#list;
    this.#list = undefined;
    for (const watcher of list ?? []) watcher.notify({ ref, incarnation, cause });
  }
}

export function noSuchActor(ref: ActorRef<unknown>): Down {
  return { ref, incarnation: 0, cause: { kind: 'unreachable', code: 'no_such_actor' } };
}
