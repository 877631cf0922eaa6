/** An event handed in as the HTTP server does it, with its answer as a promise. */
import { ingest } from '../../actors/listeners/ingest.ts';
import type {
  GatewayPorts,
  WebhookAnswer,
  WebhookRequest,
} from '../../transports/http/gateway-ports.ts';

type Given = Parameters<typeof ingest>;

export function handIn(ports: GatewayPorts, request: WebhookRequest): Promise<WebhookAnswer> {
  return new Promise((resolve) => ports.ingest(request, resolve));
}

/** Rejects where nobody answered. */
export function ingested(self: Given[0], to: Given[1], request: Given[2]): Promise<WebhookAnswer> {
  return new Promise((answered, failed) => ingest(self, to, request, { answered, failed }));
}
