/** Finds an integration's signing keys through the vault, again and again: secrets appear, rotate and go. */
import type { ActorRef, Self } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { VaultProtocol } from '../vault/protocol.ts';
import { parseSecret, toSecret } from './standard-webhooks.ts';

const VAULT_DEADLINE_MS = 5_000;
const SECRET_BYTES = 32;

/** What stands at one reference: a key, nothing usable and why, or nobody can say now. */
export type KeyLookup =
  | { readonly state: 'found'; readonly key: Uint8Array }
  | { readonly state: 'unusable'; readonly reason: string }
  | { readonly state: 'unknown'; readonly reason: string };

export function lookUpKeys(
  self: Pick<Self<unknown>, 'ask'>,
  vault: ActorRef<VaultProtocol>,
  refs: readonly string[],
): Promise<readonly KeyLookup[]> {
  return Promise.all(refs.map((ref) => lookUpKey(self, vault, ref)));
}

async function lookUpKey(
  self: Pick<Self<unknown>, 'ask'>,
  vault: ActorRef<VaultProtocol>,
  ref: string,
): Promise<KeyLookup> {
  try {
    const reply = await self.ask(vault, 'reveal', { ref }, { inMs: VAULT_DEADLINE_MS });
    if (!reply.ok) {
      // What the vault cannot read just now may still be what it was.
      return {
        state: reply.code === 'unreadable' ? 'unknown' : 'unusable',
        reason: reply.message,
      };
    }
    const key = parseSecret(reply.secret);
    if (key !== undefined) return { state: 'found', key };
    return { state: 'unusable', reason: secretIssue(ref, reply.secret) };
  } catch (error) {
    return { state: 'unknown', reason: `the vault did not answer: ${codeOf(error)}` };
  }
}

/** The keys to go on with: what the vault did not say stays as it was. */
export function nextKeys(
  lookups: readonly KeyLookup[],
  before: readonly (Uint8Array | undefined)[],
): readonly (Uint8Array | undefined)[] {
  return lookups.map((lookup, index) => {
    if (lookup.state === 'found') return lookup.key;
    return lookup.state === 'unknown' ? before[index] : undefined;
  });
}

/** Why what stands at `ref` cannot sign; '' where it can. Never the secret. */
export function secretIssue(ref: string, secret: string): string {
  if (parseSecret(secret) !== undefined) return '';
  return `${ref} holds no whsec_ secret of 16 bytes or more`;
}

/** A new secret, sealed in the vault under `ref`; `reason` is '' once it is durable. */
export async function makeSecret(
  self: Pick<Self<unknown>, 'ask'>,
  vault: ActorRef<VaultProtocol>,
  ref: string,
  replace: boolean,
): Promise<{ readonly secret: string; readonly reason: string }> {
  const deadline = { inMs: VAULT_DEADLINE_MS };
  const { secret: base64 } = await self.ask(vault, 'generate', { bytes: SECRET_BYTES }, deadline);
  const secret = toSecret(base64);
  const { reason } = await self.ask(vault, 'put', { ref, secret, replace }, deadline);
  return { secret, reason };
}
