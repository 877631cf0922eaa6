/** An event's way in: its integration's actor checks it, the router admits it. Kept here is nothing: a sender who hears nothing sends again. */
import { assertNever, type ErrorCode } from '../../proto/errors.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import type { WebhookAnswer } from '../../transports/http/gateway-ports.ts';
import type { AdmitReply, RouterProtocol } from '../router/protocol.ts';
import type { CheckRequest, WebhookProtocol } from '../webhooks/protocol.ts';

const DEADLINE_MS = 15_000;

/** Rejects where one of them gave no answer in time; then nobody knows whether the event became durable. */
export async function ingest(
  self: Pick<Self<unknown>, 'ask' | 'clock'>,
  router: ActorRef<RouterProtocol>,
  webhook: ActorRef<WebhookProtocol>,
  request: CheckRequest,
): Promise<WebhookAnswer> {
  const startedAtMs = self.clock.monotonicMs();
  const checked = await self.ask(webhook, 'check', request, { inMs: DEADLINE_MS });
  if (checked.type === 'refused') return checked;
  const leftMs = DEADLINE_MS - (self.clock.monotonicMs() - startedAtMs);
  const deadline = { inMs: Math.max(1, leftMs) };
  return toAnswer(await self.ask(router, 'admit', checked.admission, deadline));
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
