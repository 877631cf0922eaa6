/** What a supervisor needs of its surroundings, wherever it runs. */
import type { ChildEnded, ExitCause } from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import type { Host } from '../host/host.ts';
import type { Inspection } from '../observe/inspection.ts';
import type { Child, ChildOwner } from './child.ts';

export interface ChildSetPorts {
  readonly host: Host;
  readonly address: string;
  place(spec: ChildSpec<unknown, unknown>, owner: ChildOwner): Child;
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
