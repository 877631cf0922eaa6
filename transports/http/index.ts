/** HTTP for the gateway: opened by the listener actor with its ports, served by the engine that this system can load. */
import type { GatewayPorts } from './gateway-ports.ts';
import { HttpCounters } from './http-counters.ts';
import type { HttpServer, HttpServerOptions, OpenHttpServer } from './http-server.ts';
import { type HttpLog, pickHttpEngine } from './open-http-server.ts';
import { createGatewayHandler } from './routes.ts';

export { ADMIN_ROUTES, type AdminRoute } from './admin-routes.ts';
export { type HttpListenCode, HttpListenError } from './errors.ts';
export type {
  GatewayPorts,
  OperationCall,
  Principal,
  Readiness,
  WebhookAnswer,
  WebhookGate,
  WebhookRequest,
} from './gateway-ports.ts';
export type { HttpServer } from './http-server.ts';
export type { HttpLog } from './open-http-server.ts';

/** A sender on a bad line sends 1 MiB in this time. */
const REQUEST_TIMEOUT_MS = 15_000;
/** With bodies of 1 MiB this is the most memory that webhooks in progress hold; each integration has a fair share. */
const MAX_REQUESTS = 480;
/** For the admin routes and `/metrics`. */
const MAX_RESERVED = 32;

export type HttpPlace = Pick<HttpServerOptions, 'host' | 'port' | 'connections'>;

/**
 * The gateway's routes on `host` and `port` (0 picks a free one), on the main thread only. Rejects with
 * `HttpListenError` where it cannot listen.
 */
export async function openGatewayHttp(
  { host, port, connections }: HttpPlace,
  ports: GatewayPorts,
  log: HttpLog,
  pick: (log: HttpLog) => Promise<OpenHttpServer> = pickHttpEngine,
): Promise<HttpServer> {
  const open = await pick(log);
  const counters = new HttpCounters();
  return open(
    {
      host,
      port,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      connections,
      maxRequests: MAX_REQUESTS,
      maxReserved: MAX_RESERVED,
      observer: {
        defect: (error) => log('error', 'a request met a defect', { error }),
        refused: (reason) => counters.refused(reason),
      },
    },
    createGatewayHandler(ports, counters),
  );
}
