/** A definition made ready for dispatch: its kinds as entries, looked up by name in a table without a prototype. */
import type { Down, Mailbox, Self } from '../actor.ts';
import { checkMailbox } from '../child-spec.ts';
import { RuntimeError } from '../errors.ts';
import type { Tracing } from '../observe/tracing.ts';
import type { AnyDefinition } from '../system.ts';
import { READY } from './room-line.ts';

export type Handler = (state: unknown, payload: unknown, self: Self<unknown>) => unknown;

export interface KindEntry {
  readonly name: string;
  readonly index: number;
  readonly handler: Handler;
}

/** The index of an entry that was made before the definition was known. */
export const LATE = -1;

/** Of a mailbox; 0 bytes are no bound. */
export type Limits = Required<Mailbox>;

export interface Compiled {
  readonly definition: AnyDefinition;
  readonly limits: Limits;
  /** Without a prototype: a name from a frame finds a handler of the table or nothing. */
  readonly kinds: Readonly<Record<string, KindEntry>>;
  /** How a `Down` reaches the actor; undefined where it does not care. */
  readonly down: KindEntry | undefined;
  readonly hasSubject: boolean;
}

/** Throws `bad_child_spec` where the definition's mailbox is none, or a kind is the runtime's own. */
export function compile(definition: AnyDefinition, tracing?: Tracing): Compiled {
  const { limitMessages, limitBytes = 0, overflow } = checkMailbox(definition.mailbox);
  const limits = { limitMessages, limitBytes, overflow };
  if (Object.hasOwn(definition.receive, READY))
    throw new RuntimeError(
      'bad_child_spec',
      `${definition.name}: ${READY} is the runtime's own kind`,
    );
  const kinds: Record<string, KindEntry> = Object.create(null);
  let index = 1;
  for (const name of Object.keys(definition.receive)) {
    const handler: unknown = definition.receive[name];
    if (typeof handler !== 'function') continue;
    const plain = handler as Handler;
    const traced = tracing?.traced(definition.name, name, plain);
    kinds[name] = { name, index, handler: traced ?? plain };
    index += 1;
  }
  const onDown = definition.down?.bind(definition);
  const down: KindEntry | undefined =
    onDown === undefined
      ? undefined
      : {
          name: '$down',
          index: 0,
          handler: (state, payload, self) => onDown(state, payload as Down, self),
        };
  return { definition, limits, kinds, down, hasSubject: definition.subject !== undefined };
}

export function isDefinition(value: unknown): value is AnyDefinition {
  if (typeof value !== 'object' || value === null) return false;
  const candidate = value as Partial<Record<'start' | 'receive' | 'mailbox', unknown>>;
  return (
    typeof candidate.start === 'function' &&
    typeof candidate.receive === 'object' &&
    typeof candidate.mailbox === 'object'
  );
}

/** The durable id of a message; '' where there is none, or where finding it fails. */
export function subjectOf(compiled: Compiled, kind: string, payload: unknown): string {
  try {
    return compiled.definition.subject?.(kind, payload) ?? '';
  } catch {
    return '';
  }
}
