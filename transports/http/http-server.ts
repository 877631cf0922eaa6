/**
 * One small HTTP server contract with two implementations: `uws.ts` and its `node.ts` twin. It knows no route. What is not the
 * HTTP/1.1 that it takes (another version, a target that is no path, a wrong or second length, bad chunks, an unknown coding, a
 * head too large) reaches no handler: it is answered 400, 431 or 505 or not at all, and the connection is closed. The answer is a
 * problem document, except where uWebSockets.js has refused it before we hear of it: that is a page of the library's, without
 * a code, and no `HttpObserver` is told.
 */
import type { Connections } from './connections.ts';

export interface HttpRequest {
  readonly method: string;
  /** Without the query, still percent-encoded. */
  readonly path: string;
  /** Without the `?`; '' for none. */
  readonly query: string;
  /** Lower-case names; a repeated header's values joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface HttpAnswer {
  readonly status: number;
  /** Its own record: whoever passes the answer on may add to it. */
  readonly headers: Record<string, string>;
  readonly body: string;
}

export interface HttpClient {
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

export interface HttpHandler {
  /** Called when the head has arrived: what takes the body, or an answer at once. */
  begin(request: HttpRequest): HttpIntake | HttpAnswer;
}

/** What one request's head led to; `tooLarge`, `overloaded` or `answer` is called at most once. */
export interface HttpIntake {
  /** A longer body is answered by `tooLarge` and never held in memory. */
  readonly maxBodyBytes: number;
  tooLarge(): HttpAnswer;
  /** Whose share of the requests in progress it takes. */
  readonly source: string;
  /** It takes one of the places that are kept for those who look after the server. */
  readonly isReserved: boolean;
  /** The answer where its source has its share already. */
  overloaded(): HttpAnswer;
  /**
   * Called with the whole body, exactly as sent, which may be a view of memory that holds other things too. `done` hears the
   * answer, or the defect that is there instead; what it hears after that is dropped. A defect, a throw and a rejection are
   * answered as 500.
   */
  answer(
    body: Uint8Array,
    client: HttpClient,
    done: (answer: HttpAnswer | Error) => void,
  ): Promise<void> | undefined;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** A connection that has not sent its whole request by then is closed. */
  readonly requestTimeoutMs: number;
  /** Those that are open; one that is too many is closed when it comes. */
  readonly connections: Connections;
  /** Requests in progress at once, in fair shares of their sources; one that is answered at once is none. */
  readonly maxRequests: number;
  /** Beside them: places that no other request can take. */
  readonly maxReserved: number;
  /** Told what no handler sees. */
  readonly observer?: HttpObserver;
}

export interface HttpObserver {
  /** The handler threw or rejected; the client got a 500 without its text. */
  defect(error: unknown): void;
  /** too_many_connections: closed when it came · overloaded: its source had its share · timed_out: closed by `requestTimeoutMs` · unreadable: not HTTP, or a head too large. */
  refused(reason: HttpRefusal): void;
}

export type HttpRefusal = 'too_many_connections' | 'overloaded' | 'timed_out' | 'unreadable';

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Refuses new connections; requests in progress go on. */
  stopListening(): Promise<void>;
  /** Lets requests in progress finish for `graceMs`, then closes every connection. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with `HttpListenError`. */
export type OpenHttpServer = (
  options: HttpServerOptions,
  handler: HttpHandler,
) => Promise<HttpServer>;
