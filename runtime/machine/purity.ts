/** Says whether a machine is a pure function of state and event. What only a running transition shows is the table's to refuse. */
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { MachineError } from './machine-error.ts';

// Everything else that XState brings sends, waits, logs or starts an actor.
const PURE_BUILTINS: readonly string[] = ['xstate.assign', 'xstate.raise', 'xstate.enqueueActions'];

export function isPureBuiltin(type: string): boolean {
  return PURE_BUILTINS.includes(type);
}

/** Throws `bad_machine` naming the state and what it may not have. */
export function checkPure(machine: AnyStateMachine): void {
  const refuse = (where: string, what: string): never => {
    throw new MachineError('bad_machine', machine.id, `${where}: ${what}`);
  };
  const { actors, delays, actions } = machine.implementations;
  if (Object.keys(actors).length > 0) refuse('setup', 'actors cannot run in a pure machine');
  if (Object.keys(delays).length > 0) refuse('setup', 'delays need a clock');
  for (const [name, action] of Object.entries(actions))
    checkAction(action, `action ${name}`, refuse);
  for (const node of nodesOf(machine.root)) checkNode(node, refuse);
}

type Refuse = (where: string, what: string) => never;

function checkNode(node: AnyStateNode, refuse: Refuse): void {
  const where = `state ${node.id}`;
  if (node.config.after !== undefined) refuse(where, '`after` needs a clock');
  if (node.config.invoke !== undefined) refuse(where, '`invoke` starts an actor');
  if (node.type === 'history') refuse(where, 'history is not kept in a row');
  const transitions = [...node.transitions.values()].flat().concat(node.always ?? []);
  const all = [node.entry, node.exit, ...transitions.map((transition) => transition.actions)];
  for (const action of all.flat()) checkAction(action, where, refuse);
}

/** An action is a name, an inline function, or one of XState's own: a function that carries its type. */
function checkAction(action: unknown, where: string, refuse: Refuse): void {
  if (typeof action !== 'function' && (typeof action !== 'object' || action === null)) return;
  const { type, delay } = action as { readonly type?: unknown; readonly delay?: unknown };
  if (typeof type !== 'string' || !type.startsWith('xstate.')) return;
  if (!isPureBuiltin(type)) refuse(where, `the action ${type} is not pure`);
  if (delay !== undefined) refuse(where, `the action ${type} has a delay`);
}

function nodesOf(node: AnyStateNode): AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(nodesOf)];
}
