/**
 * How many signed webhooks a second come through, with 64 or 256 senders that wait for their answer: each durably accepted,
 * answered 202 and consumed, from the first request to the end of the last run or job? The peer is the usual stack: node:http,
 * the same verification, BullMQ on a local Redis with `appendfsync everysec`, whose worker consumes. A good number is 1.5
 * although ours promises more: it answers after an fsync, the peer may lose its last second. Both consume while they accept;
 * what is put off is within the time, or the side that leaves more undone would win. Beside it stand what the senders see, the
 * 202s a second until the last one, and what CPU a message takes: by all threads, which is what counts where these share few
 * cores, and by the busiest one, which is what counts where each has a core of its own. The load runs in this process, both
 * servers in theirs, all on the same cores.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BenchCase } from './bench-case.ts';
import { cpuTaken, cpuTimes } from './load/cpu.ts';
import { startBenchGateway } from './load/gateway.ts';
import { median, percentile, runLoad } from './load/http-load.ts';
import { startProcess } from './load/process.ts';
import { signedRequest } from './load/signed-webhook.ts';

/** A second of load or less: on a machine whose speed changes, many short rounds are more telling than few long ones. */
const REQUESTS = 5_000;
const INTEGRATIONS = 64;
const POLL_MS = 20;
/** The peer's store flushes once a second, ours is written to the same disk: neither may pay for the other's round. */
const QUIET_MS = 1_100;

export const webhookIngress64 = ingressCase(64);
export const webhookIngress256 = ingressCase(256);

function ingressCase(connections: number): BenchCase {
  return {
    name: `webhook-ingress/${connections}-senders`,
    unit: 'webhooks/s',
    peerName: 'node:http + BullMQ',
    bar: 1.5,
    rounds: 17,
    // After one round the optimizing compiler is still at work, on both sides.
    warmUps: 3,
    skip: async () =>
      spawnSync('redis-server', ['--version']).status === 0
        ? ''
        : 'no redis-server on this machine',
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
      const ours = newSide([gateway.pid], () => openRuns(gateway));
      const peers = newSide([peer.pid, redis.pid], () => waitingJobs(peerPort));
      let round = 0;
      // Signed outside of the time that counts.
      const nextRequests = () => requests(gateway.host, ++round, REQUESTS * scale);
      let prepared = nextRequests();
      const load = async (side: Side, host: string, port: number) => {
        const cpuBefore = cpuTimes(side.pids);
        const loadBefore = process.cpuUsage();
        const startedAtMs = performance.now();
        const result = await runLoad({
          host,
          port,
          connections,
          expectStatus: 202,
          requests: prepared,
        });
        side.acceptedPerS.push(perSecond(result.answered, startedAtMs));
        const load = process.cpuUsage(loadBefore);
        const accepted = cpuTaken(cpuBefore, cpuTimes(side.pids));
        if (result.unexpected > 0)
          throw new Error(`${result.unexpected} of ${result.answered} answers were not 202`);
        while ((await side.backlog()) > 0) await setTimeout(POLL_MS);
        const taken = cpuTaken(cpuBefore, cpuTimes(side.pids));
        side.acceptUs.push(accepted.us / result.answered);
        side.cpuUs.push(taken.us / result.answered);
        side.busiestUs.push(taken.busiestUs / result.answered);
        side.loadUs.push((load.user + load.system) / result.answered);
        side.latenciesMs = result.latenciesMs;
        return result.answered;
      };
      return {
        ours: () => load(ours, gateway.host, gateway.port),
        peer: () => load(peers, '127.0.0.1', peerPort),
        async settle() {
          prepared = nextRequests();
          await setTimeout(QUIET_MS);
        },
        details: () => ({
          p50_ms: percentile(ours.latenciesMs, 0.5),
          p99_ms: percentile(ours.latenciesMs, 0.99),
          peer_p50_ms: percentile(peers.latenciesMs, 0.5),
          peer_p99_ms: percentile(peers.latenciesMs, 0.99),
          accepted_per_s: median(ours.acceptedPerS),
          peer_accepted_per_s: median(peers.acceptedPerS),
          accepted_ratio: median(
            ours.acceptedPerS.map((rate, round) => rate / (peers.acceptedPerS[round] ?? rate)),
          ),
          accept_us: median(ours.acceptUs),
          peer_accept_us: median(peers.acceptUs),
          cpu_us: median(ours.cpuUs),
          peer_cpu_us: median(peers.cpuUs),
          busiest_thread_us: median(ours.busiestUs),
          peer_busiest_thread_us: median(peers.busiestUs),
          load_us: median([...ours.loadUs, ...peers.loadUs]),
        }),
        async close() {
          await Promise.all([gateway.close(), peer.close()]);
          await redis.close();
        },
      };
    },
  };
}

interface Side {
  /** Of its servers. */
  readonly pids: readonly number[];
  latenciesMs: readonly number[];
  /** Accepted and not yet consumed. */
  backlog(): Promise<number>;
  /** Of each round, a second: 202s until the last one. */
  readonly acceptedPerS: number[];
  /** Of each round, for one message: of all threads until the last 202, of all and of the busiest one until all is consumed. */
  readonly acceptUs: number[];
  readonly cpuUs: number[];
  readonly busiestUs: number[];
  /** Of each round, for one message. */
  readonly loadUs: number[];
}

function newSide(pids: readonly number[], backlog: () => Promise<number>): Side {
  const perRound = { acceptedPerS: [], acceptUs: [], cpuUs: [], busiestUs: [], loadUs: [] };
  return { pids, latenciesMs: [0], backlog, ...perRound };
}

function perSecond(count: number, startedAtMs: number): number {
  return (count * 1_000) / (performance.now() - startedAtMs);
}

async function openRuns({ host, port }: { readonly host: string; readonly port: number }) {
  const metrics = await (await fetch(`http://${host}:${port}/metrics`)).text();
  return Number(/^palyra_router_open_runs (\d+)$/m.exec(metrics)?.[1] ?? 0);
}

async function waitingJobs(port: number): Promise<number> {
  return Number(await (await fetch(`http://127.0.0.1:${port}/`)).text());
}

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

interface Redis {
  readonly port: number;
  readonly pid: number;
  close(): Promise<void>;
}

async function startRedis(): Promise<Redis> {
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
    pid: redis.pid,
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
