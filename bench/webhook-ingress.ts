/**
 * How many signed webhooks a second are durably accepted, each answered 202? The peer is the usual stack: node:http, the same
 * verification, BullMQ on a local Redis with `appendfsync everysec`, whose worker consumes. A good number is 1.5 although ours
 * promises more: it answers after an fsync, the peer may lose its last second. The load runs in this process, both servers
 * in theirs, all on the same cores.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchCase } from './bench-case.ts';
import { startBenchGateway } from './load/gateway.ts';
import { percentile, runLoad } from './load/http-load.ts';
import { startProcess } from './load/process.ts';
import { signedRequest } from './load/signed-webhook.ts';

const REQUESTS = 10_000;
const CONNECTIONS = 64;
const INTEGRATIONS = 64;

export const webhookIngress: BenchCase = {
  name: 'webhook-ingress',
  unit: 'webhooks/s',
  peerName: 'node:http + BullMQ',
  bar: 1.5,
  skip: async () =>
    spawnSync('redis-server', ['--version']).status === 0 ? '' : 'no redis-server on this machine',
  async open(scale) {
    const redis = await startRedis();
    const peer = await startProcess(
      process.execPath,
      [fileURLToPath(new URL('./peers/bullmq-ingress.js', import.meta.url))],
      {
        ready: /^ready /,
        env: { REDIS_PORT: String(redis.port) },
      },
    );
    const gateway = await startBenchGateway(configuration());
    const peerPort = Number(peer.line.split(' ')[1]);
    const latencies = { ours: [0], peer: [0] as readonly number[] };
    let round = 0;
    const load = async (host: string, port: number) => {
      round += 1;
      const result = await runLoad({
        host,
        port,
        connections: CONNECTIONS,
        expectStatus: 202,
        requests: requests(host, round, REQUESTS * scale),
      });
      if (result.unexpected > 0)
        throw new Error(`${result.unexpected} of ${result.answered} answers were not 202`);
      return result;
    };
    return {
      async ours() {
        const result = await load(gateway.host, gateway.port);
        latencies.ours = [...result.latenciesMs];
        return result.answered;
      },
      async peer() {
        const result = await load('127.0.0.1', peerPort);
        latencies.peer = result.latenciesMs;
        return result.answered;
      },
      details: () => ({
        p50_ms: percentile(latencies.ours, 0.5),
        p99_ms: percentile(latencies.ours, 0.99),
        peer_p50_ms: percentile(latencies.peer, 0.5),
        peer_p99_ms: percentile(latencies.peer, 0.99),
      }),
      async close() {
        await Promise.all([gateway.close(), peer.close()]);
        await redis.close();
      },
    };
  },
};

function requests(host: string, round: number, count: number): readonly Buffer[] {
  return Array.from({ length: count }, (_, i) =>
    signedRequest({
      host,
      path: `/hooks/v1/bench-${i % INTEGRATIONS}`,
      id: `msg_${round}_${i}`,
      payload: { type: 'order.paid', order: i, text: `order ${i} is paid` },
    }),
  );
}

function configuration(): string {
  return Array.from(
    { length: INTEGRATIONS },
    (_, i) =>
      `[[webhooks]]\nintegration_id = "bench-${i}"\nprovider = "generic"\nsecret_refs = ["env:BENCH_SECRET"]\n`,
  ).join('');
}

async function startRedis(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-redis-'));
  const port = await freePort();
  const redis = await startProcess(
    'redis-server',
    [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--appendonly',
      'yes',
      '--appendfsync',
      'everysec',
      '--save',
      '',
      '--maxmemory-policy',
      'noeviction',
    ],
    { ready: /Ready to accept connections/ },
  );
  return {
    port,
    async close() {
      await redis.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
