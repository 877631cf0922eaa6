/** The other threads, as a kernel sees them, and what it asks of them. */
import type { ActorRef, Deadline } from '../actor.ts';
import type { Cell } from './cell.ts';
import type { Watcher } from './watchers.ts';

export interface Remotes {
  /** False when the way is full or the thread is lost. */
  send(ref: ActorRef<unknown>, kind: string, payload: unknown, trace: string | undefined): boolean;
  /** `id` is that of the open ask, which hears how it ends. */
  ask(id: number, request: AskRequest): void;
  /** An actor has said for how many messages its mailbox has room. */
  hasRoom(address: string, messages: number): void;
  watch(address: string, watcher: Watcher): void;
  unwatch(address: string, id: number | string): void;
  /** End of a turn: what was sent leaves now. */
  flush(): void;
}

export interface AskRequest {
  readonly ref: ActorRef<unknown>;
  readonly kind: string;
  readonly payload: unknown;
  readonly deadline: Deadline;
  /** Paths of the actors that wait for the asker, and its own. */
  readonly chain: readonly string[];
  readonly trace: string | undefined;
  /** Undefined where the asker is no actor. */
  readonly from?: Cell | undefined;
}
