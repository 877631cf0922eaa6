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
import { type IngestEnd, ingest } from './ingest.ts';
import type { HttpListenerProtocol } from './protocol.ts';
import { readinessOf } from './readiness.ts';
import { readToken } from './token-reading.ts';

type ListenerSelf = Self<HttpListenerProtocol & { tellTallies(nothing: null): void }>;

const CALL_DEADLINE_MS = 30_000;
const METRICS_DEADLINE_MS = 5_000;
const TELL_TALLIES_MS = 50;
// While the table is not known: the largest that any integration may allow.
const MAX_PAYLOAD_BYTES = 1_048_576;

export function createPorts(state: HttpListenerState, self: ListenerSelf): GatewayPorts {
  return {
    webhook: (integrationId) => gateOf(state, integrationId),
    ingest: (request, done) => take(state, request, self, done),
    authenticate: (bearerToken) =>
      state.token === undefined
        ? 'unavailable'
        : (principalOf(state.token, bearerToken) ?? 'nobody'),
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

function take(
  state: HttpListenerState,
  request: WebhookRequest,
  self: ListenerSelf,
  done: (answer: WebhookAnswer) => void,
): void {
  const { integrationId, body } = request;
  const entry = state.directory?.get(integrationId);
  if (entry === undefined) {
    done(refuse(state.directory === undefined ? UNAVAILABLE : NO_SUCH_WEBHOOK));
    return;
  }
  const bytes = body.byteLength;
  if (!state.ingest.mayTake(integrationId, bytes)) {
    count(state, integrationId, 'busy', self);
    done(refuse(BUSY));
    return;
  }
  state.ingest.take(integrationId, bytes);
  const end: IngestEnd = {
    answered(answer) {
      state.ingest.giveBack(integrationId, bytes);
      const result = answer.type === 'refused' ? answer.error.code : answer.type;
      count(state, integrationId, result, self);
      done(answer);
    },
    failed(error) {
      const fields = { integration: integrationId, code: codeOf(error) };
      state.deps.log('warn', 'a webhook did not get its answer', fields);
      end.answered(refuse(toUnavailable(error)));
    },
  };
  try {
    ingest(self, { router: state.args.router, webhook: entry }, request, end);
  } catch (error) {
    end.failed(error);
  }
}

function count(
  state: HttpListenerState,
  integrationId: string,
  result: string,
  self: ListenerSelf,
): void {
  const tally = state.tallies.get(integrationId) ?? {};
  tally[result] = (tally[result] ?? 0) + 1;
  state.tallies.set(integrationId, tally);
  // An incarnation that is over tells nobody, but its sender still hears.
  if (state.untold.size === 0 && !state.isStopping) {
    self.after('tallies', TELL_TALLIES_MS, 'tellTallies', null);
  }
  state.untold.add(integrationId);
}

/** What has changed, in one message however many events came meanwhile. */
export function tellTallies(state: HttpListenerState, _nothing: null, self: ListenerSelf): void {
  const changed = [...state.untold].map((integrationId) => ({
    integrationId,
    results: { ...state.tallies.get(integrationId) },
  }));
  if (self.tell(state.args.webhooks, 'tallies', changed)) state.untold.clear();
  else self.after('tallies', TELL_TALLIES_MS, 'tellTallies', null);
}

async function callControl(
  state: HttpListenerState,
  call: OperationCall,
  self: ListenerSelf,
  signal: AbortSignal,
): Promise<OperationReply> {
  try {
    const deadline = { inMs: CALL_DEADLINE_MS, signal };
    const reply = await self.ask(state.args.control, 'call', call, deadline);
    // It may have been the admin token: the one before must not be valid on, and the next command finds the new one.
    if (reply.ok && call.operation === 'vault.put') await readToken(state, self);
    return reply;
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

const NO_SUCH_WEBHOOK: WireError = { code: 'not_found', message: 'no such webhook' };
const BUSY: WireError = {
  code: 'busy',
  message: 'too many webhook bodies are being taken',
  retryAfterMs: 1_000,
};
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
