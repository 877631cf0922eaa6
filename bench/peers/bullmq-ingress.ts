/** The peer of `webhook-ingress`: node:http, the same verification, BullMQ `add` before the 202, a worker that consumes. */
import { Queue, Worker } from 'bullmq';
import { serveVerified } from './verified-server.ts';

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) };
// As long as ours a webhook id is known: a job that is removed at once would be taken again.
const kept = { age: 7 * 24 * 60 * 60 };
const jobOptions = { removeOnComplete: kept, removeOnFail: kept };
const queue = new Queue('webhooks', { connection, defaultJobOptions: jobOptions });
const worker = new Worker('webhooks', async () => undefined, { connection, concurrency: 100 });

serveVerified(
  ({ webhookId, body, accept, fail }) => {
    // The job id is BullMQ's own way to take a webhook id once.
    queue.add('webhook', JSON.parse(body.toString()), { jobId: webhookId }).then(accept, fail);
  },
  (response) => {
    // How many are not consumed yet.
    void queue.getJobCountByTypes('wait', 'active').then((count) => response.end(String(count)));
  },
);
process.once('SIGTERM', () => {
  void Promise.allSettled([worker.close(true), queue.close()]).then(() => process.exit(0));
});
