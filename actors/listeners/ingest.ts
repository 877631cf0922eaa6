/** An event's way in: its integration's actor checks it, the router admits it. Kept here is nothing: a sender who hears nothing sends again. */
import { assertNever, type ErrorCode } from '../../proto/errors.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import type { WebhookAnswer, WebhookRequest } from '../../transports/http/gateway-ports.ts';
import type { AdmitReply, RouterProtocol } from '../router/protocol.ts';
import type { CheckReply, WebhookEntry } from '../webhooks/protocol.ts';
import { toAdmitRequest } from './admission.ts';

const DEADLINE_MS = 15_000;

/** Who hears how it ended: one of the two, once. */
export interface IngestEnd {
  answered(answer: WebhookAnswer): void;
  /** One of them gave no answer in time: nobody knows whether the event became durable. */
  failed(error: unknown): void;
}

/** Throws where the first ask cannot be made. Promises of asks only: each event of every sender passes here. */
export function ingest(
  self: Pick<Self<unknown>, 'ask' | 'clock'>,
  to: { readonly router: ActorRef<RouterProtocol>; readonly webhook: WebhookEntry },
  { webhookId, webhookTimestamp, webhookSignature, body, trace }: WebhookRequest,
  end: IngestEnd,
): void {
  // All that is kept of the request while the router admits it: the body is gone by then.
  const about = { webhookId, trace };
  const startedAtMs = self.clock.monotonicMs();
  const receivedAtMs = self.clock.wallMs();
  const failed = (error: unknown) => end.failed(error);
  const admitted = (reply: AdmitReply) => {
    let answer: WebhookAnswer;
    try {
      answer = toAnswer(reply);
    } catch (error) {
      failed(error);
      return;
    }
    end.answered(answer);
  };
  const checked = (reply: CheckReply) => {
    if (reply.type === 'refused') {
      end.answered(reply);
      return;
    }
    const leftMs = DEADLINE_MS - (self.clock.monotonicMs() - startedAtMs);
    const deadline = { inMs: Math.max(1, leftMs) };
    try {
      const admission = toAdmitRequest(to.webhook, about, reply, receivedAtMs);
      self.ask(to.router, 'admit', admission, deadline).then(admitted, failed);
    } catch (error) {
      failed(error);
    }
  };
  const event = { webhookId, webhookTimestamp, webhookSignature, body };
  self.ask(to.webhook.ref, 'check', event, { inMs: DEADLINE_MS }).then(checked, failed);
}

function toAnswer(reply: AdmitReply): WebhookAnswer {
  switch (reply.type) {
    case 'accepted':
    case 'duplicate':
      return { type: reply.type, envelopeId: reply.envelopeId };
    case 'conflict':
      return refused('idempotency_conflict', 'this webhook-id came before with another body');
    case 'rejected':
      return refused('message_rejected', `the router rejected the message: ${reply.reason}`);
    case 'refused': {
      const { code, retryAfterMs } = reply;
      const error = { code, message: 'not accepted; send it again later', retryAfterMs };
      return { type: 'refused', error };
    }
    default:
      return assertNever(reply);
  }
}

function refused(code: ErrorCode, message: string): WebhookAnswer {
  return { type: 'refused', error: { code, message } };
}
