/** A gateway whose process has no descriptor left: what it has taken goes on, and it takes more when there are some again. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type GatewayProcess, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { skipTest } from '../support/skip.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until } from '../support/within.ts';

const CONFIG = `
[[connectors]]
id = "echo:side"
kind = "echo"
[[webhooks]]
integration_id = "orders"
secret_refs = ["env:ORDERS_SECRET"]
reply_to = { connector = "echo:side", conversation = "42" }
`;
const ENV = { ORDERS_SECRET: TEST_SECRET };
const REPLIED_MS = 30_000;
const REFUSED_MS = 60_000;

const test = suite('descriptors');

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Every request on one connection, which is there before the descriptors end. */
class OneConnection {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  ask(path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const method = body === undefined ? 'GET' : 'POST';
      const options = { agent: this.#agent, method, headers, timeout: 20_000 };
      const sent = request(new URL(path, this.#url), options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      });
      sent.once('error', reject).once('timeout', () => sent.destroy(new Error('no answer')));
      sent.end(body);
    });
  }

  async post(webhookId: string): Promise<number> {
    const at = new Date();
    const body = `{"text":"${webhookId}"}`;
    const headers = {
      'webhook-id': webhookId,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': new Webhook(TEST_SECRET).sign(webhookId, at, body),
    };
    return (await this.ask('/hooks/v1/orders', headers, body)).status;
  }

  /** Until so many replies have been delivered. */
  async replies(count: number, { token }: GatewayProcess): Promise<void> {
    const headers = { authorization: `Bearer ${token}` };
    await until(
      `${count} replies`,
      async () => {
        const { body } = await this.ask('/admin/v1/channels/echo:side', headers);
        const { deliveries } = JSON.parse(body) as { deliveries: { status: string }[] };
        const done = deliveries.filter(({ status }) => status === 'delivered').length;
        return done === count;
      },
      REPLIED_MS,
    );
  }

  close(): void {
    this.#agent.destroy();
  }
}

function limit(pid: number, soft: number): void {
  const { status, stderr } = spawnSync('prlimit', [`--pid=${pid}`, `--nofile=${soft}:`]);
  assert.is(status, 0, String(stderr));
}

async function withGateway(
  work: (gateway: GatewayProcess, connection: OneConnection) => Promise<void>,
  under: readonly string[] = [],
): Promise<void> {
  await withStateRoot(async (stateRoot) => {
    const gateway = await startGateway({ config: CONFIG, stateRoot, env: ENV, under });
    const connection = new OneConnection(gateway.url);
    try {
      await work(gateway, connection);
      assert.equal(await gateway.stop(), { code: 0, signal: null });
    } finally {
      connection.close();
      await gateway.kill();
    }
  });
}

/** With half of them for connections: more than enough for the rest of a gateway. */
const DESCRIPTORS = 512;
const REFUSED = /^palyra_http_refused_total\{reason="too_many_connections"\} (\d+)$/m;

/** Connects again and again and says nothing, until as many connections again were closed as there may be. */
async function flood(port: number, connection: OneConnection): Promise<Socket[]> {
  const sockets: Socket[] = [];
  let isOver = false;
  const more = () => {
    if (isOver) return;
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.once('error', () => socket.destroy()).once('close', () => setTimeout(more, 10));
  };
  for (let n = 0; n < DESCRIPTORS; n += 1) more();
  await until(
    'connections are refused',
    async () => {
      const { body } = await connection.ask('/metrics');
      return Number(REFUSED.exec(body)?.[1] ?? 0) > DESCRIPTORS;
    },
    REFUSED_MS,
  );
  isOver = true;
  return sockets;
}

const TITLES = {
  without: 'the first message of a gateway without a free descriptor is answered and replied to',
  flooded: 'silent connections take half of the descriptors, are counted, and stop no message',
};
if (spawnSync('prlimit', ['--version']).status === 0) {
  test(TITLES.without, () =>
    withGateway(async (gateway, connection) => {
      assert.is((await connection.ask('/livez')).status, 200);
      limit(gateway.pid, 1);
      assert.is(await connection.post('without'), 202);
      await connection.replies(1, gateway);
      limit(gateway.pid, 1_000);
      const post = { url: gateway.url, integrationId: 'orders', payload: { text: 'again' } };
      assert.is((await postWebhook({ ...post, webhookId: 'again' })).status, 202);
      await connection.replies(2, gateway);
    }),
  );

  test(TITLES.flooded, () =>
    withGateway(
      async (gateway, connection) => {
        assert.is((await connection.ask('/livez')).status, 200);
        const sockets = await flood(Number(new URL(gateway.url).port), connection);
        // A spare thread that loads its code has many files open for a moment.
        await until(
          'a quarter of the descriptors is free',
          () => readdirSync(`/proc/${gateway.pid}/fd`).length <= 0.75 * DESCRIPTORS,
          REFUSED_MS,
        );
        assert.is(await connection.post('flooded'), 202);
        await connection.replies(1, gateway);
        for (const socket of sockets) socket.destroy();
        await until(
          'another connection is taken',
          () =>
            fetch(`${gateway.url}/readyz`).then(
              ({ ok }) => ok,
              () => false,
            ),
          REPLIED_MS,
        );
      },
      ['prlimit', `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`],
    ),
  );
} else {
  for (const title of Object.values(TITLES)) {
    skipTest(test, title, 'no prlimit here; it is part of util-linux');
  }
}

test.run();
