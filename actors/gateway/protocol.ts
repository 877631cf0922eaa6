/** What others say to the root: what exists and how it is. No message of a channel passes through it. */
import type { OperationOwner } from '../../proto/control/owner.ts';

export interface GatewayProtocol extends OperationOwner {
  /** Runs the stop phases of the shutdown order in ARCHITECTURE.md and then ends; answered when the last phase is done. */
  drain(request: { readonly deadlineMs: number }): {
    readonly clean: boolean;
    readonly left: readonly string[];
  };
}
