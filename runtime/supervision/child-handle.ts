/** What a supervisor needs of a child and of its surroundings, wherever either runs. */
import type { ActorRef, ChildEnded, ExitCause } from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import type { Host } from '../host/host.ts';
import type { SystemEvent } from '../system.ts';

/** One child wherever it runs. Its life is told to the `ChildOwner`: `started` or `ended` after each `start`. */
export interface ChildHandle {
  readonly ref: ActorRef<unknown>;
  start(incarnation: number): void;
  /** Stops in order, kills after the timeout; settles when the incarnation is over. */
  stop(timeoutMs: number): Promise<void>;
  kill(code: string): void;
  /** Not coming back: what waits in its mailbox becomes dead letters. */
  dispose(): void;
}

export interface ChildOwner {
  started(handle: ChildHandle, incarnation: number): void;
  ended(handle: ChildHandle, incarnation: number, cause: ExitCause): void;
}

export interface ChildSetPorts {
  readonly host: Host;
  readonly address: string;
  place(spec: ChildSpec<unknown, unknown>, owner: ChildOwner): ChildHandle;
  /** The supervisor itself has to end with this cause. */
  escalate(cause: ExitCause): void;
  /** Awaited before a restart. */
  childEnded(ended: ChildEnded): void | Promise<void>;
  /** A child is over and not coming back. */
  removed(id: string, cause: ExitCause): void;
  emit(event: SystemEvent): void;
}
