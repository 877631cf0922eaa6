/** Draws a machine as text for the documents: https://mermaid.js.org/syntax/stateDiagram.html */
import type { AnyStateMachine, AnyStateNode } from 'xstate';

/** A `stateDiagram-v2` with every state and transition; guards in brackets. The same machine gives the same text. */
export function toMermaid(machine: AnyStateMachine): string {
  return ['stateDiagram-v2', ...linesOf(machine.root, '  ')].join('\n');
}

function linesOf(node: AnyStateNode, indent: string): string[] {
  const lines: string[] = [];
  const initial = node.type === 'parallel' ? [] : (node.initial?.target ?? []);
  for (const target of initial) lines.push(`${indent}[*] --> ${nameOf(target)}`);
  const children = Object.values(node.states);
  children.forEach((child, i) => {
    if (node.type === 'parallel' && i > 0) lines.push(`${indent}--`);
    lines.push(...stateLines(child, indent));
  });
  return lines;
}

function stateLines(node: AnyStateNode, indent: string): string[] {
  const lines = [`${indent}state "${node.key}" as ${nameOf(node)}`];
  if (Object.keys(node.states).length > 0) {
    lines.push(`${indent}state ${nameOf(node)} {`, ...linesOf(node, `${indent}  `), `${indent}}`);
  }
  const transitions = [...node.transitions.values()].flat().concat(node.always ?? []);
  for (const { eventType, guard, target } of transitions) {
    const label = `${eventType === '' ? 'always' : eventType}${guardOf(guard)}`;
    for (const to of target ?? [node])
      lines.push(`${indent}${nameOf(node)} --> ${nameOf(to)}: ${label}`);
  }
  if (node.type === 'final') lines.push(`${indent}${nameOf(node)} --> [*]`);
  return lines;
}

/** Mermaid takes no dot in an identifier. */
function nameOf(node: AnyStateNode): string {
  return node.path.join('_').replace(/[^A-Za-z0-9_]/g, '_');
}

function guardOf(guard: unknown): string {
  if (guard === undefined) return '';
  if (typeof guard === 'string') return ` [${guard}]`;
  const { type, name } = guard as { readonly type?: unknown; readonly name?: unknown };
  return ` [${String(type ?? name ?? 'guard')}]`;
}
