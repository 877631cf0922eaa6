/** The admin token: who a bearer belongs to, and its making at the first start. It keeps the token's digest, not the token. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { SCOPES } from '../../proto/control/operation.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import type { Principal } from '../../transports/http/gateway-ports.ts';
import type { SecretReply, VaultProtocol } from '../vault/protocol.ts';

const MAX_TOKEN_BYTES = 4_096;
const TOKEN_BYTES = 32;
const VAULT_DEADLINE_MS = 5_000;

export interface TokenSource {
  readonly vault: ActorRef<VaultProtocol>;
  readonly tokenRef: string;
  /** Make one where there is none; only for a reference of the vault. */
  readonly makesToken: boolean;
}

/** The token at its reference, made first where it is missing and may be made. */
export async function findToken(
  source: TokenSource,
  self: Pick<Self<unknown>, 'ask'>,
): Promise<SecretReply> {
  const { vault, tokenRef: ref, makesToken } = source;
  const deadline = { inMs: VAULT_DEADLINE_MS };
  const reply = await self.ask(vault, 'reveal', { ref }, deadline);
  if (reply.ok || reply.code !== 'missing' || !makesToken) return reply;
  const { secret: base64 } = await self.ask(vault, 'generate', { bytes: TOKEN_BYTES }, deadline);
  const secret = Buffer.from(base64, 'base64').toString('base64url');
  const stored = await self.ask(vault, 'put', { ref, secret, replace: false }, deadline);
  if (stored.ok) return { ok: true, secret };
  return { ok: false, code: 'unreadable', message: `a new token was not kept: ${stored.reason}` };
}

export function digestOf(token: string): Uint8Array {
  return createHash('sha256').update(token).digest();
}

/** Takes as long for a wrong token as for the right one. */
export function principalOf(expected: Uint8Array, bearerToken: string): Principal | undefined {
  if (bearerToken === '') return undefined;
  if (Buffer.byteLength(bearerToken) > MAX_TOKEN_BYTES) return undefined;
  return timingSafeEqual(expected, digestOf(bearerToken))
    ? { name: 'admin', scopes: SCOPES }
    : undefined;
}
