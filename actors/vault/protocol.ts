/** What others say to the vault: secrets by reference. */
import type { OperationOwner } from '../../proto/control/owner.ts';

export type SecretReply =
  | { readonly ok: true; readonly secret: string }
  /** `missing`: the reference is well formed but nothing is there. Neither reason contains the secret. */
  | {
      readonly ok: false;
      readonly code: 'missing' | 'invalid_ref' | 'unreadable';
      readonly message: string;
    };

export interface VaultProtocol extends OperationOwner {
  /** `env:NAME`, `file:PATH` (trailing newline cut), `vault:scope/key`. */
  reveal(request: { readonly ref: string }): SecretReply;
  /** Stores under `vault:scope/key`; refuses to replace unless `replace`. Answered after the flush. */
  put(request: { readonly ref: string; readonly secret: string; readonly replace: boolean }): {
    readonly ok: boolean;
    readonly reason: string;
  };
  /** `bytes` random bytes, base64: for tokens and webhook secrets. */
  generate(request: { readonly bytes: number }): { readonly secret: string };
}
