/** A definition made ready for dispatch: its kinds as entries, looked up by name in a table without a prototype. */
import type { Down, Mailbox, Self } from '../actor.ts';
import { checkMailbox } from '../child-spec.ts';
import { RuntimeError } from '../errors.ts';
import type { Tracing } from '../observe/tracing.ts';
import { checkSchema, parse } from '../schema.ts';
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

export interface LateEntry extends KindEntry {
  /** In which table it is looked up then. */
  readonly isChecked: boolean;
}

/** By name; without a prototype: a name from a frame finds a handler of the table or nothing. */
export type KindTable = Readonly<Record<string, KindEntry>>;

/** Of a mailbox; 0 bytes are no bound. */
export type Limits = Required<Mailbox>;

export interface Compiled {
  readonly definition: AnyDefinition;
  readonly limits: Limits;
  readonly kinds: KindTable;
  /** The same for what comes from another thread: it is held against its schema first. */
  readonly checked: KindTable;
  /** How a `Down` reaches the actor; undefined where it does not care. */
  readonly down: KindEntry | undefined;
  readonly hasSubject: boolean;
}

/**
 * Throws `bad_child_spec` where the definition's mailbox is none or a kind is the runtime's own, and `bad_schema` where a
 * schema cannot be used.
 */
export function compile(definition: AnyDefinition, tracing?: Tracing): Compiled {
  const { name: actor, receive, schemas = {} } = definition;
  const { limitMessages, limitBytes = 0, overflow } = checkMailbox(definition.mailbox);
  const limits = { limitMessages, limitBytes, overflow };
  if (Object.hasOwn(receive, READY)) {
    throw new RuntimeError('bad_child_spec', `${actor}: ${READY} is the runtime's own kind`);
  }
  const kinds: Record<string, KindEntry> = Object.create(null);
  const checked: Record<string, KindEntry> = Object.create(null);
  const traced = (kind: string, handler: Handler) =>
    tracing?.traced(actor, kind, handler) ?? handler;
  let index = 1;
  for (const name of Object.keys(receive)) {
    const plain: unknown = receive[name];
    if (typeof plain !== 'function') continue;
    const entry = { name, index, handler: traced(name, plain as Handler) };
    kinds[name] = entry;
    checked[name] = entry;
    index += 1;
  }
  for (const [name, given] of Object.entries(schemas)) {
    const where = `the schema of ${actor}.${name}`;
    const schema = checkSchema(given, where);
    const entry = kinds[name];
    if (entry === undefined) throw new RuntimeError('bad_schema', `${where} is of no message`);
    const plain = receive[name] as Handler;
    const handler: Handler = (state, payload, self) =>
      plain(state, parse(schema, payload, where), self);
    checked[name] = { ...entry, handler: traced(name, handler) };
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
  const hasSubject = definition.subject !== undefined;
  return { definition, limits, kinds, checked, down, hasSubject };
}

/** Until the definition is known. */
export function lateEntry(name: string, isChecked: boolean): LateEntry {
  return { name, index: LATE, handler: () => undefined, isChecked };
}

/** The entry itself, or the one that it stands for; undefined where there is no such kind. */
export function entryFor(compiled: Compiled | undefined, entry: KindEntry): KindEntry | undefined {
  if (entry.index !== LATE) return entry;
  const { name, isChecked } = entry as LateEntry;
  return (isChecked ? compiled?.checked : compiled?.kinds)?.[name];
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
