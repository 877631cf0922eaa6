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
// Keys are made of it.
const requiredId = (bytes: number) =>
  required(bytes).refine((text) => text.isWellFormed(), { error: 'not well-formed Unicode' });
const optionalId = (bytes: number) =>
  bounded(bytes).refine((text) => text.isWellFormed(), { error: 'not well-formed Unicode' });

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

/** Where a run's outputs go. `threadId` is '' for none. */
export interface ReplyTarget {
  readonly connectorId: string;
  readonly conversationId: string;
  readonly threadId: string;
}

/** An inbound message as the platform gave it, before the gateway gives it an envelope id. */
export const inboundOfferSchema = z.strictObject({
  /** The platform's own id, unique within the connector: the dedupe key. Telegram: `chat_id:message_id`. */
  nativeId: requiredId(LIMITS.nativeIdBytes),
  /** The channel: a connector id, or `webhook:<integration_id>`. */
  connectorId: requiredId(LIMITS.connectorIdBytes),
  conversationId: requiredId(LIMITS.conversationIdBytes),
  threadId: optionalId(LIMITS.threadIdBytes),
  senderId: requiredId(LIMITS.identityBytes),
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
export type InboundOffer = z.infer<typeof inboundOfferSchema>;

/** One that was accepted. */
export type InboundMessageEvent = Omit<InboundOffer, 'nativeId'> & {
  /** Canonical ULID, minted when the gateway accepts the event. */
  readonly envelopeId: string;
};

/** One message that a run answers with. `structuredJson` and `a2uiUpdate` are reserved. */
export interface OutboundMessage {
  readonly text: string;
  readonly inReplyTo: string;
  readonly attachments: readonly Attachment[];
  readonly structuredJson?: string;
  readonly a2uiUpdate?: { readonly surface: string; readonly patchJson: string };
}

const reason = z.string();
const waitMs = z.number().nonnegative();

/**
 * How one attempt ended, as the platform's own answer classes it.
 * rate_limited and transient: certainly not sent. unknown: it may have been. auth: the account, not the message.
 * scope: whose sends rest for `retryAfterMs`; `account` where the platform limits all of its conversations together.
 */
export const deliveryOutcomeSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('delivered'), nativeMessageId: z.string() }),
  z.object({
    type: z.literal('rate_limited'),
    retryAfterMs: waitMs,
    scope: z.enum(['conversation', 'account']),
    reason,
  }),
  z.object({ type: z.literal('transient'), reason, retryAfterMs: waitMs.optional() }),
  z.object({ type: z.literal('auth'), reason }),
  z.object({ type: z.literal('permanent'), reason }),
  z.object({ type: z.literal('unknown'), reason }),
]);
export type DeliveryOutcome = z.infer<typeof deliveryOutcomeSchema>;
