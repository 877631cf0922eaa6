/** What a message has to be, as a Standard Schema (https://standardschema.dev) says it: any library's that has `~standard`. */
import { isThenable } from './deferred.ts';
import { RuntimeError } from './errors.ts';

/** The part of the interface, version 1, that is used here. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | PromiseLike<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Of what is said of the first issue: a message may quote what it was given. */
const LONGEST_DETAIL = 200;

/** A message is not what its schema says. It is refused; its receiver goes on. */
export class InvalidMessage extends Error {
  readonly code = 'invalid_message';
}

/** Throws `bad_schema`. */
export function checkSchema(schema: unknown, where: string): StandardSchema {
  const isObject = typeof schema === 'object' || typeof schema === 'function';
  const standard = isObject ? (schema as Partial<StandardSchema> | null)?.['~standard'] : undefined;
  if (standard?.version === 1 && typeof standard.validate === 'function')
    return schema as StandardSchema;
  throw new RuntimeError('bad_schema', `${where} is no Standard Schema of version 1`);
}

/** The value as the schema gives it. Throws `InvalidMessage`, and `bad_schema` where the schema is asynchronous. */
export function parse(schema: StandardSchema, value: unknown, where: string): unknown {
  const result = schema['~standard'].validate(value);
  if (isThenable(result)) {
    // What comes of it is nobody's business any more.
    result.then(undefined, () => undefined);
    throw new RuntimeError('bad_schema', `${where} is asynchronous; messages are checked at once`);
  }
  if (result.issues === undefined) return result.value;
  throw new InvalidMessage(toDetail(result.issues));
}

function toDetail(issues: readonly SchemaIssue[]): string {
  const [first] = issues;
  const path = (first?.path ?? []).map((key) => String(typeof key === 'object' ? key.key : key));
  const at = path.length === 0 ? '' : `${path.join('.')}: `;
  return `${issues.length} issues, first ${at}${first?.message ?? ''}`.slice(0, LONGEST_DETAIL);
}
