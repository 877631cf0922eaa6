/** A thread of the sessions that does not come back to its event loop: senders of webhooks get their 202 all the same. */
import { readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createGateway, type GatewayHandle } from '../../cli/gateway.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until, within } from '../support/within.ts';

/** Enough of each that both threads would have some. */
const ACCOUNTS = Array.from({ length: 6 }, (_, n) => `deadly:${n}`);
const hookOf = (n: number) => `hook-${n}`;
const HOOKS = ACCOUNTS.map((_, n) => hookOf(n));
/** Longer than the test: the thread is blocked until the gateway stops. */
const STALL_KILL_MS = 600_000;
const KIND = {
  module: new URL(`../faults/deadly-kind${extname(import.meta.url)}`, import.meta.url).href,
  export: 'deadlyKind',
};

interface World {
  readonly gateway: GatewayHandle;
  /** What connectors have written down: each line a piece that was sent, or that is about to block its thread. */
  log(): readonly string[];
  /** Answered with the status. */
  post(integrationId: string, text: string): Promise<number>;
}

async function withGateway(work: (world: World) => Promise<void>): Promise<void> {
  await withStateRoot(async (stateRoot) => {
    const logFile = join(stateRoot, 'sent.log');
    writeFileSync(logFile, '');
    writeFileSync(`${logFile}.secret`, TEST_SECRET, { mode: 0o600 });
    const gateway = createGateway({
      config: {
        http: { listen: '127.0.0.1:0' },
        connectors: ACCOUNTS.map((id) => ({ id, kind: 'deadly', log_file: logFile })),
        webhooks: ACCOUNTS.map((connector, n) => ({
          integration_id: hookOf(n),
          secret_refs: [`file:${logFile}.secret`],
          reply_to: { connector, conversation: 'main' },
        })),
      },
      stateRoot,
      connectors: { deadly: KIND },
      threads: 2,
      threadLimits: { stallKillMs: STALL_KILL_MS },
    });
    try {
      const { http: url } = await within('ready', gateway.ready, 60_000);
      await work({
        gateway,
        log: () => readFileSync(logFile, 'utf8').split('\n').slice(0, -1),
        async post(integrationId, text) {
          const webhookId = `${integrationId} ${text}`.replaceAll(' ', '-');
          return (await postWebhook({ url, integrationId, webhookId, payload: { text } })).status;
        },
      });
    } finally {
      await within('stop', gateway.stop({ deadlineMs: 4_000 }), 25_000);
    }
  });
}

/** The threads of the components below this path, by their ids; undefined until each of them runs. */
async function threadsOf({ gateway }: World, below: string, ids: readonly string[]) {
  const { components } = await gateway.call('status.get', {});
  const running = components.filter(({ state }) => state === 'running');
  const found = ids.flatMap((id) => running.filter(({ path }) => path.endsWith(`${below}${id}`)));
  return found.length === ids.length ? found.map(({ thread }) => thread) : undefined;
}

const story = suite('a thread of the sessions that is blocked');

story('every webhook gets its 202 while a reply blocks the thread of the sessions', () =>
  withGateway(async (world) => {
    const { log, post } = world;
    const hooks = () => threadsOf(world, '/webhooks/hook:', HOOKS);
    const urgent = new Set(await until('the webhooks run', hooks, 30_000));
    assert.is(urgent.size, 1, 'all webhooks are on one thread');
    const accounts = () => threadsOf(world, '/channels/', ACCOUNTS);
    const threads = await until('the accounts run', accounts, 30_000);
    const blocking = threads.findIndex((thread) => !urgent.has(thread));
    assert.is.not(blocking, -1, 'an account on the thread of the sessions');
    assert.is(await post(hookOf(blocking), 'always loop now'), 202);
    await until('the thread is blocked', () => log().length === 1, 30_000);
    for (const hook of HOOKS) assert.is(await post(hook, 'meanwhile'), 202);
    assert.is(log().length, 1, 'nothing is answered: the thread is blocked still');
  }),
);

story.run();
