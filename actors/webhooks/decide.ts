/** What a webhook's actor decides without doing it: which ids are taken, and how a refusal looks. */
import { LIMITS } from '../../proto/channel-messages.ts';
import type { ErrorCode, WireError } from '../../proto/errors.ts';
import type { CheckReply } from './protocol.ts';

const PRINTABLE = /^[\x21-\x7e]+$/;
export const UNAVAILABLE_RETRY_MS = 2_000;

/** The id is the dedupe key and stands in rows and facts: short, and only visible ASCII. */
export function isSaneWebhookId(webhookId: string): boolean {
  return webhookId.length <= LIMITS.nativeIdBytes && PRINTABLE.test(webhookId);
}

export function refuse(
  code: ErrorCode,
  message: string,
  retryAfterMs?: number,
): Extract<CheckReply, { type: 'refused' }> {
  return { type: 'refused', error: toError(code, message, retryAfterMs) };
}

export function toError(code: ErrorCode, message: string, retryAfterMs?: number): WireError {
  return retryAfterMs === undefined ? { code, message } : { code, message, retryAfterMs };
}
