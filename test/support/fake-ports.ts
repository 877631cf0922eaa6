/** Scripted gateway ports for tests of the HTTP routes: they record what was asked and answer what a test sets. */
import type {
  GatewayPorts,
  OperationCall,
  WebhookRequest,
} from '../../transports/http/gateway-ports.ts';

export const TOKEN = 'the-admin-token';

export interface FakePorts extends GatewayPorts {
  readonly ingested: WebhookRequest[];
  readonly calls: OperationCall[];
}

/** `orders` is open up to 1,000 bytes, `off` is disabled, every other webhook is unknown. */
export function createFakePorts(overrides: Partial<GatewayPorts> = {}): FakePorts {
  const ingested: WebhookRequest[] = [];
  const calls: OperationCall[] = [];
  return {
    ingested,
    calls,
    webhook(integrationId) {
      if (integrationId === 'orders') return { state: 'open', maxPayloadBytes: 1_000 };
      return { state: integrationId === 'off' ? 'disabled' : 'unknown' };
    },
    ingest(request, done) {
      ingested.push(request);
      done({ type: 'accepted', envelopeId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' });
    },
    authenticate: (token) =>
      token === TOKEN ? { name: 'operator', scopes: ['admin:read', 'admin:write'] } : 'nobody',
    async call(call) {
      calls.push(call);
      return { ok: true, output: { done: call.operation } };
    },
    readiness: () => ({ ready: true, failing: [], degraded: [] }),
    async metrics() {
      return [];
    },
    nextTraceId: () => 'f'.repeat(32),
    ...overrides,
  };
}
