/** Reads secret references: where a secret stands, never what it is. */

export type SecretRef =
  | { readonly source: 'env'; readonly name: string }
  | { readonly source: 'file'; readonly path: string }
  /** `key` is `scope/key`, as the vault's table has it. */
  | { readonly source: 'vault'; readonly key: string };

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const VAULT_KEY = /^[a-z0-9._-]{1,64}\/[a-z0-9._-]{1,128}$/;
const MAX_PATH_CHARACTERS = 4_096;

/** Undefined where the text is none of `env:NAME`, `file:PATH`, `vault:scope/key`. */
export function parseSecretRef(text: string): SecretRef | undefined {
  const colon = text.indexOf(':');
  const rest = text.slice(colon + 1);
  switch (text.slice(0, Math.max(0, colon))) {
    case 'env':
      return ENV_NAME.test(rest) ? { source: 'env', name: rest } : undefined;
    case 'file': {
      const isPath = rest !== '' && rest.length <= MAX_PATH_CHARACTERS && !rest.includes('\0');
      return isPath ? { source: 'file', path: rest } : undefined;
    }
    case 'vault':
      return VAULT_KEY.test(rest) ? { source: 'vault', key: rest } : undefined;
    default:
      return undefined;
  }
}

/** A reference as it may be shown: what has no known form may be a secret pasted in the wrong place, and is not. */
export function showRef(text: string): string {
  return parseSecretRef(text) === undefined ? 'a reference of unknown form' : text;
}
