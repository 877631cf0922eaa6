/** The messages of channels: inbound events, outputs, outcomes, and their limits. Sources: platform provider documents. */
import { z } from 'zod';

export const LIMITS = {
  connectorIdBytes: 128,
  conversationIdBytes: 256,
  threadIdBytes: 256,
  identityBytes: 256,
  nativeIdBytes: 256,
  // A webhook whose payload has no text is itself the message, up to the largest body that is taken.
  bodyBytes: 1_048_576,
  attachments: 32,
  attachmentUrlBytes: 1_024,
  attachmentFilenameBytes: 512,
  attachmentContentTypeBytes: 256,
} as const;

const bounded = (bytes: number) =>
  z
    .string()
    .refine((text) => Buffer.byteLength(text) <= bytes, { error: `longer than ${bytes} bytes` });
const required = (bytes: number) =>
  bounded(bytes).refine((text) => text.trim() !== '', { error: 'blank' });

/** Reserved for media: carried and stored as it came, not interpreted yet. */
export const attachmentSchema = z.strictObject({
  kind: z.enum(['image', 'file', 'audio', 'video']),
  attachmentId: bounded(128).optional(),
  url: bounded(LIMITS.attachmentUrlBytes).optional(),
  filename: bounded(LIMITS.attachmentFilenameBytes).optional(),
  contentType: bounded(LIMITS.attachmentContentTypeBytes).optional(),
  sizeBytes: z.number().int().nonnegative().optional(),
});
export type Attachment = z.infer<typeof attachmentSchema>;

export const replyTargetSchema = z.strictObject({
  connectorId: required(LIMITS.connectorIdBytes),
  conversationId: required(LIMITS.conversationIdBytes),
  threadId: bounded(LIMITS.threadIdBytes),
});
/** Where a run's outputs go. `threadId` is '' for none. */
export type ReplyTarget = z.infer<typeof replyTargetSchema>;

export const inboundMessageEventSchema = z.strictObject({
  /** Canonical ULID, minted when the gateway accepts the event. */
  envelopeId: z.string().length(26),
  /** The channel: a connector id, or `webhook:<integration_id>`. */
  connectorId: required(LIMITS.connectorIdBytes),
  conversationId: required(LIMITS.conversationIdBytes),
  threadId: bounded(LIMITS.threadIdBytes),
  senderId: required(LIMITS.identityBytes),
  senderDisplay: bounded(LIMITS.identityBytes),
  senderVerified: z.boolean(),
  body: bounded(LIMITS.bodyBytes),
  /** The platform's id of the message; '' where it has none. */
  adapterMessageId: bounded(LIMITS.nativeIdBytes),
  receivedAtMs: z.number().int().nonnegative(),
  isDirectMessage: z.boolean(),
  requestedBroadcast: z.boolean(),
  attachments: z.array(attachmentSchema).max(LIMITS.attachments),
});
export type InboundMessageEvent = z.infer<typeof inboundMessageEventSchema>;

/** An inbound message as the platform gave it, before the gateway gives it an envelope id. */
export type InboundOffer = Omit<InboundMessageEvent, 'envelopeId'> & {
  /** The platform's own id, unique within the connector: the dedupe key. Telegram: `chat_id:message_id`. */
  readonly nativeId: string;
};

/** One message that a run answers with. `structuredJson` and `a2uiUpdate` are reserved. */
export interface OutboundMessage {
  readonly text: string;
  readonly inReplyTo: string;
  readonly attachments: readonly Attachment[];
  readonly structuredJson?: string;
  readonly a2uiUpdate?: { readonly surface: string; readonly patchJson: string };
}

export const DELIVERY_OUTCOMES = [
  'delivered',
  'rate_limited',
  'transient',
  'auth',
  'permanent',
  'unknown',
] as const;

/**
 * How one attempt ended, as the platform's own answer classes it.
 * rate_limited and transient: certainly not sent. unknown: it may have been. auth: the account, not the message.
 */
export type DeliveryOutcome =
  | { readonly type: 'delivered'; readonly nativeMessageId: string }
  | {
      readonly type: 'rate_limited';
      readonly retryAfterMs: number;
      readonly scope: 'conversation' | 'account';
      readonly reason: string;
    }
  | { readonly type: 'transient'; readonly reason: string; readonly retryAfterMs?: number }
  | { readonly type: 'auth'; readonly reason: string }
  | { readonly type: 'permanent'; readonly reason: string }
  | { readonly type: 'unknown'; readonly reason: string };
