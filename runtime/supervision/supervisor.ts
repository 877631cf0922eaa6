/** An actor that only supervises: no messages of its own, children as data, so it starts in any thread. */
import { type ActorDefinition, child, defineActor } from '../actor.ts';
import type { ChildSpec, Placement, Supervision } from '../child-spec.ts';

/** Nobody talks to a supervisor. */
type SupervisorProtocol = Record<never, never>;

export const supervisorActor: ActorDefinition<
  SupervisorProtocol,
  SupervisorProtocol,
  Supervision,
  null,
  unknown
> = defineActor<SupervisorProtocol, SupervisorProtocol, Supervision, null, unknown>({
  module: import.meta.url,
  export: 'supervisorActor',
  name: 'supervisor',
  mailbox: { limitMessages: 1, overflow: 'reject' },
  start: () => null,
  supervise: (supervision) => supervision,
  receive: {},
});

/** How long a supervisor may take to stop: its children have their own deadlines within it. */
const SUPERVISOR_SHUTDOWN_TIMEOUT_MS = 30_000;

/** A child spec for a supervisor over `supervision.children`. */
export function supervisor(
  id: string,
  supervision: Supervision,
  placement: Placement = 'with-parent',
): ChildSpec<SupervisorProtocol, Supervision> {
  return child(supervisorActor, {
    id,
    args: supervision,
    placement,
    shutdownTimeoutMs: SUPERVISOR_SHUTDOWN_TIMEOUT_MS,
  });
}
