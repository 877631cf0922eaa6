/**
 * How many messages a second go the whole way: webhook accepted, durable, run, reply taken by the platform, over 64
 * conversations? The peer relays with the same client library and keeps nothing, so a ratio near 1 would mean that durability,
 * order and supervision are free. There is no bar; latency and flushes stand beside it.
 */
import { fileURLToPath } from 'node:url';
import { DEFAULT_TOKEN } from '../connectors/fakes/telegram/index.ts';
import type { BenchCase } from './bench-case.ts';
import { startBenchGateway } from './load/gateway.ts';
import { percentile, runLoad } from './load/http-load.ts';
import { startProcess } from './load/process.ts';
import { signedRequest } from './load/signed-webhook.ts';

const MESSAGES = 4_000;
const CONVERSATIONS = 64;
const CONNECTIONS = 64;
const REPLIES_MS = 60_000;

interface AcceptedMessage {
  readonly text: string;
  readonly atMs: number;
}

export const webhookToReply: BenchCase = {
  name: 'webhook-to-reply',
  unit: 'replies/s',
  peerName: 'a relay that keeps nothing',
  bar: 0,
  async open(scale) {
    const fake = await startProcess(
      process.execPath,
      [fileURLToPath(new URL('../connectors/fakes/telegram/main.js', import.meta.url))],
      { ready: /"url"/ },
    );
    const { url: apiRoot } = JSON.parse(fake.line) as { url: string };
    const env = { TELEGRAM_TOKEN: DEFAULT_TOKEN, API_ROOT: apiRoot };
    const gateway = await startBenchGateway(configuration(apiRoot), env);
    const peer = await startProcess(
      process.execPath,
      [fileURLToPath(new URL('./peers/relay.js', import.meta.url))],
      { ready: /^ready /, env },
    );
    const peerPort = Number(peer.line.split(' ')[1]);
    const latencies = { ours: [0] as readonly number[], peer: [0] as readonly number[] };
    let round = 0;
    let seen = 0;
    const go = async (host: string, port: number, count: number) => {
      round += 1;
      const load = await runLoad({
        host,
        port,
        connections: CONNECTIONS,
        expectStatus: 202,
        requests: requests(host, round, count),
      });
      if (load.unexpected > 0) throw new Error(`${load.unexpected} answers were not 202`);
      const replies = await waitForReplies(apiRoot, seen, count);
      seen += replies.length;
      return replies
        .map(({ text, atMs }) => atMs - Number(text.split(' ')[0]))
        .sort((a, b) => a - b);
    };
    const before = await gateway.status();
    await go(gateway.host, gateway.port, 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const flushesOfOne = (await gateway.status()).store.flushes - before.store.flushes;
    return {
      async ours() {
        latencies.ours = await go(gateway.host, gateway.port, MESSAGES * scale);
        return latencies.ours.length;
      },
      async peer() {
        latencies.peer = await go('127.0.0.1', peerPort, MESSAGES * scale);
        return latencies.peer.length;
      },
      details: () => ({
        p50_ms: percentile(latencies.ours, 0.5),
        p99_ms: percentile(latencies.ours, 0.99),
        peer_p50_ms: percentile(latencies.peer, 0.5),
        peer_p99_ms: percentile(latencies.peer, 0.99),
        // Accept, finish, and after the reply settle: two stand before the platform call.
        flushes_of_one_message: flushesOfOne,
      }),
      async close() {
        await Promise.all([gateway.close(), peer.close()]);
        await fake.close();
      },
    };
  },
};

function requests(host: string, round: number, count: number): readonly Buffer[] {
  return Array.from({ length: Math.max(1, count) }, (_, i) =>
    signedRequest({
      host,
      path: `/hooks/v1/bench-${i % CONVERSATIONS}`,
      id: `msg_${round}_${i}`,
      payload: { text: `${Date.now()} ${round} ${i}` },
    }),
  );
}

async function waitForReplies(
  apiRoot: string,
  since: number,
  count: number,
): Promise<readonly AcceptedMessage[]> {
  const endMs = performance.now() + REPLIES_MS;
  const accepted: AcceptedMessage[] = [];
  while (accepted.length < count) {
    const response = await fetch(`${apiRoot}/__fake/accepted?since=${since + accepted.length}`);
    const page = (await response.json()) as { messages: readonly AcceptedMessage[] };
    accepted.push(...page.messages);
    if (page.messages.length > 0) continue;
    if (performance.now() > endMs)
      throw new Error(`${accepted.length} of ${count} replies after ${REPLIES_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return accepted;
}

function configuration(apiRoot: string): string {
  const webhooks = Array.from(
    { length: CONVERSATIONS },
    (_, i) =>
      `[[webhooks]]\nintegration_id = "bench-${i}"\nprovider = "generic"\nsecret_refs = ["env:BENCH_SECRET"]\nreply_to = { connector = "telegram:main", conversation = "${1_000 + i}" }\n`,
  );
  return `[[connectors]]\nid = "telegram:main"\nkind = "telegram"\ntoken_ref = "env:TELEGRAM_TOKEN"\napi_root = "${apiRoot}"\n${webhooks.join('')}`;
}
