/** The control actor's table `idempotency` and its audit facts. */
import type { WireError } from '../../proto/errors.ts';
import type { ChangeSet, Fact, Row } from '../../runtime/store/store.ts';

export const IDEMPOTENCY_TABLE = 'idempotency';
/** How long a key is remembered. */
export const IDEMPOTENCY_MAX_AGE_MS = 24 * 3_600_000;

export interface IdempotencyRow extends Row {
  readonly v: 1;
  readonly operation: string;
  /** Hex. The same key with another input is a conflict. */
  readonly inputSha256: string;
  readonly status: 'begun' | 'done' | 'refused';
  /** Without what is shown only once; null unless `done`. */
  readonly output: unknown;
  /** '' unless `refused`. */
  readonly errorCode: WireError['code'] | '';
  readonly errorMessage: string;
  readonly atMs: number;
}

export interface Audit {
  readonly principal: string;
  readonly operation: string;
  readonly resource: string;
  /** `ok` or an error code. */
  readonly outcome: string;
  readonly trace: string;
}

export function parseIdempotencyRow(row: Row): IdempotencyRow {
  return row as IdempotencyRow;
}

export function begun(key: string, row: IdempotencyRow): ChangeSet {
  return {
    expect: [{ table: IDEMPOTENCY_TABLE, key, revision: 0 }],
    put: [{ table: IDEMPOTENCY_TABLE, key, row }],
    remove: [],
    facts: [],
  };
}

/** An operation is over: its audit and, where it had a key, what a repeat is answered with; without a row the key is free. */
export function ended(
  audit: Audit,
  kept?: { readonly key: string; readonly row: IdempotencyRow | undefined },
): ChangeSet {
  const facts = [auditFact(audit)];
  if (kept === undefined) return { expect: [], put: [], remove: [], facts };
  const { key, row } = kept;
  const place = { table: IDEMPOTENCY_TABLE, key };
  return row === undefined
    ? { expect: [], put: [], remove: [place], facts }
    : { expect: [], put: [{ ...place, row }], remove: [], facts };
}

function auditFact({ principal, operation, resource, outcome, trace }: Audit): Fact {
  return { type: 'operation.performed', principal, operation, resource, outcome, trace };
}
