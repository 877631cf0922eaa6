/** An actor that only supervises: no messages of its own, children as data, so it starts in any thread. */
import { type ActorDefinition, child, defineActor } from '../actor.ts';
import {
  type ChildSpec,
  checkSupervision,
  type Placement,
  type Supervision,
} from '../child-spec.ts';

/** The module of the runtime's own actors: every copy knows them by it, in a bundle too, where a file has no address of its own. */
export const OWN_MODULE = 'palyra:runtime';

/** Nobody talks to a supervisor. */
type SupervisorProtocol = Record<never, never>;

export const supervisorActor: ActorDefinition<
  SupervisorProtocol,
  SupervisorProtocol,
  SupervisionData,
  null,
  unknown
> = defineActor<SupervisorProtocol, SupervisorProtocol, SupervisionData, null, unknown>({
  module: OWN_MODULE,
  export: 'supervisorActor',
  name: 'supervisor',
  mailbox: { limitMessages: 1, overflow: 'reject' },
  start: () => null,
  supervise: (supervision) => supervision,
  receive: {},
});

/** How long a supervisor may take to stop: its children have their own deadlines within it. */
const SUPERVISOR_SHUTDOWN_TIMEOUT_MS = 30_000;

/** As data, so that it starts in any thread: code that decides stands in an actor's own `supervise`. */
export type SupervisionData = Omit<Supervision, 'decide'>;

/** A child spec for a supervisor over `supervision.children`. Throws `bad_child_spec`. */
export function supervisor(
  id: string,
  supervision: SupervisionData,
  placement: Placement = 'with-parent',
): ChildSpec<SupervisorProtocol, SupervisionData> {
  return child(supervisorActor, {
    id,
    args: checkSupervision(supervision),
    placement,
    shutdownTimeoutMs: SUPERVISOR_SHUTDOWN_TIMEOUT_MS,
  });
}
