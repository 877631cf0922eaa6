/** The HTTP server contract on `node:http`, for systems where uWebSockets.js has no binary. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { HttpListenError } from './errors.ts';
import {
  addHeader,
  createExchanges,
  type Exchanges,
  hasKnownCoding,
  isAnswer,
  MAX_HEAD_BYTES,
  safeValue,
  unreadable,
} from './exchange.ts';
import { RequestClient } from './http-client.ts';
import type {
  HttpAnswer,
  HttpHandler,
  HttpRequest,
  HttpServer,
  HttpServerOptions,
} from './http-server.ts';

/** As long as the other engine keeps an idle connection. */
const KEEP_ALIVE_MS = 10_000;
/** A turn or two of the event loop, with room for a busy one. */
const CLOSE_SETTLE_MS = 1_000;

export async function openNodeHttp(
  options: HttpServerOptions,
  handler: HttpHandler,
): Promise<HttpServer> {
  const exchanges = createExchanges(options, handler);
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    requestTimeout: options.requestTimeoutMs,
    headersTimeout: options.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, Math.max(20, options.requestTimeoutMs / 4)),
    keepAliveTimeout: KEEP_ALIVE_MS,
    // The library's own answer would have no code.
    requireHostHeader: false,
  });
  server.on('connection', (socket: Socket) => {
    socket.once('close', () => options.connections.closed());
    if (options.connections.opened()) return;
    options.observer?.refused('too_many_connections');
    socket.destroy();
  });
  const front: Front = { server, exchanges, options, refused: new WeakSet() };
  server.on('request', (request, response) => {
    if (!front.refused.has(request.socket)) receive(front, request, response);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refuse(options, error, socket as Socket);
  });
  // Without a listener the library closes the connection without a word.
  server.on('connect', (_request, socket) => {
    options.observer?.refused('unreadable');
    answerAndClose(socket as Socket, 505);
  });
  await listen(server, options);
  return toHttpServer(server, exchanges, options);
}

interface Front {
  readonly server: Server;
  readonly exchanges: Exchanges;
  readonly options: HttpServerOptions;
  /** What follows a head that was refused cannot be told from a next request. */
  readonly refused: WeakSet<Socket>;
}

function receive(front: Front, incoming: IncomingMessage, response: ServerResponse): void {
  const { exchanges, options } = front;
  const request = readHead(incoming);
  const finish = (answer: HttpAnswer) => send(front, response, request.method, answer);
  const refusal = refusalOf(incoming, request);
  if (refusal !== undefined) {
    options.observer?.refused('unreadable');
    front.refused.add(incoming.socket);
    response.setHeader('connection', 'close');
    finish(unreadable(refusal));
    return;
  }
  const begun = exchanges.begin(request);
  if (isAnswer(begun)) {
    finish(begun);
    return;
  }
  if (Number(request.headers['content-length'] ?? 0) > begun.maxBodyBytes) {
    finish(exchanges.tooLarge(begun));
    return;
  }
  if (!exchanges.enter(begun)) {
    finish(exchanges.overloaded(begun));
    return;
  }
  const client = new RequestClient();
  let isOver = false;
  const end = () => {
    isOver = true;
    exchanges.leave(begun);
  };
  response.once('close', () => {
    if (isOver) return;
    end();
    client.gone();
  });
  const once = (answer: HttpAnswer) => {
    if (isOver) return;
    end();
    finish(answer);
  };
  collect(incoming, begun.maxBodyBytes, (body) => {
    if (isOver) return;
    if (body === undefined) {
      once(exchanges.tooLarge(begun));
      return;
    }
    exchanges.answer(begun, body, client, once);
  });
}

/** The whole body, or undefined as soon as it is longer than allowed; what follows is read and dropped. */
function collect(
  incoming: IncomingMessage,
  maxBodyBytes: number,
  done: (body: Uint8Array | undefined) => void,
): void {
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  incoming.on('data', (chunk: Buffer) => {
    const fitted = sizeBytes <= maxBodyBytes;
    sizeBytes += chunk.byteLength;
    if (sizeBytes <= maxBodyBytes) parts.push(chunk);
    else if (fitted) {
      parts = [];
      done(undefined);
    }
  });
  incoming.once('end', () => {
    if (sizeBytes <= maxBodyBytes) done(Buffer.concat(parts));
  });
  // The response's 'close' tells of a client that went away.
  incoming.on('error', () => parts.splice(0));
}

function readHead(incoming: IncomingMessage): HttpRequest {
  const headers: Record<string, string> = Object.create(null);
  const raw = incoming.rawHeaders;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    addHeader(headers, (raw[at] ?? '').toLowerCase(), toUtf8(raw[at + 1] ?? ''));
  }
  const target = toUtf8(incoming.url ?? '/');
  const mark = target.indexOf('?');
  return {
    method: incoming.method ?? 'GET',
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? '' : target.slice(mark + 1),
    headers,
  };
}

/** What the other engine refuses too: a gateway behaves the same wherever it runs. */
function refusalOf(incoming: IncomingMessage, request: HttpRequest): 400 | 505 | undefined {
  if (incoming.httpVersion !== '1.1' || !request.path.startsWith('/')) return 505;
  return request.headers.host !== undefined && hasKnownCoding(request.headers) ? undefined : 400;
}

/** Node reads heads as latin1; they are bytes, read as UTF-8 like the other engine does. */
function toUtf8(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII as a range
  return /^[\u0000-\u007f]*$/.test(text) ? text : Buffer.from(text, 'latin1').toString('utf8');
}

function send(
  { server, options }: Front,
  response: ServerResponse,
  method: string,
  answer: HttpAnswer,
): void {
  if (response.destroyed || response.writableEnded) return;
  for (const name in answer.headers) {
    response.setHeader(name, safeValue(answer.headers[name] ?? ''));
  }
  if (!server.listening) response.setHeader('connection', 'close');
  // A client that never reads its answer does not keep it in memory for ever.
  response.socket?.setTimeout(options.requestTimeoutMs);
  response.writeHead(answer.status, { 'content-length': Buffer.byteLength(answer.body) });
  response.end(method === 'HEAD' ? '' : answer.body);
}

function refuse(options: HttpServerOptions, error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    options.observer?.refused('timed_out');
  } else if (error.code?.startsWith('HPE_')) {
    options.observer?.refused('unreadable');
    if (socket.writable && socket.bytesWritten === 0) {
      answerAndClose(socket, error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400);
      return;
    }
  }
  socket.destroy();
}

function answerAndClose(socket: Socket, status: Parameters<typeof unreadable>[0]): void {
  const { headers, body } = unreadable(status);
  const lines = Object.entries({ ...headers, connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  socket.end(
    `HTTP/1.1 ${status} Refused\r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function listen(server: Server, { host, port }: HttpServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) => reject(new HttpListenError(host, port, cause));
    server.once('error', failed);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

function toHttpServer(
  server: Server,
  exchanges: Exchanges,
  options: HttpServerOptions,
): HttpServer {
  const { port } = server.address() as AddressInfo;
  let ended: Promise<void> | undefined;
  const stopListening = async () => {
    ended ??= new Promise((resolve) => server.close(() => resolve()));
  };
  return {
    host: options.host,
    port,
    stopListening,
    async close(graceMs) {
      await stopListening();
      await exchanges.whenIdle(graceMs);
      server.closeAllConnections();
      await ended;
      // The server counts a connection as gone before its response says so to the handler.
      await exchanges.whenIdle(CLOSE_SETTLE_MS);
    },
  };
}
