/** What the peers of webhook benches have in common: node:http, the whole body, the same verification as ours. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseSecret, verifyMessage } from '../../actors/webhooks/standard-webhooks.ts';
import { BENCH_SECRET } from '../load/signed-webhook.ts';

const keys = [parseSecret(BENCH_SECRET) ?? Buffer.alloc(0)];

export interface Verified {
  readonly webhookId: string;
  readonly body: Buffer;
  readonly url: string;
  accept(): void;
  fail(): void;
}

/** Prints `ready PORT` once it listens. `other` answers what is no POST. */
export function serveVerified(
  take: (event: Verified) => void,
  other: (response: ServerResponse) => void = (response) => void response.writeHead(405).end(),
): void {
  const server = createServer((request, response) => {
    if (request.method === 'POST') receive(request, response, take);
    else other(response);
  });
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`ready ${(server.address() as AddressInfo).port}\n`);
  });
}

function receive(
  request: IncomingMessage,
  response: ServerResponse,
  take: (event: Verified) => void,
): void {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    const header = (name: string) => String(request.headers[name] ?? '');
    const webhookId = header('webhook-id');
    const message = { webhookId, webhookTimestamp: header('webhook-timestamp'), body };
    if (verifyMessage(keys, message, header('webhook-signature'), Date.now()) !== 'valid') {
      response.writeHead(401).end();
      return;
    }
    take({
      webhookId,
      body,
      url: request.url ?? '',
      accept: () =>
        response.writeHead(202, { 'content-type': 'application/json' }).end('{"accepted":true}'),
      fail: () => response.writeHead(503).end(),
    });
  });
}
