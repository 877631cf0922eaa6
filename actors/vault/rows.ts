/** The vault's table: sealed secrets by `scope/key`. What a row holds cannot be read without the master key. */
import type { ChangeSet, Row } from '../../runtime/store/store.ts';

export const SECRETS_TABLE = 'secrets';

export interface SecretRow extends Row {
  readonly v: 1;
  /** Names the master key, does not reveal it. */
  readonly keyId: string;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
  readonly tag: Uint8Array;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** `revision` is what the caller saw, 0 for none: somebody else's put in between is refused. */
export function secretStored(key: string, row: SecretRow, revision: number): ChangeSet {
  return {
    expect: [{ table: SECRETS_TABLE, key, revision }],
    put: [{ table: SECRETS_TABLE, key, row }],
    remove: [],
    facts: [
      {
        type: 'secret.stored',
        ref: `vault:${key}`,
        key_id: row.keyId,
        replaced: revision > 0,
        at_ms: row.updatedAtMs,
      },
    ],
  };
}
