/** A genuine webhook as the router takes it. Pure; whether it is genuine its integration's actor says. */
import type { WebhookRequest } from '../../transports/http/gateway-ports.ts';
import type { AdmitRequest } from '../router/protocol.ts';
import type { CheckReply, WebhookEntry } from '../webhooks/protocol.ts';

/** The event as a chat message: what the signature proved is the sender. */
export function toAdmitRequest(
  { integrationId, channel, replyTo }: WebhookEntry,
  { webhookId, trace }: Pick<WebhookRequest, 'webhookId' | 'trace'>,
  { text, bodySha256 }: Extract<CheckReply, { type: 'genuine' }>,
  receivedAtMs: number,
): AdmitRequest {
  const offer = {
    connectorId: channel,
    conversationId: replyTo?.conversationId ?? 'default',
    threadId: '',
    senderId: channel,
    senderDisplay: integrationId,
    senderVerified: true,
    body: text,
    adapterMessageId: webhookId,
    nativeId: webhookId,
    receivedAtMs,
    isDirectMessage: false,
    requestedBroadcast: false,
    attachments: [],
  };
  return { offer, bodySha256, replyTo, trace };
}
