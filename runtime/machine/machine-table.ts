/** XState machines as pure functions over plain data: a row's state and an event give the next state and its actions. It runs nothing. */
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type ContextFrom,
  createActor,
  type EventFromLogic,
  type ExecutableActionObject,
  type InputFrom,
  initialTransition,
  type MachineContext,
  type StateValue,
  type StateValueFrom,
} from 'xstate';
import { MachineError } from './machine-error.ts';
import { checkPure, isPureBuiltin } from './purity.ts';

/** What a row keeps of a machine: plain data, so that any codec can carry it. */
export interface MachineState<V, C> {
  readonly value: V;
  readonly context: C;
}

/** What a transition asks its caller to do; the adapter never does it. */
export interface MachineAction {
  readonly type: string;
  readonly params: unknown;
}

export interface MachineStep<V, C> extends MachineState<V, C> {
  readonly actions: readonly MachineAction[];
  /** False: no transition takes this event in this state, everything is as it was. */
  readonly changed: boolean;
  /** The machine has reached a final state of its root. */
  readonly done: boolean;
}

export interface MachineTable<M extends AnyStateMachine> {
  /** The first state. Throws `bad_machine_input` when the context factory throws. */
  initial(input?: InputFrom<M>): MachineStep<StateValueFrom<M>, ContextFrom<M>>;
  /** Throws `bad_machine_state` when `state.value` names no state of this machine; a guard's own error as it is. */
  next(
    state: MachineState<StateValueFrom<M>, ContextFrom<M>>,
    event: EventFromLogic<M>,
  ): MachineStep<StateValueFrom<M>, ContextFrom<M>>;
}

// `machine.transition` wants the scope of an actor. One inert scope serves all calls: nothing in a pure machine writes to it.
type Scope = Parameters<AnyStateMachine['transition']>[2];

/**
 * A machine as a table of pure transitions, several times cheaper than XState's `transition()`, with the same result.
 * Guards and assigners must be pure. Throws `bad_machine` for a machine that needs more than that: `after`, `invoke`,
 * history, spawned actors, or actions that send, log, emit or delay.
 */
export function createMachineTable<M extends AnyStateMachine>(machine: M): MachineTable<M> {
  checkPure(machine);
  let actions: MachineAction[] = [];
  const scope = inertScope(machine, (action) => {
    const pure = toAction(machine, action);
    if (pure !== undefined) actions.push(pure);
  });
  const rested = new Map<string, AnyMachineSnapshot>();

  const restore = (state: MachineState<StateValue, MachineContext>): AnyMachineSnapshot => {
    const key = typeof state.value === 'string' ? state.value : JSON.stringify(state.value);
    let template = rested.get(key);
    if (template === undefined) {
      template = resolve(machine, state.value);
      rested.set(key, template);
    }
    return { ...template, context: state.context };
  };

  return {
    initial(input) {
      const [snapshot, executable] = initialTransition(machine, input as never);
      const initial = snapshot as AnyMachineSnapshot;
      if (initial.status === 'error') {
        throw new MachineError('bad_machine_input', machine.id, 'its context cannot be made', {
          cause: initial.error,
        });
      }
      return toStep(
        initial,
        executable.flatMap((action) => toAction(machine, action) ?? []),
        true,
      );
    },
    next(state, event) {
      const before = restore(state as MachineState<StateValue, MachineContext>);
      actions = [];
      const after = machine.transition(before, event, scope) as AnyMachineSnapshot;
      if (Object.keys(after.children).length > 0) {
        throw new MachineError('bad_machine', machine.id, 'an assigner spawned an actor');
      }
      return toStep(after, actions, after !== before);
    },
  };
}

function toStep<M extends AnyStateMachine>(
  snapshot: AnyMachineSnapshot,
  actions: readonly MachineAction[],
  changed: boolean,
): MachineStep<StateValueFrom<M>, ContextFrom<M>> {
  return {
    value: snapshot.value as StateValueFrom<M>,
    context: snapshot.context as ContextFrom<M>,
    actions,
    changed,
    done: snapshot.status === 'done',
  };
}

function inertScope(
  machine: AnyStateMachine,
  take: (action: ExecutableActionObject) => void,
): Scope {
  const actor = createActor(machine);
  return {
    self: actor,
    system: actor.system,
    id: '',
    sessionId: '',
    logger: () => undefined,
    defer: () => undefined,
    emit: () => undefined,
    stopChild: () => undefined,
    actionExecutor: take,
  };
}

/** A raised event was taken within the same step, so it is nothing for the caller to do. */
function toAction(
  machine: AnyStateMachine,
  { type, params }: { readonly type: string; readonly params: unknown },
): MachineAction | undefined {
  if (!type.startsWith('xstate.')) return { type, params };
  const isDelayed = (params as { readonly delay?: unknown } | undefined)?.delay !== undefined;
  if (isPureBuiltin(type) && !isDelayed) return undefined;
  throw new MachineError('bad_machine', machine.id, `the action ${type} is not pure`);
}

function resolve(machine: AnyStateMachine, value: StateValue): AnyMachineSnapshot {
  try {
    return machine.resolveState({ value, context: {} });
  } catch (error) {
    throw new MachineError(
      'bad_machine_state',
      machine.id,
      `${JSON.stringify(value)} is none of its states`,
      { cause: error },
    );
  }
}
