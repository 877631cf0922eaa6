/** What a supervisor needs of a child and of its surroundings, wherever either runs. */
import type { ActorRef, ChildEnded, ExitCause } from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import type { Host } from '../host/host.ts';
import type { Inspection } from '../observe/inspection.ts';

/** One child wherever it runs. Its life is told to the `ChildOwner`: `started` or `ended` after each `start`. */
export interface ChildHandle {
  readonly ref: ActorRef<unknown>;
  /** The same address, in an object that it does not keep. */
  newRef(): ActorRef<unknown>;
  start(incarnation: number): void;
  /** Stops in order, kills after the timeout; settles when the incarnation is over. Undefined: it is over already. */
  stop(timeoutMs: number): Promise<void> | undefined;
  kill(code: string): void;
  /** Not coming back: what waits in its mailbox becomes dead letters. */
  dispose(): void;
}

/** Hears of the one child that it was made for. */
export interface ChildOwner {
  started(incarnation: number): void;
  ended(incarnation: number, cause: ExitCause): void;
}

export interface ChildSetPorts {
  readonly host: Host;
  readonly address: string;
  place(spec: ChildSpec<unknown, unknown>, owner: ChildOwner): ChildHandle;
  /** The supervisor itself has to end with this cause. */
  escalate(cause: ExitCause): void;
  /** The supervisor itself has to end in order: what it was there for is done. */
  shutDown(): void;
  /** Awaited before a restart. */
  childEnded(ended: ChildEnded): void | Promise<void>;
  /** A child is over and not coming back. */
  removed(id: string, cause: ExitCause): void;
  readonly inspection: Inspection;
}
