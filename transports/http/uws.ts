/**
 * The HTTP server contract on uWebSockets.js, for the main thread only: a worker that ends while it listens aborts the
 * process. A connection that sends no whole head is closed by the library itself after 10 s; the body's time is ours.
 */

import type {
  HttpRequest as RawRequest,
  HttpResponse as RawResponse,
  TemplatedApp,
  us_listen_socket,
} from 'uWebSockets.js';
import { STATUS_CODES } from 'node:http';
import { createServer } from 'node:net';
import { type Linked, LinkedList } from '../../runtime/linked-list.ts';
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
  HttpIntake,
  HttpRequest,
  HttpServer,
  HttpServerOptions,
  OpenHttpServer,
} from './http-server.ts';

type Library = typeof import('uWebSockets.js');

/** Without it a second process could share the port, and steal every other connection. */
const EXCLUSIVE_PORT = 1;

/** Loads the library; rejects where it has no binary for this system. */
export async function loadUws(): Promise<OpenHttpServer> {
  const { default: library } = (await import('uWebSockets.js')) as unknown as { default: Library };
  silence(library);
  return (options, handler) => openUws(library, options, handler);
}

async function openUws(
  library: Library,
  options: HttpServerOptions,
  handler: HttpHandler,
): Promise<HttpServer> {
  const app = library.App();
  const front = new Front(options, createExchanges(options, handler));
  app.filter((response, change) => front.connection(response, Number(change)));
  app.any('/*', (response, raw) => front.receive(response, raw));
  const socket = await listen(app, options);
  if (socket === false) {
    app.close();
    throw new HttpListenError(options.host, options.port, await whyNot(options));
  }
  return front.opened(app, library, socket);
}

/** One request that waits: for its body, then for its answer. */
class Upload extends RequestClient implements Linked<Upload> {
  previous: Upload | undefined = undefined;
  next: Upload | undefined = undefined;
  readonly response: RawResponse;
  readonly method: string;
  readonly intake: HttpIntake;
  readonly startedAtMs = performance.now();
  #parts: Uint8Array[] | undefined = undefined;
  sizeBytes = 0;
  /** Its body is here, or comes no more. */
  isUploaded = false;
  isOver = false;

  constructor(response: RawResponse, method: string, intake: HttpIntake) {
    super();
    this.response = response;
    this.method = method;
    this.intake = intake;
  }

  /** The library takes the memory back when this returns. */
  take(chunk: ArrayBuffer): void {
    const part = Buffer.from(new Uint8Array(chunk));
    if (this.#parts === undefined) this.#parts = [part];
    else this.#parts.push(part);
  }

  /** Once. */
  body(): Uint8Array {
    const parts = this.#parts ?? [];
    this.#parts = undefined;
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }
}

class Front {
  readonly #options: HttpServerOptions;
  readonly #exchanges: Exchanges;
  /** The longest waiting first. */
  readonly #uploads = new LinkedList<Upload>();
  #stopping = false;

  constructor(options: HttpServerOptions, exchanges: Exchanges) {
    this.#options = options;
    this.#exchanges = exchanges;
  }

  opened(app: TemplatedApp, library: Library, socket: us_listen_socket): HttpServer {
    const everyMs = Math.min(1_000, Math.max(20, this.#options.requestTimeoutMs / 4));
    const sweep = setInterval(() => this.#closeSlow(), everyMs).unref();
    const stopListening = async () => {
      if (this.#stopping) return;
      this.#stopping = true;
      library.us_listen_socket_close(socket);
    };
    let closing: Promise<void> | undefined;
    return {
      host: this.#options.host,
      port: library.us_socket_local_port(socket as never),
      stopListening,
      close: (graceMs) => {
        closing ??= (async () => {
          await stopListening();
          await this.#exchanges.whenIdle(graceMs);
          clearInterval(sweep);
          app.close();
        })();
        return closing;
      },
    };
  }

  /** One came (1) or went (-1): the library tells of those too that are closed here. */
  connection(response: RawResponse, change: number): void {
    const { connections, observer } = this.#options;
    if (change < 0) connections.closed();
    else if (!connections.opened()) {
      observer?.refused('too_many_connections');
      response.close();
    }
  }

  receive(response: RawResponse, raw: RawRequest): void {
    const request = readHead(raw);
    if (typeof request === 'number') {
      this.#options.observer?.refused('unreadable');
      endUnread(response, request);
      return;
    }
    const declaredBytes = Number(request.headers['content-length'] ?? 0);
    const begun = this.#exchanges.begin(request);
    if (isAnswer(begun)) {
      send(response, request.method, begun, this.#stopping);
    } else if (declaredBytes > begun.maxBodyBytes) {
      send(response, request.method, this.#exchanges.tooLarge(begun), this.#stopping);
    } else if (!this.#exchanges.enter(begun)) {
      send(response, request.method, this.#exchanges.overloaded(begun), this.#stopping);
    } else {
      this.#read(response, request.method, begun);
    }
  }

  #read(response: RawResponse, method: string, intake: HttpIntake): void {
    const upload = new Upload(response, method, intake);
    this.#uploads.add(upload);
    response.onAborted(() => {
      if (upload.isOver) return;
      this.#end(upload);
      upload.gone();
    });
    response.onData((chunk, isLast) => {
      if (upload.isOver) return;
      upload.sizeBytes += chunk.byteLength;
      if (upload.sizeBytes > intake.maxBodyBytes) {
        this.#finish(upload, this.#exchanges.tooLarge(intake));
        return;
      }
      if (chunk.byteLength > 0) upload.take(chunk);
      if (!isLast) return;
      this.#uploaded(upload);
      const done = (answer: HttpAnswer) => this.#finish(upload, answer);
      this.#exchanges.answer(intake, upload.body(), upload, done);
    });
  }

  #finish(upload: Upload, answer: HttpAnswer): void {
    if (upload.isOver) return;
    this.#end(upload);
    const { response, method } = upload;
    try {
      send(response, method, answer, this.#stopping);
    } catch (error) {
      this.#options.observer?.defect(error);
      response.close();
    }
  }

  #end(upload: Upload): void {
    upload.isOver = true;
    this.#uploaded(upload);
    this.#exchanges.leave(upload.intake);
  }

  #uploaded(upload: Upload): void {
    if (upload.isUploaded) return;
    upload.isUploaded = true;
    this.#uploads.remove(upload);
  }

  #closeSlow(): void {
    const oldestMs = performance.now() - this.#options.requestTimeoutMs;
    for (const { response, startedAtMs } of this.#uploads) {
      if (startedAtMs > oldestMs) return;
      this.#options.observer?.refused('timed_out');
      response.close();
    }
  }
}

/** The head as plain data, or the status it is refused with. The raw request is gone when the caller returns. */
function readHead(raw: RawRequest): HttpRequest | 400 | 431 {
  const headers: Record<string, string> = Object.create(null);
  const path = raw.getUrl();
  const query = (raw.getQuery() as string | undefined) ?? '';
  let headBytes = path.length + query.length;
  let lengths = 0;
  raw.forEach((name, value) => {
    headBytes += name.length + value.length + 4;
    if (name === 'content-length') lengths += 1;
    addHeader(headers, name, value);
  });
  if (headBytes > MAX_HEAD_BYTES) return 431;
  // The library takes every transfer coding as chunked.
  if (lengths > 1 || !hasKnownCoding(headers)) return 400;
  return { method: raw.getCaseSensitiveMethod(), path, query, headers };
}

/**
 * Answers and ends the connection: what follows such a head cannot be told from a next request. In this turn the library
 * would go on with what came in one piece with it; a request that comes while one is open it takes as the end.
 */
function endUnread(response: RawResponse, status: 400 | 431): void {
  let isGone = false;
  response.onAborted(() => {
    isGone = true;
  });
  setImmediate(() => {
    if (!isGone) send(response, 'GET', unreadable(status), true);
  });
}

function send(response: RawResponse, method: string, answer: HttpAnswer, close: boolean): void {
  response.cork(() => {
    response.writeStatus(`${answer.status} ${STATUS_CODES[answer.status] ?? 'Unknown'}`);
    const { headers } = answer;
    for (const name in headers) response.writeHeader(name, safeValue(headers[name] ?? ''));
    if (method === 'HEAD') {
      // With arguments the library never sees this answer as ended; the client closes by the header.
      if (close) response.writeHeader('connection', 'close');
      response.writeHeader('content-length', String(Buffer.byteLength(answer.body)));
      response.endWithoutBody();
      return;
    }
    response.end(answer.body, close);
  });
}

function listen(
  app: TemplatedApp,
  { host, port }: HttpServerOptions,
): Promise<us_listen_socket | false> {
  // The library's types leave this form out: host, port, options, callback.
  const listener = app as unknown as {
    listen(
      host: string,
      port: number,
      options: number,
      opened: (socket: us_listen_socket | false) => void,
    ): void;
  };
  return new Promise((resolve) => listener.listen(host, port, EXCLUSIVE_PORT, resolve));
}

/** The library only says that it could not listen; the system, asked once more, says why. */
function whyNot({ host, port }: HttpServerOptions): Promise<unknown> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close(() => resolve({ code: 'EADDRINUSE' }));
    });
  });
}

/**
 * Leaves the library's header out of our answers. What it refuses itself, such as HTTP/1.0, a target that is no path or a
 * wrong Content-Length, is never seen here, and answered with a page of its own that names it.
 */
function silence(library: Library): void {
  (library as unknown as { _cfg?(key: string): void })._cfg?.('silent');
}
