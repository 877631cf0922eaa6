/** The actor runtime: everything a host needs, by audience. It knows no messaging. */

// To write actors
export {
  type ActorDefinition,
  type ActorRef,
  type Asks,
  type ChildEnded,
  child,
  type Deadline,
  type Deferred,
  type Down,
  defineActor,
  type ExitCause,
  type In,
  type Kind,
  type Mailbox,
  type Out,
  type Replied,
  refTo,
  type Self,
  type Settled,
  type WorkOptions,
} from './actor.ts';
export {
  type Backoff,
  type ChildSpec,
  checkChildSpec,
  type Placement,
  type Restart,
  type Strategy,
  type Supervision,
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
export { supervisor } from './supervision/supervisor.ts';
export type {
  ActorSnapshot,
  System,
  SystemEvent,
  SystemOptions,
  SystemSnapshot,
  ThreadContext,
  ThreadGroup,
  ThreadOptions,
  ThreadSetup,
  ThreadSnapshot,
  ThreadWorld,
} from './system.ts';
