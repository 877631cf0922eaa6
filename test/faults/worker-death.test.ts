/** Worker threads of a whole gateway that die by a connector's doing, four ways: its actors are back, the others kept running, nothing accepted is lost. */
import { readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ConfigTable, createGateway, type GatewayHandle } from '../../cli/gateway.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { faultScale } from '../support/scale.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until, within } from '../support/within.ts';
import { type Sent, WAYS, type Way } from './deadly-kind.ts';

export const deadlineMs = 600_000;

const ROUNDS = faultScale(1, 10);
/** Enough that both threads have some. */
const ACCOUNTS = Array.from({ length: 6 }, (_, n) => `deadly:${n}`);
const CONVERSATIONS = 16;
const STALL_KILL_MS = 4_000;
const BACK_MS = 60_000;
const KIND = {
  module: new URL(`./deadly-kind${extname(import.meta.url)}`, import.meta.url).href,
  export: 'deadlyKind',
};

/** What else the thread of the account that dies has; connectors are on both. */
const THREADS = ['webhooks', 'sessions'] as const;
type Thread = (typeof THREADS)[number];

interface World {
  readonly gateway: GatewayHandle;
  readonly url: string;
  sent(): readonly Sent[];
  /** Accounts by the thread that they run on. */
  threads(): Promise<ReadonlyMap<string, Component>>;
  webhooksThread(): Promise<string>;
}

interface Component {
  readonly thread: string;
  readonly state: string;
  readonly restarts: number;
}

function configOf(logFile: string): ConfigTable {
  return {
    http: { listen: '127.0.0.1:0' },
    connectors: ACCOUNTS.map((id) => ({ id, kind: 'deadly', log_file: logFile })),
    webhooks: ACCOUNTS.map((connector, n) => ({
      integration_id: `hook-${n}`,
      secret_refs: [`file:${logFile}.secret`],
      reply_to: { connector, conversation: 'main' },
    })),
    channel_router: {
      routing: {
        channels: ACCOUNTS.map((channel) => ({
          channel,
          enabled: true,
          allow_direct_messages: true,
          direct_message_policy: 'allow',
        })),
      },
    },
  };
}

async function withGateway(work: (world: World) => Promise<void>): Promise<void> {
  await withStateRoot(async (stateRoot) => {
    const logFile = join(stateRoot, 'sent.log');
    writeFileSync(logFile, '');
    writeFileSync(`${logFile}.secret`, TEST_SECRET, { mode: 0o600 });
    const gateway = createGateway({
      config: configOf(logFile),
      stateRoot,
      connectors: { deadly: KIND },
      threads: 2,
      threadLimits: { stallKillMs: STALL_KILL_MS, maxHeapMb: 64 },
    });
    try {
      const { http: url } = await within('ready', gateway.ready, 60_000);
      await work({
        gateway,
        url,
        sent: () => readSent(logFile),
        threads: () => threadsOf(gateway),
        webhooksThread: async () => {
          const { components } = await gateway.call('status.get', {});
          const found = components.find(({ path }) => path.endsWith('/webhooks/hook:hook-0'));
          return found?.thread ?? '';
        },
      });
    } finally {
      await within('stop', gateway.stop({ deadlineMs: 15_000 }), 25_000);
    }
  });
}

function readSent(logFile: string): readonly Sent[] {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line) as Sent);
}

async function threadsOf(gateway: GatewayHandle): Promise<ReadonlyMap<string, Component>> {
  const { components } = await gateway.call('status.get', {});
  return new Map(
    ACCOUNTS.flatMap((id): [string, Component][] => {
      const found = components.find(({ path }) => path.endsWith(`/channels/${id}`));
      return found === undefined ? [] : [[id, found]];
    }),
  );
}

/** Posts to the account's webhook until told to end; gives every text that was acknowledged. */
function keepPosting({ url }: World, account: string, name: string) {
  const texts: string[] = [];
  const acceptedAtMs: number[] = [];
  const answers: (number | string)[] = [];
  let isEnding = false;
  const run = async () => {
    for (let n = 0; !isEnding; n += 1) {
      const text = `${name} ${account} ${n}`;
      const post = {
        url,
        integrationId: hookOf(account),
        webhookId: idOf(text),
        payload: { text },
      };
      const { status } = await postWebhook(post);
      answers.push(status);
      if (status === 202) {
        texts.push(text);
        acceptedAtMs.push(Date.now());
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  // A gateway that has ended by then is told by what the test awaits.
  const running = run().catch((error: unknown) => void answers.push(String(error)));
  return {
    texts,
    acceptedAtMs,
    answers,
    async end() {
      isEnding = true;
      await running;
    },
  };
}

const idOf = (text: string) => text.replaceAll(/[ :]/g, '-');
const hookOf = (account: string) => `hook-${ACCOUNTS.indexOf(account)}`;

async function command({ url }: World, account: string, text: string): Promise<void> {
  const answer = await postWebhook({
    url,
    integrationId: hookOf(account),
    webhookId: idOf(text),
    payload: { text },
  });
  assert.is(answer.status, 202, JSON.stringify(answer.body));
}

/** New conversations of one account, whose sessions are on the other thread. */
async function writeTo({ gateway }: World, account: string): Promise<void> {
  const writing = Array.from({ length: CONVERSATIONS }, (_, n) =>
    gateway.call('channels.test', {
      connector_id: account,
      text: `beside ${n}`,
      conversation_id: `beside-${n}`,
    }),
  );
  for (const { accepted } of await Promise.all(writing)) assert.ok(accepted);
}

const wasSent = ({ sent }: World, text: string) =>
  sent().find((line) => line.text === text && !line.died);

/** One that dies with that thread, and accounts of the other. */
async function pickVictim(world: World, on: Thread = 'webhooks') {
  const before = await until(
    'all accounts run',
    async () => {
      const found = await world.threads();
      const isRunning = [...found.values()].every(({ state }) => state === 'running');
      return found.size === ACCOUNTS.length && isRunning && found;
    },
    20_000,
  );
  const webhooks = await until('the webhooks run', async () => {
    const thread = await world.webhooksThread();
    return thread !== '' && thread;
  });
  const isThere = (id: string) => (before.get(id)?.thread === webhooks) === (on === 'webhooks');
  const victim = ACCOUNTS.find(isThere) ?? '';
  const thread = before.get(victim)?.thread;
  const elsewhere = ACCOUNTS.filter((id) => before.get(id)?.thread !== thread);
  const beside = ACCOUNTS.filter((id) => id !== victim && before.get(id)?.thread === thread);
  assert.ok(elsewhere.length > 0 && beside.length > 0, 'accounts on both threads');
  return { victim, elsewhere, beside, before };
}

const test = suite('worker threads that die');

for (const on of THREADS) {
  for (const way of WAYS) {
    for (let round = 1; round <= ROUNDS; round += 1) {
      test(`${way} on the thread of the ${on}: its actors are back, the other thread never stopped, nothing accepted is lost (round ${round})`, () =>
        withGateway((world) => dieOnce(world, way, on)));
    }
  }
}

async function dieOnce(world: World, way: Way, on: Thread): Promise<void> {
  const { victim, elsewhere, beside, before } = await pickVictim(world, on);
  const watched = [...elsewhere, ...beside.slice(0, 1)];
  const posting = watched.map((account) => keepPosting(world, account, 'say'));
  await until('they deliver', () => watched.every((id) => wasSent(world, `say ${id} 0`)), 30_000);
  const deadly = `once ${way} now`;
  await command(world, victim, deadly);
  const died = await until('it dies', () => world.sent().find((line) => line.died), BACK_MS);
  if (way === 'loop' && on === 'webhooks') await writeTo(world, elsewhere[0] ?? '');
  const back = await until(
    `${deadly} is delivered after all`,
    () => wasSent(world, deadly),
    BACK_MS,
  );
  for (const post of posting) await post.end();
  const texts = posting.flatMap((post) => post.texts);
  await until(
    'everything accepted is delivered',
    () => {
      const there = new Set(world.sent().map(({ text }) => text));
      return texts.every((text) => there.has(text));
    },
    BACK_MS,
  );
  const after = await world.threads();
  for (const id of elsewhere) {
    assert.is(after.get(id)?.restarts, before.get(id)?.restarts, `${id} was not restarted`);
  }
  for (const id of [victim, ...beside]) {
    assert.is(after.get(id)?.state, 'running', `${id} is back`);
    assert.ok((after.get(id)?.restarts ?? 0) > 0, `${id} was started again`);
  }
  const outageMs = back.atMs - died.atMs;
  const meanwhile = world
    .sent()
    .filter((line) => elsewhere.includes(line.connectorId))
    .filter((line) => line.atMs > died.atMs && line.atMs < back.atMs);
  // The watchdog does not end the loop before this. What the webhooks take, the sessions answer, so one of both goes on.
  const whileLooping = (atMs: number) => atMs > died.atMs && atMs < died.atMs + STALL_KILL_MS;
  const wentOn =
    on === 'webhooks'
      ? meanwhile.filter(({ text, atMs }) => text.startsWith('beside ') && whileLooping(atMs))
      : posting.flatMap((post) => post.acceptedAtMs).filter(whileLooping);
  // The other ways are over so soon that nothing may have been due.
  if (way === 'loop') {
    assert.ok(outageMs > STALL_KILL_MS / 2, `killed after ${outageMs} ms`);
    assert.ok(wentOn.length >= 2, `${wentOn.length} went on on the other thread`);
  }
  assert.equal(
    posting
      .flatMap((post) => post.answers)
      .filter((status) => ![202, 429, 503].includes(Number(status))),
    [],
  );
  console.log(
    `${way} on the thread of the ${on}: back after ${outageMs} ms; ${meanwhile.length} deliveries on the other thread meanwhile, ${wentOn.length} new ones went on; ${texts.length} accepted, all delivered`,
  );
}

// A throw in a later turn is no actor's message: its delivery is not named and is charged as one of those in flight.
for (const [way, crashes] of [
  ['exit', 2],
  ['loop', 2],
  ['heap', 2],
  ['throw', 5],
] as const) {
  test(`${way}: ${crashes} crashes with one delivery in flight quarantine it, and its conversation goes on`, () =>
    withGateway(async (world) => {
      const { victim } = await pickVictim(world);
      const deadly = `always ${way} now`;
      await command(world, victim, deadly);
      await command(world, victim, 'then this');
      await until('the next one is delivered', () => wasSent(world, 'then this'), 2 * BACK_MS);
      const attempts = world.sent().filter(({ text }) => text === deadly);
      assert.is(attempts.length, crashes, 'it was tried as often as that');
      const shown = await until(
        'its dead letter is shown',
        async () => {
          const { dead_letters: letters } = await world.gateway.call('channels.get', {
            connector_id: victim,
          });
          return letters[0];
        },
        20_000,
      );
      assert.is(shown.reason, 'quarantined');
    }));
}

test.run();
