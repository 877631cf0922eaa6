/** The actor runtime: everything a host needs, by audience. It knows no messaging. */

// To write actors
export {
  type ActorDefinition,
  type ActorRef,
  type ActorState,
  type Asks,
  type ChildEnded,
  child,
  type Deadline,
  type Deferred,
  type Down,
  type Durability,
  defineActor,
  type ExitCause,
  type In,
  type Kind,
  type Mailbox,
  type Out,
  type ReminderTime,
  type Replied,
  refTo,
  type Self,
  type Settled,
  type StateShape,
  type WorkOptions,
} from './actor.ts';
export {
  type AutoShutdown,
  type Backoff,
  type ChildSpec,
  checkChildSpec,
  checkSupervision,
  type Placement,
  type Restart,
  type RestartLimit,
  type Strategy,
  type Supervision,
  type Verdict,
} from './child-spec.ts';
export type { Clock } from './clock.ts';
// To run them
export { createSystem } from './create-system.ts';
// Errors
export {
  type AskCode,
  AskError,
  type RuntimeCode,
  RuntimeError,
  StaleIncarnation,
} from './errors.ts';
export type { Tracing } from './observe/tracing.ts';
// To find actors by what they do
export {
  type Listing,
  type ListingReceiver,
  type ReceptionistLimits,
  type ReceptionistProtocol,
  receptionist,
  type Service,
  type ServiceKey,
  type Subscription,
  serviceKey,
  servicesIn,
} from './receptionist.ts';
export type { SchemaIssue, SchemaResult, StandardSchema } from './schema.ts';
// To look after what is kept
export {
  type KeptReminder,
  type ReminderPage,
  type ReminderQuery,
  type RemindersProtocol,
  remindersIn,
} from './state/protocol.ts';
export type { StopPhase, StopPhaseOptions } from './stop-phases.ts';
export { type SupervisionData, supervisor } from './supervision/supervisor.ts';
export type {
  ActorSnapshot,
  LoopDelay,
  StopOptions,
  System,
  SystemEvent,
  SystemOptions,
  SystemSnapshot,
  ThreadContext,
  ThreadGroup,
  ThreadOptions,
  ThreadSetup,
  ThreadSetupName,
  ThreadSnapshot,
  ThreadWorld,
} from './system.ts';
export type { CreateWorker } from './thread/node-threads.ts';
export { type Transferable, transfer } from './transfer.ts';
