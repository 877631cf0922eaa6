/** Between a connector's inbound event and the router's words. Pure; who asks whom is the actor's business. */
import { createHash } from 'node:crypto';
import type { Accepted, Refused } from '../../connectors/connector.ts';
import { type InboundOffer, inboundOfferSchema } from '../../proto/channel-messages.ts';
import { assertNever, PalyraError } from '../../proto/errors.ts';
import { AskError, codeOf, StaleIncarnation } from '../../runtime/errors.ts';
import type { AdmitReply, AdmitRequest } from '../router/protocol.ts';

const RETRY_AFTER_MS = 1_000;

/** The event under the account's own name, whatever the connector wrote there; outputs go back where it came from. */
export function toAdmitRequest(
  offer: InboundOffer,
  connectorId: string,
  trace: string,
): AdmitRequest {
  const { conversationId, threadId } = offer;
  return {
    offer: { ...offer, connectorId },
    bodySha256: digestOf(offer),
    replyTo: { connectorId, conversationId, threadId },
    trace,
  };
}

/** A connector is a host's code: what it offers is parsed before anybody else sees it. Throws `validation_error`. */
export function checkOffer(offer: InboundOffer): void {
  const { error } = inboundOfferSchema.safeParse(offer);
  const issue = error?.issues[0];
  if (issue === undefined) return;
  const message = `offer: ${issue.path.join('.')}: ${issue.message}`;
  throw new PalyraError('validation_error', message);
}

function digestOf(offer: InboundOffer): string {
  const content = JSON.stringify([offer.body, offer.senderId, offer.attachments]);
  return createHash('sha256').update(content).digest('hex');
}

/**
 * What the connector may tell its platform. A rejected event is durable, so it is confirmed; so is one whose id came
 * before with another body: offering it again would change nothing.
 */
export function toAnswer(reply: AdmitReply): Accepted | Refused {
  switch (reply.type) {
    case 'accepted':
    case 'rejected':
      return { accepted: true, envelopeId: reply.envelopeId, duplicate: false };
    case 'duplicate':
      return { accepted: true, envelopeId: reply.envelopeId, duplicate: true };
    case 'conflict':
      return { accepted: true, envelopeId: '', duplicate: true };
    case 'refused':
      return { accepted: false, retryAfterMs: reply.retryAfterMs, reason: reply.code };
    default:
      return assertNever(reply);
  }
}

/** Nobody said that it is durable: offer it again; if it was, that is a duplicate. Throws where nobody would take it. */
export function toRefused(error: unknown): Refused {
  if (error instanceof StaleIncarnation) throw error;
  return refused(error instanceof AskError ? error.code : codeOf(error));
}

export function refused(reason: string, retryAfterMs = RETRY_AFTER_MS): Refused {
  return { accepted: false, retryAfterMs, reason };
}
