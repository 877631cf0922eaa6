/** An actor for the runtime's tests whose messages have schemas: by hand, by a library, and ones that misbehave. */
import * as z from 'zod';
import { type ActorRef, defineActor, type StandardSchema } from '../../../runtime/index.ts';

export interface Order {
  readonly id: string;
  readonly lines: readonly { readonly count: number }[];
}

export interface CheckedProtocol {
  /** Has a schema by hand that takes text for a number too. */
  add(n: number): void;
  total(nothing: null): number;
  order(order: Order): string;
  /** Its schema answers with a promise. */
  asynchronous(value: unknown): unknown;
  /** Its schema throws. */
  throwing(value: unknown): unknown;
  /** Has none. */
  lives(nothing: null): number;
  /** Sends what it is given to another one of its kind. */
  relay(request: { readonly to: ActorRef<CheckedProtocol>; readonly n: unknown }): boolean;
}

/** A schema without any library. */
export function schemaOf<T>(
  validate: StandardSchema<T>['~standard']['validate'],
): StandardSchema<T> {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

const whole = schemaOf<number>((value) => {
  const n = typeof value === 'string' ? Number(value) : value;
  return Number.isInteger(n)
    ? { value: n as number }
    : { issues: [{ message: 'expected a whole number' }] };
});

const told = Object.assign(new Error('told to'), { code: 'told_to' });

export const checkedActor = defineActor<
  CheckedProtocol,
  CheckedProtocol,
  null,
  { total: number },
  unknown
>({
  module: import.meta.url,
  export: 'checkedActor',
  name: 'checked',
  mailbox: { limitMessages: 100, overflow: 'reject' },
  schemas: {
    add: whole,
    order: z.object({ id: z.string(), lines: z.array(z.object({ count: z.int() })) }),
    asynchronous: schemaOf((value) => Promise.reject(new Error(`too late for ${value}`))),
    throwing: schemaOf(() => {
      throw told;
    }),
  },
  start: () => ({ total: 0 }),
  receive: {
    add(state, n) {
      state.total += n;
    },
    total: ({ total }) => total,
    order: (_state, { id, lines }) => `${id}: ${lines.reduce((sum, { count }) => sum + count, 0)}`,
    asynchronous: (_state, value) => value,
    throwing: (_state, value) => value,
    lives: (_state, _nothing, self) => self.incarnation,
    relay: (_state, { to, n }, self) => self.tell(to, 'add', n as number),
  },
});
