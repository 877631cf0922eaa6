/** The gateway's HTTP routes: webhook ingress, probes, metrics and the admin API, over the ports. They decide nothing else. */

import { operations } from '../../proto/control/catalogue.ts';
import { PalyraError, toWireError, type WireError } from '../../proto/errors.ts';
import { type IntegrationId, parseIntegrationId } from '../../proto/ids.ts';
import {
  ADMIN_PREFIX,
  type AdminMatch,
  inputOf,
  matchAdminRoutes,
  maxBodyBytesOf,
} from './admin-routes.ts';
import { jsonAnswer, typedAnswer, withHeaders } from './answers.ts';
import type { GatewayPorts, Principal, WebhookAnswer, WebhookGate } from './gateway-ports.ts';
import type { HttpCounters } from './http-counters.ts';
import type {
  HttpAnswer,
  HttpClient,
  HttpHandler,
  HttpIntake,
  HttpRequest,
} from './http-server.ts';
import { problemAnswer } from './problem.ts';
import { PROMETHEUS_CONTENT_TYPE, toPrometheus } from './prometheus.ts';
import { bearerOf, idempotencyKeyOf, idsOf, type RequestIds } from './request-head.ts';

const HOOKS_PREFIX = '/hooks/v1/';

/** Which of the requests in progress it is one of, and what it hears where there are too many. */
type Share = Pick<HttpIntake, 'source' | 'isReserved'> & { readonly overloaded: WireError };

/** What a head leads to: an answer at once, or work to do when the body is here. */
interface Plan {
  readonly route: string;
  readonly maxBodyBytes: number;
  readonly share: Share;
  /** `done` hears the answer or the defect, once, unless it throws or rejects. */
  work(
    body: Uint8Array,
    ids: RequestIds,
    client: HttpClient,
    done: (answer: HttpAnswer | Error) => void,
  ): Promise<void> | undefined;
}

type Decision = Plan | { readonly route: string; readonly answer: HttpAnswer };

/** `POST /hooks/v1/{integration_id}`, `/livez`, `/readyz`, `/healthz`, `/metrics`, and `/admin/v1/*` behind the token. */
export function createGatewayHandler(ports: GatewayPorts, counters: HttpCounters): HttpHandler {
  const finish = (route: string, answer: HttpAnswer, ids: RequestIds): HttpAnswer => {
    counters.answered(route, answer.status);
    answer.headers['x-request-id'] = ids.requestId;
    return answer;
  };
  return {
    begin(request) {
      const decision = decide(ports, counters, request);
      const own = idsOf(request, ports.nextTraceId);
      const { route } = decision;
      if ('answer' in decision) return finish(route, decision.answer, own);
      const { maxBodyBytes, share } = decision;
      return {
        maxBodyBytes,
        source: share.source,
        isReserved: share.isReserved,
        overloaded: () => finish(route, problemAnswer(share.overloaded), own),
        tooLarge() {
          const message = `The body is longer than the ${maxBodyBytes} bytes allowed here.`;
          return finish(route, problemAnswer({ code: 'payload_too_large', message }), own);
        },
        answer(body, client, done) {
          const end = (answer: HttpAnswer | Error) => {
            if (!(answer instanceof Error)) done(finish(route, answer, own));
            else if (answer instanceof PalyraError) end(problemAnswer(toWireError(answer)));
            else {
              counters.answered(route, 500);
              done(answer);
            }
          };
          const failed = (error: unknown) => end(toError(error));
          try {
            return decision.work(body, own, client, end)?.catch(failed);
          } catch (error) {
            failed(error);
            return undefined;
          }
        },
      };
    },
  };
}

function decide(ports: GatewayPorts, counters: HttpCounters, request: HttpRequest): Decision {
  try {
    const { path } = request;
    if (path.startsWith(HOOKS_PREFIX)) return decideHook(ports, request);
    if (path.startsWith(ADMIN_PREFIX)) return decideAdmin(ports, request);
    const probe = decideProbe(ports, counters, request);
    return probe ?? refuse('other', { code: 'not_found', message: 'There is nothing here.' });
  } catch (error) {
    if (error instanceof PalyraError) return refuse('other', error.toWire());
    throw error;
  }
}

function refuse(
  route: string,
  error: WireError,
  headers: Readonly<Record<string, string>> = {},
): Decision {
  return { route, answer: problemAnswer(error, { headers }) };
}

function wrongMethod(route: string, allowed: readonly string[]): Decision {
  const allow = allowed.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])).join(', ');
  const message = `This path takes ${allow}.`;
  return refuse(route, { code: 'method_not_allowed', message }, { allow });
}

function isRead(request: HttpRequest): boolean {
  return request.method === 'GET' || request.method === 'HEAD';
}

function decideHook(ports: GatewayPorts, request: HttpRequest): Decision {
  const route = '/hooks/v1/{integration_id}';
  if (request.method !== 'POST') return wrongMethod(route, ['POST']);
  const integrationId = hookIdOf(request.path);
  if (integrationId === undefined) return refuse(route, UNKNOWN_WEBHOOK);
  const gate = ports.webhook(integrationId);
  if (gate.state !== 'open') return refuse(route, CLOSED_GATES[gate.state]);
  return {
    route,
    maxBodyBytes: gate.maxPayloadBytes,
    share: { source: integrationId, isReserved: false, overloaded: WEBHOOK_BUSY },
    work(body, ids, _client, done) {
      // Asked again: it may have been closed while the body came.
      const { state } = ports.webhook(integrationId);
      if (state !== 'open') done(problemAnswer(CLOSED_GATES[state]));
      else {
        const event = toIngest(integrationId, request, body, ids);
        ports.ingest(event, (answer) => done(guarded(() => toHookAnswer(answer))));
      }
      return undefined;
    },
  };
}

/** What is called back later has no caller who would hear of its throw. */
function guarded(make: () => HttpAnswer): HttpAnswer | Error {
  try {
    return make();
  } catch (error) {
    return toError(error);
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

const WEBHOOK_BUSY: WireError = {
  code: 'busy',
  message: 'Too many requests of this webhook are in progress.',
  retryAfterMs: 1_000,
};
const OVERLOADED: WireError = {
  code: 'unavailable',
  message: 'Too many requests are in progress.',
  retryAfterMs: 1_000,
};
const UNKNOWN_WEBHOOK: WireError = { code: 'not_found', message: 'There is no such webhook.' };
const CLOSED_GATES: Readonly<Record<Exclude<WebhookGate['state'], 'open'>, WireError>> = {
  unknown: UNKNOWN_WEBHOOK,
  disabled: { code: 'webhook_disabled', message: 'This webhook is disabled.' },
  stopping: { code: 'stopping', message: 'The gateway is stopping.' },
};

/** undefined also for an escape that is not UTF-8: no webhook is called so, and unknown comes before malformed. */
function hookIdOf(path: string): IntegrationId | undefined {
  try {
    const id = path.slice(HOOKS_PREFIX.length);
    return parseIntegrationId(id.includes('%') ? decodeURIComponent(id) : id);
  } catch {
    return undefined;
  }
}

function toIngest(
  integrationId: IntegrationId,
  { headers }: HttpRequest,
  body: Uint8Array,
  { trace }: RequestIds,
) {
  return {
    integrationId,
    webhookId: headers['webhook-id'] ?? '',
    webhookTimestamp: headers['webhook-timestamp'] ?? '',
    webhookSignature: headers['webhook-signature'] ?? '',
    body,
    trace,
  };
}

function toHookAnswer(answer: WebhookAnswer): HttpAnswer {
  switch (answer.type) {
    case 'accepted':
      return jsonAnswer(202, { accepted: true, envelope_id: answer.envelopeId });
    case 'duplicate':
      return jsonAnswer(200, { accepted: true, duplicate: true });
    case 'refused':
      return problemAnswer(answer.error);
  }
}

const NO_PRINCIPAL: Readonly<Record<'nobody' | 'unavailable', WireError>> = {
  nobody: { code: 'unauthorized', message: 'Send the admin token as Authorization: Bearer.' },
  unavailable: {
    code: 'secret_unavailable',
    message:
      'The gateway’s own admin token is not there: what token_ref under [admin] names, or without one what its vault.key opens.',
    retryAfterMs: 5_000,
  },
};

function decideAdmin(ports: GatewayPorts, request: HttpRequest): Decision {
  const principal = ports.authenticate(bearerOf(request));
  if (typeof principal === 'string') return refuse(ADMIN_PREFIX, NO_PRINCIPAL[principal]);
  const matches = matchAdminRoutes(request.path);
  const method = isRead(request) ? 'GET' : request.method;
  const match = matches.find(({ route }) => route.method === method);
  if (match !== undefined) return adminPlan(ports, principal, match, request);
  if (matches.length === 0) {
    return refuse(ADMIN_PREFIX, { code: 'not_found', message: 'There is nothing here.' });
  }
  return wrongMethod(
    matches[0]?.route.path ?? ADMIN_PREFIX,
    matches.map(({ route }) => route.method),
  );
}

function adminPlan(
  ports: GatewayPorts,
  principal: Principal,
  match: AdminMatch,
  request: HttpRequest,
): Plan {
  const { operation, path } = match.route;
  return {
    route: path,
    maxBodyBytes: maxBodyBytesOf(match.route),
    share: { source: 'admin', isReserved: true, overloaded: OVERLOADED },
    async work(body, ids, client, done) {
      // Asked again: the token may have been changed while the body came.
      const now = ports.authenticate(bearerOf(request));
      if (typeof now === 'string') {
        done(problemAnswer(NO_PRINCIPAL[now]));
        return;
      }
      const call = {
        operation,
        input: inputOf(match, request, body),
        principal,
        idempotencyKey: idempotencyKeyOf(request),
        trace: ids.trace,
      };
      const reply = await ports.call(call, client.signal);
      const status = operations[operation].kind === 'job' ? 202 : 200;
      done(reply.ok ? jsonAnswer(status, reply.output) : problemAnswer(reply.error));
    },
  };
}

function decideProbe(
  ports: GatewayPorts,
  counters: HttpCounters,
  request: HttpRequest,
): Decision | undefined {
  const { path } = request;
  if (!['/livez', '/readyz', '/healthz', '/metrics'].includes(path)) return undefined;
  if (!isRead(request)) return wrongMethod(path, ['GET']);
  if (path === '/livez') return { route: path, answer: jsonAnswer(200, { status: 'alive' }) };
  if (path === '/metrics') {
    const work: Plan['work'] = async (_body, _ids, _client, done) => {
      const metrics = [...(await ports.metrics()), ...counters.metrics()];
      done(typedAnswer(200, PROMETHEUS_CONTENT_TYPE, toPrometheus(metrics)));
    };
    const share = { source: 'metrics', isReserved: true, overloaded: OVERLOADED };
    return { route: path, maxBodyBytes: 0, share, work };
  }
  return { route: path, answer: readiness(ports, request.query) };
}

/** Degraded is ready: traffic is still served. `?verbose` names the parts. */
function readiness(ports: GatewayPorts, query: string): HttpAnswer {
  const { ready, failing, degraded } = ports.readiness();
  const status = ready ? (degraded.length > 0 ? 'degraded' : 'ready') : 'unready';
  const parts = new URLSearchParams(query).has('verbose') ? { failing, degraded } : {};
  return withHeaders(
    jsonAnswer(ready ? 200 : 503, { status, ...parts }),
    ready ? {} : { 'retry-after': '2' },
  );
}
