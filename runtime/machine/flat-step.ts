/** The steps of flat machines, as most tables of rows are: XState's own, which also knows nesting, makes sets and copies that these need not. */
import type { AnyEventObject, AnyMachineSnapshot, AnyStateMachine, AnyStateNode } from 'xstate';
import { MachineError } from './machine-error.ts';

/** An action as a machine names it; a transition's are in the order of their run. */
type Action =
  | string
  | Assigner
  | { readonly type: string; readonly params?: unknown; readonly assignment?: undefined };

type Assigner = ((...args: never[]) => unknown) & {
  readonly type?: string;
  readonly resolve?: unknown;
  readonly assignment?: unknown;
};

export interface FlatStep {
  readonly value: string;
  readonly context: unknown;
  readonly actions: readonly { readonly type: string; readonly params: unknown }[];
  readonly changed: boolean;
  readonly done: boolean;
}

/** Of a snapshot at rest. Undefined: this one is for XState itself. */
export type FlatStepper = (
  before: AnyMachineSnapshot,
  event: AnyEventObject,
) => FlatStep | undefined;

/** Undefined where the machine nests, or does something on entry, on exit, or without an event. */
export function flatStepper(machine: AnyStateMachine): FlatStepper | undefined {
  const { root } = machine;
  const states = Object.values(root.states);
  const isFlat =
    root.type === 'compound' &&
    root.output === undefined &&
    [root, ...states].every(isSilent) &&
    states.every(({ type }) => type === 'atomic' || type === 'final');
  if (!isFlat) return undefined;
  return (before, event) => {
    // XState's own events mean more than their transitions do.
    if (before.status !== 'active' || event.type.startsWith('xstate.')) return undefined;
    const value = before.value as string;
    const here = root.states[value] as AnyStateNode;
    const [chosen] = machine.getTransitionData(before, event);
    if (chosen === undefined)
      return { value, context: before.context, actions: [], changed: false, done: false };
    const { target = [], actions } = chosen;
    const next = target.length === 0 ? here : target[0];
    if (target.length > 1 || next?.parent !== root) return undefined;
    const run = new ActionRun(machine, before.context, event);
    for (const action of actions as readonly Action[]) if (!run.perform(action)) return undefined;
    return {
      value: next.key,
      context: run.context,
      actions: run.actions,
      changed: next !== here || run.hasAssigned,
      done: next.type === 'final',
    };
  };
}

function isSilent({ entry, exit, always }: AnyStateNode): boolean {
  return entry.length === 0 && exit.length === 0 && (always ?? []).length === 0;
}

/** The actions of one transition: assigners change the context that the next one sees, the others are for the caller. */
class ActionRun {
  context: unknown;
  hasAssigned = false;
  readonly actions: { readonly type: string; readonly params: unknown }[] = [];
  readonly #machine: AnyStateMachine;
  readonly #event: AnyEventObject;

  constructor(machine: AnyStateMachine, context: unknown, event: AnyEventObject) {
    this.#machine = machine;
    this.context = context;
    this.#event = event;
  }

  /** False for one that only XState can: it raises or enqueues. */
  perform(action: Action): boolean {
    const name = typeof action === 'string' ? action : action.type;
    const known = this.#machine.implementations.actions[name ?? ''] as Assigner | undefined;
    const resolved = typeof action === 'function' ? action : known;
    const given = typeof action === 'object' ? action.params : undefined;
    const { context } = this;
    const params = typeof given === 'function' ? given({ context, event: this.#event }) : given;
    if (resolved === undefined || !('resolve' in resolved)) {
      const type = typeof action === 'function' ? action.name || '(anonymous)' : (name ?? '');
      this.actions.push({ type, params });
      return true;
    }
    if (resolved.type !== 'xstate.assign') return false;
    this.#assign(resolved.assignment, params);
    return true;
  }

  #assign(assignment: unknown, params: unknown): void {
    const args = { context: this.context, event: this.#event, spawn: () => this.#refuseSpawn() };
    const made = (given: unknown) => (typeof given === 'function' ? given(args, params) : given);
    const next: Record<string, unknown> = Object.assign({}, this.context);
    if (typeof assignment === 'function') Object.assign(next, made(assignment));
    else for (const [key, given] of Object.entries(assignment as object)) next[key] = made(given);
    this.context = next;
    this.hasAssigned = true;
  }

  #refuseSpawn(): never {
    throw new MachineError('bad_machine', this.#machine.id, 'an assigner spawned an actor');
  }
}
