/** What a webhook's actor decides without doing it: how an event looks to the router, and how a refusal looks. */
import type { InboundOffer } from '../../proto/channel-messages.ts';
import { LIMITS } from '../../proto/channel-messages.ts';
import type { ErrorCode, WireError } from '../../proto/errors.ts';
import type { CheckReply } from './protocol.ts';
import type { Integration } from './rows.ts';

const PRINTABLE = /^[\x21-\x7e]+$/;
export const UNAVAILABLE_RETRY_MS = 2_000;

/** Every webhook is a channel of its own. */
export function channelOf(integrationId: string): string {
  return `webhook:${integrationId}`;
}

/** The id is the dedupe key and stands in rows and facts: short, and only visible ASCII. */
export function isSaneWebhookId(webhookId: string): boolean {
  return webhookId.length <= LIMITS.nativeIdBytes && PRINTABLE.test(webhookId);
}

/** The event as a chat message: what the signature proved is the sender. */
export function toOffer(
  integration: Integration,
  event: { readonly webhookId: string; readonly text: string; readonly receivedAtMs: number },
): InboundOffer {
  const channel = channelOf(integration.integrationId);
  return {
    connectorId: channel,
    conversationId: integration.replyTo?.conversationId ?? 'default',
    threadId: '',
    senderId: channel,
    senderDisplay: integration.integrationId,
    senderVerified: true,
    body: event.text,
    adapterMessageId: event.webhookId,
    nativeId: event.webhookId,
    receivedAtMs: event.receivedAtMs,
    isDirectMessage: false,
    requestedBroadcast: false,
    attachments: [],
  };
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
