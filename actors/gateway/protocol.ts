/** What others say to the root: what exists and how it is. No message of a channel passes through it. */
import type { OperationOwner } from '../../proto/control/owner.ts';

export interface GatewayProtocol extends OperationOwner {
  /** Runs the first phases of the shutdown order in ARCHITECTURE.md; the host stops the system after the answer. Twice is once. */
  drain(request: { readonly deadlineMs: number }): {
    readonly clean: boolean;
    readonly left: readonly string[];
  };
}
