/** Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): signatures made and checked over raw bytes. Pure. */
import { createHmac, timingSafeEqual } from 'node:crypto';

export const TOLERANCE_MS = 300_000;

const SECRET_PREFIX = 'whsec_';
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
// The specification asks for 24 to 64 bytes; what real senders use beside that is taken down to 128 bits.
const MIN_KEY_BYTES = 16;
const MAX_KEY_BYTES = 512;
const TIMESTAMP = /^\d{1,12}$/;
const SIGNATURE_VERSION = 'v1,';
// An HMAC-SHA256 as base64.
const SIGNATURE_CHARACTERS = 44;
// A sender that rotates has two; more than this is not a sender.
const MAX_SIGNATURES = 16;

export interface SignedMessage {
  readonly webhookId: string;
  /** Seconds since the Unix epoch, as the header has it. */
  readonly webhookTimestamp: string;
  readonly body: Uint8Array;
}

export type Verdict = 'valid' | 'signature_missing' | 'signature_invalid' | 'timestamp_stale';

/** The key of `whsec_` and base64; undefined where it is not of that form. */
export function parseSecret(secret: string): Uint8Array | undefined {
  if (!secret.startsWith(SECRET_PREFIX)) return undefined;
  const encoded = secret.slice(SECRET_PREFIX.length);
  if (!BASE64.test(encoded)) return undefined;
  const key = Buffer.from(encoded, 'base64');
  return key.length >= MIN_KEY_BYTES && key.length <= MAX_KEY_BYTES ? key : undefined;
}

/** `base64` random bytes as a secret that senders take. */
export function toSecret(base64: string): string {
  return `${SECRET_PREFIX}${base64}`;
}

/** One value for the `webhook-signature` header. */
export function signMessage(key: Uint8Array, message: SignedMessage): string {
  const hmac = createHmac('sha256', key);
  hmac.update(`${message.webhookId}.${message.webhookTimestamp}.`).update(message.body);
  return `${SIGNATURE_VERSION}${hmac.digest('base64')}`;
}

/**
 * Whether one of the header's signatures was made with one of `keys`, not longer ago or ahead than the tolerance. The
 * time it takes says nothing about which key or signature matched.
 */
export function verifyMessage(
  keys: readonly Uint8Array[],
  message: SignedMessage,
  signatureHeader: string,
  nowMs: number,
): Verdict {
  const { webhookId, webhookTimestamp } = message;
  if (webhookId === '' || webhookTimestamp === '' || signatureHeader === '') {
    return 'signature_missing';
  }
  if (!TIMESTAMP.test(webhookTimestamp)) return 'signature_invalid';
  if (Math.abs(nowMs - Number(webhookTimestamp) * 1_000) > TOLERANCE_MS) return 'timestamp_stale';
  const candidates = parseSignatures(signatureHeader);
  let isValid = false;
  for (const key of keys) {
    const expected = Buffer.from(signMessage(key, message));
    for (const candidate of candidates) {
      if (timingSafeEqual(expected, candidate)) isValid = true;
    }
  }
  return isValid ? 'valid' : 'signature_invalid';
}

/** The `v1` signatures of right length. Header lines sent twice come joined by a comma and a space. */
function parseSignatures(header: string): readonly Buffer[] {
  const length = SIGNATURE_VERSION.length + SIGNATURE_CHARACTERS;
  return header
    .split(' ', MAX_SIGNATURES)
    .map((part) => (part.endsWith(',') ? part.slice(0, -1) : part))
    .filter((part) => part.startsWith(SIGNATURE_VERSION) && Buffer.byteLength(part) === length)
    .map((part) => Buffer.from(part));
}
