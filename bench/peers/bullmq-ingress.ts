/** The peer of `webhook-ingress`: node:http, the same verification, BullMQ `add` before the 202, a worker that consumes. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Queue, Worker } from 'bullmq';
import { parseSecret, verifyMessage } from '../../actors/webhooks/standard-webhooks.ts';
import { BENCH_SECRET } from '../load/signed-webhook.ts';

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) };
const jobOptions = { removeOnComplete: true, removeOnFail: true };
const queue = new Queue('webhooks', { connection, defaultJobOptions: jobOptions });
const worker = new Worker('webhooks', async () => undefined, { connection, concurrency: 100 });
const keys = [parseSecret(BENCH_SECRET) ?? Buffer.alloc(0)];

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    // How many are not consumed yet.
    void queue.getJobCountByTypes('wait', 'active').then((count) => response.end(String(count)));
    return;
  }
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
    // The job id is BullMQ's own way to take a webhook id once.
    queue.add('webhook', JSON.parse(body.toString()), { jobId: message.webhookId }).then(
      () =>
        response.writeHead(202, { 'content-type': 'application/json' }).end('{"accepted":true}'),
      () => response.writeHead(503).end(),
    );
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`ready ${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => {
  void Promise.allSettled([worker.close(true), queue.close()]).then(() => process.exit(0));
});
