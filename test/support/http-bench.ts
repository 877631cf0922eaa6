/** What the HTTP contract runs on: one server, a handler that answers what the path says, and clients. */
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { Connections } from '../../transports/http/connections.ts';
import type {
  HttpAnswer,
  HttpHandler,
  HttpRefusal,
  HttpRequest,
  HttpServer,
  HttpServerOptions,
  OpenHttpServer,
} from '../../transports/http/http-server.ts';
import { connectRaw } from './raw-http.ts';

export const MAX_BODY_BYTES = 1_000_000;

export interface Seen {
  readonly request: HttpRequest;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

export interface HttpBench {
  readonly server: HttpServer;
  readonly seen: Seen[];
  readonly refusals: HttpRefusal[];
  readonly defects: unknown[];
}

const text = (status: number, body: string): HttpAnswer => ({
  status,
  headers: { 'content-type': 'text/plain', 'x-answer': 'yes' },
  body,
});

/** Answers what the path says; `/wait` answers when `release` is called. */
export function createHandler(seen: Seen[], gate: { release?: () => void }): HttpHandler {
  return {
    begin(request) {
      if (request.path === '/early') return text(403, 'early');
      if (request.path === '/begin-throws') throw new Error('secret of begin');
      const maxBodyBytes = request.path === '/small' ? 10 : MAX_BODY_BYTES;
      return {
        maxBodyBytes,
        tooLarge: () => text(413, `at most ${maxBodyBytes}`),
        source: request.headers['x-source'] ?? '',
        isReserved: request.headers['x-reserved'] !== undefined,
        overloaded: () => text(503, 'overloaded'),
        answer(body, client, done) {
          seen.push({ request, body, signal: client.signal });
          if (request.path === '/defect') {
            setTimeout(() => done(new Error('secret of a defect')), 1);
            return undefined;
          }
          if (request.path === '/twice' || request.path === '/throws-after') {
            done(text(200, 'first'));
            if (request.path === '/throws-after') throw new Error('too late');
            done(text(200, 'second'));
            return undefined;
          }
          const answer = answerTo(request, body, gate);
          if (answer instanceof Promise) return answer.then(done);
          done(answer);
          return undefined;
        },
      };
    },
  };
}

function answerTo(
  { method, path, query }: HttpRequest,
  body: Uint8Array,
  gate: { release?: () => void },
): Promise<HttpAnswer> | HttpAnswer {
  switch (path) {
    case '/throws':
      throw new Error('secret of a throw');
    case '/rejects':
      return Promise.reject(new Error('secret of a rejection'));
    case '/wait':
      return new Promise((resolve) => {
        gate.release = () => resolve(text(200, 'released'));
      });
    case '/split':
      return { ...text(200, 'x'), headers: { 'x-evil': 'a\r\nx-injected: 1' } };
    case '/large':
      return text(200, 'L'.repeat(3_000_000));
    case '/later':
      return Promise.resolve(text(200, `later ${query}`));
    default:
      return text(200, `${method} ${createHash('sha256').update(body).digest('hex')}`);
  }
}

export async function withServer(
  load: () => Promise<OpenHttpServer>,
  options: Partial<HttpServerOptions>,
  work: (bench: HttpBench, gate: { release?: () => void }) => Promise<void>,
): Promise<void> {
  const seen: Seen[] = [];
  const refusals: HttpRefusal[] = [];
  const defects: unknown[] = [];
  const gate: { release?: () => void } = {};
  const open = await load();
  const server = await open(
    {
      host: '127.0.0.1',
      port: 0,
      requestTimeoutMs: 10_000,
      connections: new Connections(1_000),
      maxRequests: 100,
      maxReserved: 2,
      observer: {
        defect: (error) => void defects.push(error),
        refused: (reason) => void refusals.push(reason),
      },
      ...options,
    },
    createHandler(seen, gate),
  );
  try {
    await work({ server, seen, refusals, defects }, gate);
  } finally {
    await server.close(0);
  }
}

/** One request by Node's own client, on a connection of its own. */
export function call(
  port: number,
  options: {
    readonly method?: string;
    readonly path: string;
    readonly body?: Uint8Array;
    readonly chunked?: boolean;
    readonly headers?: Record<string, string | string[]>;
  },
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        host: '127.0.0.1',
        port,
        method: options.method ?? 'POST',
        path: options.path,
        agent: false,
        timeout: 20_000,
        headers: {
          ...(options.chunked === true || options.body === undefined
            ? {}
            : { 'content-length': String(options.body.byteLength) }),
          ...options.headers,
        },
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part) => {
          body += part;
        });
        response.once('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
          sent.destroy();
        });
      },
    );
    sent.once('timeout', () => sent.destroy(new Error('no answer within 20 s')));
    sent.once('error', reject);
    if (options.body !== undefined) sent.write(options.body);
    sent.end();
  });
}

/** Polls for a fact of another process's or socket's making; the deadline names it. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const giveUpAtMs = performance.now() + 10_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > giveUpAtMs) throw new Error(`${what} did not happen within 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** How a connection is refused: `ECONNREFUSED` where nobody listens. */
export async function refusedCode(port: number): Promise<string> {
  try {
    (await connectRaw(port)).destroy();
    return 'connected';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'uncoded';
  }
}
