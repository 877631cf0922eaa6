/** What the HTTP routes ask, answered from the listener's memory or by the actor that knows. */

import type { Metric, OperationReply } from '../../proto/control/owner.ts';
import type { WireError } from '../../proto/errors.ts';
import { createTraceId } from '../../proto/ids.ts';
import type { Self } from '../../runtime/actor.ts';
import { AskError, codeOf } from '../../runtime/errors.ts';
import type {
  GatewayPorts,
  OperationCall,
  WebhookAnswer,
  WebhookGate,
  WebhookRequest,
} from '../../transports/http/gateway-ports.ts';
import { principalOf } from './admin-token.ts';
import type { HttpListenerState } from './http-state.ts';
import { ingest } from './ingest.ts';
import type { HttpListenerProtocol } from './protocol.ts';
import { readinessOf } from './readiness.ts';

type ListenerSelf = Self<HttpListenerProtocol>;

const CALL_DEADLINE_MS = 30_000;
const METRICS_DEADLINE_MS = 5_000;
// While the table is not known: the largest that any integration may allow.
const MAX_PAYLOAD_BYTES = 1_048_576;

export function createPorts(state: HttpListenerState, self: ListenerSelf): GatewayPorts {
  return {
    webhook: (integrationId) => gateOf(state, integrationId),
    ingest: (request) => take(state, request, self),
    authenticate: (bearerToken) => principalOf(state.token, bearerToken),
    call: (call, signal) => callControl(state, call, self, signal),
    readiness: () => readinessOf(state, self.clock.monotonicMs()),
    metrics: () => askMetrics(state, self),
    nextTraceId: () => createTraceId(self.random),
  };
}

/** An unknown table is not an unknown integration: a sender that is told 404 gives its webhook up. */
function gateOf(state: HttpListenerState, integrationId: string): WebhookGate {
  const { directory } = state;
  if (state.isStopping) return { state: 'stopping' };
  if (directory === undefined) return { state: 'open', maxPayloadBytes: MAX_PAYLOAD_BYTES };
  const entry = directory.get(integrationId);
  if (entry === undefined) return { state: 'unknown' };
  if (!entry.enabled) return { state: 'disabled' };
  return { state: 'open', maxPayloadBytes: entry.maxPayloadBytes };
}

async function take(
  state: HttpListenerState,
  request: WebhookRequest,
  self: ListenerSelf,
): Promise<WebhookAnswer> {
  const entry = state.directory?.get(request.integrationId);
  if (state.directory !== undefined && entry === undefined) {
    return refuse({ code: 'not_found', message: 'no such webhook' });
  }
  if (entry === undefined) return refuse(UNAVAILABLE);
  const { webhookId, webhookTimestamp, webhookSignature, body, trace } = request;
  try {
    return await ingest(self, state.args, entry, {
      webhookId,
      webhookTimestamp,
      webhookSignature,
      body,
      trace,
    });
  } catch (error) {
    state.deps.log('warn', 'a webhook did not get its answer', {
      integration: request.integrationId,
      code: codeOf(error),
    });
    return refuse(toUnavailable(error));
  }
}

async function callControl(
  state: HttpListenerState,
  call: OperationCall,
  self: ListenerSelf,
  signal: AbortSignal,
): Promise<OperationReply> {
  try {
    const deadline = { inMs: CALL_DEADLINE_MS, signal };
    return await self.ask(state.args.control, 'call', call, deadline);
  } catch (error) {
    return { ok: false, error: toUnavailable(error) };
  }
}

async function askMetrics(
  state: HttpListenerState,
  self: ListenerSelf,
): Promise<readonly Metric[]> {
  try {
    return await self.ask(state.args.control, 'metrics', null, { inMs: METRICS_DEADLINE_MS });
  } catch (error) {
    state.deps.log('warn', 'the metrics could not be gathered', { code: codeOf(error) });
    return [];
  }
}

const UNAVAILABLE: WireError = {
  code: 'unavailable',
  message: 'a part of the gateway is restarting',
  retryAfterMs: 1_000,
};

function refuse(error: WireError): WebhookAnswer {
  return { type: 'refused', error };
}

/** Whether it was handled is not known; the sender's repeat is absorbed. */
function toUnavailable(error: unknown): WireError {
  if (error instanceof AskError && error.code === 'mailbox_full') {
    return { code: 'busy', message: 'the queue is full', retryAfterMs: 1_000 };
  }
  return UNAVAILABLE;
}
