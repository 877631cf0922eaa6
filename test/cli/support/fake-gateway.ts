/** A scripted admin API on a free port: answers by method and path, and keeps what it was asked. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface FakeReply {
  readonly status?: number;
  readonly body: unknown;
}

/** `METHOD /path` → its reply; a path that has none is answered by a `not_found` problem. */
export type FakeScript = Readonly<Record<string, (request: FakeRequest) => FakeReply>>;

export interface FakeGateway {
  readonly url: string;
  readonly requests: readonly FakeRequest[];
  close(): void;
}

export async function openFakeGateway(script: FakeScript): Promise<FakeGateway> {
  const requests: FakeRequest[] = [];
  const server = createServer(async (message, response) => {
    let body = '';
    for await (const part of message) body += String(part);
    const url = new URL(message.url ?? '', 'http://fake');
    const request = {
      method: message.method ?? '',
      path: decodeURIComponent(url.pathname),
      query: Object.fromEntries(url.searchParams),
      headers: message.headers,
      body,
    };
    requests.push(request);
    const reply = script[`${request.method} ${request.path}`]?.(request) ?? {
      status: 404,
      body: {
        title: 'No such thing',
        status: 404,
        code: 'not_found',
        detail: `no ${request.path}`,
      },
    };
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(reply.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
