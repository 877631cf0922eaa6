/** An event's way in: its integration's actor checks it, the router admits it. Kept here is nothing: a sender who hears nothing sends again. */
import { assertNever, type ErrorCode } from '../../proto/errors.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import type { WebhookAnswer } from '../../transports/http/gateway-ports.ts';
import type { AdmitReply, RouterProtocol } from '../router/protocol.ts';
import type { CheckRequest, WebhookEntry, WebhooksProtocol } from '../webhooks/protocol.ts';

const CHECK_DEADLINE_MS = 12_000;
const ADMIT_DEADLINE_MS = 12_000;

export interface Ingress {
  readonly router: ActorRef<RouterProtocol>;
  readonly webhooks: ActorRef<WebhooksProtocol>;
}

/** Rejects where one of them gave no answer; then nobody knows whether the event became durable. */
export async function ingest(
  self: Pick<Self<unknown>, 'ask' | 'tell'>,
  { router, webhooks }: Ingress,
  { integrationId, ref }: Pick<WebhookEntry, 'integrationId' | 'ref'>,
  request: CheckRequest,
): Promise<WebhookAnswer> {
  const checked = await self.ask(ref, 'check', request, { inMs: CHECK_DEADLINE_MS });
  if (checked.type === 'refused') return checked;
  const { admission } = checked;
  const reply = toAnswer(await self.ask(router, 'admit', admission, { inMs: ADMIT_DEADLINE_MS }));
  const result = reply.type === 'refused' ? reply.error.code : reply.type;
  self.tell(webhooks, 'settled', { integrationId, result });
  return reply;
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
