/**
 * How many messages a second go the whole way: webhook accepted, durable, run, reply taken by the platform, over 64
 * conversations? The peer relays with the same client library and keeps nothing, so a ratio near 1 would mean that durability,
 * order and supervision are free. There is no bar; latency and flushes stand beside it. A latency is the time from a sender's
 * 202 until the platform took the reply. In a round, which is sent as fast as it is accepted, that is the wait behind the
 * others: accepting is faster than replying. `paced_` is the same where a fifth of what came through in a second comes in one.
 */
import { fileURLToPath } from 'node:url';
import { DEFAULT_TOKEN } from '../connectors/fakes/telegram/index.ts';
import type { BenchCase } from './bench-case.ts';
import { startBenchGateway } from './load/gateway.ts';
import { median, percentile, runLoad } from './load/http-load.ts';
import { startProcess } from './load/process.ts';
import { signedRequest } from './load/signed-webhook.ts';

const MESSAGES = 4_000;
const CONVERSATIONS = 64;
const CONNECTIONS = 64;
const REPLIES_MS = 60_000;
const PACED_SHARE = 0.2;
const PACED_SECONDS = 2;

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
    let round = 0;
    let seen = 0;
    const go = async ({ host, port }: Side, count: number, perSecond?: number): Promise<Way> => {
      round += 1;
      const answeredAtMs: number[] = [];
      const startedAtMs = performance.now();
      const load = await runLoad({
        host,
        port,
        connections: CONNECTIONS,
        expectStatus: 202,
        requests: requests(host, round, count),
        ...(perSecond === undefined ? {} : { perSecond }),
        onAnswer(request) {
          answeredAtMs[request] = Date.now();
        },
      });
      if (load.unexpected > 0) throw new Error(`${load.unexpected} answers were not 202`);
      const replies = await waitForReplies(apiRoot, seen, load.answered);
      seen += replies.length;
      const latenciesMs = replies
        .map(({ text, atMs }) => atMs - (answeredAtMs[Number(text.split(' ')[1])] ?? Number.NaN))
        .sort((a, b) => a - b);
      return {
        replies: replies.length,
        perSecond: replies.length / ((performance.now() - startedAtMs) / 1_000),
        p50Ms: percentile(latenciesMs, 0.5),
        p99Ms: percentile(latenciesMs, 0.99),
      };
    };
    const ours: Side = { host: gateway.host, port: gateway.port, full: [], paced: [] };
    const peers: Side = { host: '127.0.0.1', port: peerPort, full: [], paced: [] };
    let last = ours;
    const goFull = async (side: Side) => {
      last = side;
      const way = await go(side, MESSAGES * scale);
      side.full.push(way);
      return way.replies;
    };
    const before = await gateway.status();
    await go(ours, 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const flushesOfOne = (await gateway.status()).store.flushes - before.store.flushes;
    return {
      ours: () => goFull(ours),
      peer: () => goFull(peers),
      /** The peer's pace is ours. */
      async settle() {
        const { perSecond = 0 } = ours.full.at(-1) ?? {};
        const pace = perSecond * PACED_SHARE;
        if (pace > 0) last.paced.push(await go(last, pace * PACED_SECONDS * scale, pace));
      },
      details: () => ({
        ...latenciesOf('', ours.full),
        ...latenciesOf('peer_', peers.full),
        ...latenciesOf('paced_', ours.paced),
        ...latenciesOf('peer_paced_', peers.paced),
        paced_per_s: median(ours.paced.map(({ perSecond }) => perSecond)),
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

interface Side {
  readonly host: string;
  readonly port: number;
  /** Of each round: all at once, and at a pace. */
  readonly full: Way[];
  readonly paced: Way[];
}

/** What messages of one load took. */
interface Way {
  readonly replies: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Medians of the rounds. */
function latenciesOf(prefix: string, rounds: readonly Way[]): Readonly<Record<string, number>> {
  return {
    [`${prefix}p50_ms`]: median(rounds.map(({ p50Ms }) => p50Ms)),
    [`${prefix}p99_ms`]: median(rounds.map(({ p99Ms }) => p99Ms)),
  };
}

function requests(host: string, round: number, count: number): readonly Buffer[] {
  return Array.from({ length: Math.max(1, Math.trunc(count)) }, (_, i) =>
    signedRequest({
      host,
      path: `/hooks/v1/bench-${i % CONVERSATIONS}`,
      id: `msg_${round}_${i}`,
      payload: { text: `${round} ${i}` },
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
