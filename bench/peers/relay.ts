/** The peer of `webhook-to-reply`: the same verification and the same client library, nothing durable, nothing in order. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Bot } from 'grammy';
import { parseSecret, verifyMessage } from '../../actors/webhooks/standard-webhooks.ts';
import { BENCH_SECRET } from '../load/signed-webhook.ts';

const bot = new Bot(String(process.env.TELEGRAM_TOKEN), {
  client: { apiRoot: String(process.env.API_ROOT) },
});
const keys = [parseSecret(BENCH_SECRET) ?? Buffer.alloc(0)];

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    const header = (name: string) => String(request.headers[name] ?? '');
    const message = {
      webhookId: header('webhook-id'),
      webhookTimestamp: header('webhook-timestamp'),
      body,
    };
    if (verifyMessage(keys, message, header('webhook-signature'), Date.now()) !== 'valid') {
      response.writeHead(401).end();
      return;
    }
    const { text } = JSON.parse(body.toString()) as { text: string };
    response.writeHead(202, { 'content-type': 'application/json' }).end('{"accepted":true}');
    const chat = Number(request.url?.split('-').at(-1)) + 1_000;
    bot.api.sendMessage(chat, text).catch((error: unknown) => console.error(error));
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`ready ${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => process.exit(0));
