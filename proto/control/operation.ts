/** The shape of a control operation. Every face (HTTP, CLI, gRPC…) translates the same catalogue. */
import type { z } from 'zod';
import type { ErrorCode } from '../errors.ts';

/** query: reads · command: changes · feed: cursor-addressed records · job: a command that returns a job id. */
export const OPERATION_KINDS = ['query', 'command', 'feed', 'job'] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

export const SCOPES = ['admin:read', 'admin:write'] as const;
export type Scope = (typeof SCOPES)[number];

export interface Operation<I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> {
  /** `noun.verb` */
  readonly name: string;
  readonly kind: OperationKind;
  readonly summary: string;
  readonly input: I;
  readonly output: O;
  readonly scope: Scope;
  /** What policy and audit name it by, e.g. `connector:telegram:main`. */
  resource(input: z.infer<I>): string;
  readonly errors: readonly ErrorCode[];
  /** Doing it twice with the same input is the same as once; the others take an idempotency key. */
  readonly idempotent: boolean;
  readonly status: 'served' | 'planned';
}

export function defineOperation<I extends z.ZodType, O extends z.ZodType>(
  operation: Operation<I, O>,
): Operation<I, O> {
  return operation;
}
