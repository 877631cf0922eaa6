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
  /** Its own, beside those of every operation; `errorsOf` has them all. */
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

/** What every operation may answer: it was not let through, or its owner took nothing, is not there or is late. */
const COMMON_ERRORS: readonly ErrorCode[] = [
  'validation_error',
  'forbidden',
  'busy',
  'unavailable',
  'deadline_exceeded',
  'internal_error',
];
/** What one that takes an idempotency key may answer because of it. */
const KEYED_ERRORS: readonly ErrorCode[] = [
  'malformed',
  'idempotency_conflict',
  'failed_precondition',
  'revision_conflict',
  'storage_low',
];

/** Doing it twice is not the same as once: a caller may send an idempotency key. */
export function takesKey({ kind, idempotent }: Pick<Operation, 'kind' | 'idempotent'>): boolean {
  return (kind === 'command' || kind === 'job') && !idempotent;
}

/**
 * Every code that a served operation is refused with, each once. A face adds what it refuses before the dispatcher hears of
 * it; a name that is not in the catalogue is `not_found`, one that is not served yet `planned`.
 */
export function errorsOf(
  operation: Pick<Operation, 'kind' | 'idempotent' | 'errors'>,
): readonly ErrorCode[] {
  const keyed = takesKey(operation) ? KEYED_ERRORS : [];
  return [...new Set([...COMMON_ERRORS, ...keyed, ...operation.errors])];
}
