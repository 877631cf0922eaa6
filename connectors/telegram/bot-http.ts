/** One HTTP exchange with a deadline that knows whether its request was written; it knows nothing of the Bot API. */

import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export class HttpExchangeError extends Error {
  readonly code: string;
  readonly requestWritten: boolean;

  constructor(code: string, requestWritten: boolean) {
    super(`HTTP exchange failed: ${code}`);
    this.name = 'HttpExchangeError';
    this.code = code;
    this.requestWritten = requestWritten;
  }
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** The header, '' where there is none. */
  readonly retryAfter: string;
}

export interface HttpCall {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal | undefined;
}

export interface BotHttp {
  /** Rejects with an `HttpExchangeError` only. */
  exchange(url: string, call: HttpCall): Promise<HttpAnswer>;
  /** Breaks off what is under way and closes idle connections. */
  close(): void;
}

export interface BotHttpLimits {
  readonly connectTimeoutMs: number;
  /** From the call to the last byte of the answer. */
  readonly deadlineMs: number;
}

/** Below what servers keep idle connections for, so that a request seldom meets one that is just being closed. */
const IDLE_SOCKET_MS = 4_000;
const MAX_ANSWER_BYTES = 16 * 1_024 * 1_024;
/** Some of Telegram's front ends reset a handshake that offers post-quantum groups. */
const TLS_GROUPS = 'X25519:P-256:P-384';

export function createBotHttp(limits: BotHttpLimits): BotHttp {
  const keep = { keepAlive: true, timeout: IDLE_SOCKET_MS };
  const plain = new HttpAgent(keep);
  const secure = new HttpsAgent({ ...keep, ecdhCurve: TLS_GROUPS });
  const underWay = new Set<Exchange>();
  let isClosed = false;
  return {
    async exchange(url, call) {
      if (isClosed || call.signal?.aborted === true) throw new HttpExchangeError('aborted', false);
      const exchange = new Exchange(limits);
      underWay.add(exchange);
      try {
        return await exchange.run(new URL(url), call, { plain, secure });
      } finally {
        underWay.delete(exchange);
      }
    },
    close() {
      isClosed = true;
      for (const exchange of underWay) exchange.end('aborted');
      plain.destroy();
      secure.destroy();
    },
  };
}

class Exchange {
  readonly #limits: BotHttpLimits;
  #request: ClientRequest | undefined;
  #isConnected = false;
  #endedBy = '';

  constructor(limits: BotHttpLimits) {
    this.#limits = limits;
  }

  async run(
    url: URL,
    call: HttpCall,
    agents: { readonly plain: HttpAgent; readonly secure: HttpsAgent },
  ): Promise<HttpAnswer> {
    const isSecure = url.protocol === 'https:';
    const options = {
      method: call.method,
      headers: { ...call.headers, 'content-length': String(Buffer.byteLength(call.body)) },
    };
    const request = isSecure
      ? httpsRequest(url, { ...options, agent: agents.secure })
      : httpRequest(url, { ...options, agent: agents.plain });
    this.#request = request;
    const abort = () => this.end('aborted');
    const deadline = setTimeout(() => this.end('deadline'), this.#limits.deadlineMs);
    const connecting = setTimeout(() => {
      if (!this.#isConnected) this.end('connect_timeout');
    }, this.#limits.connectTimeoutMs);
    call.signal?.addEventListener('abort', abort, { once: true });
    try {
      this.#watchConnection(request, isSecure);
      const response = await answerTo(request, call.body);
      return await readAnswer(response);
    } catch (error) {
      throw new HttpExchangeError(this.#endedBy || codeOf(error), this.#isConnected);
    } finally {
      clearTimeout(deadline);
      clearTimeout(connecting);
      call.signal?.removeEventListener('abort', abort);
    }
  }

  end(why: string): void {
    if (this.#endedBy === '') this.#endedBy = why;
    this.#request?.destroy(new Error(why));
  }

  /** Node writes a request as soon as its connection stands: from then on it may have arrived. */
  #watchConnection(request: ClientRequest, isSecure: boolean): void {
    request.once('socket', (socket) => {
      if (request.reusedSocket || (!isSecure && !socket.connecting)) this.#isConnected = true;
      else socket.once(isSecure ? 'secureConnect' : 'connect', () => (this.#isConnected = true));
    });
  }
}

function answerTo(request: ClientRequest, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
    request.once('close', () => reject(new Error('closed')));
    request.end(body);
  });
}

async function readAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response) {
    parts.push(part);
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES) throw Object.assign(new Error(), { code: 'answer_too_large' });
  }
  return {
    status: response.statusCode ?? 0,
    body: Buffer.concat(parts).toString('utf8'),
    retryAfter: response.headers['retry-after'] ?? '',
  };
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return 'connection_lost';
}
