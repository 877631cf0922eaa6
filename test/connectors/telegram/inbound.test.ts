/** How the Telegram connector receives: polling, confirming, trouble and recovery, against the fake Bot API. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Connector } from '../../../connectors/connector.ts';
import {
  DEFAULT_TOKEN,
  startTelegramFake,
  type TelegramFake,
} from '../../../connectors/fakes/telegram/index.ts';
import { telegramKind } from '../../../connectors/telegram/index.ts';
import { createDeferred } from '../../../runtime/deferred.ts';
import { accepted, createTestDeps, createTestPorts, never, type TestDeps } from '../test-deps.ts';
import { until, within } from '../within.ts';

const test = suite('telegram inbound');

interface Stage {
  readonly fake: TelegramFake;
  readonly deps: TestDeps;
  readonly ports: ReturnType<typeof createTestPorts>;
  readonly connector: Connector;
  create(options?: Readonly<Record<string, unknown>>): Connector;
}

async function onStage(work: (stage: Stage) => Promise<void>): Promise<void> {
  const fake = await startTelegramFake();
  const deps = createTestDeps(DEFAULT_TOKEN);
  const created: Connector[] = [];
  const create = (options: Readonly<Record<string, unknown>> = {}) => {
    const connector = telegramKind.create(
      {
        connectorId: 'telegram:main',
        kind: 'telegram',
        options: { api_root: fake.url, poll_timeout_s: 1, ...options },
      },
      deps,
    );
    created.push(connector);
    return connector;
  };
  try {
    await work({ fake, deps, ports: createTestPorts(), connector: create(), create });
  } finally {
    for (const connector of created) await within('close', connector.close(never()));
    await fake.close();
  }
}

const isRunning = ({ ports }: Stage) => ports.healths.at(-1)?.liveness === 'running';
const reasonOf = ({ ports }: Stage) => ports.healths.at(-1)?.reason ?? '';
const pollsOf = (fake: TelegramFake) => fake.calls.filter((call) => call.method === 'getUpdates');

test('a private message becomes an offer in the gateway’s words', () =>
  onStage(async ({ fake, ports, connector }) => {
    await within('open', connector.open(ports, never()));
    fake.pushUpdate({
      chatId: 42,
      text: 'hi 👋',
      from: { id: 7, first_name: 'Grace', username: 'grace' },
      extra: { from: { id: 7, is_bot: false, first_name: 'Grace', last_name: 'Hopper' } },
    });
    await until('the offer', () => ports.offers.length === 1);
    const offer = ports.offers[0];
    assert.ok((offer?.receivedAtMs ?? 0) > 0);
    assert.equal(offer, {
      receivedAtMs: offer?.receivedAtMs,
      nativeId: '110201543:42:1',
      connectorId: 'telegram:main',
      conversationId: '42',
      threadId: '',
      senderId: 'telegram:user:7',
      senderDisplay: 'Grace Hopper',
      senderVerified: true,
      body: 'hi 👋',
      adapterMessageId: '110201543:42:1',
      isDirectMessage: true,
      requestedBroadcast: false,
      attachments: [],
    });
  }));

test('topics, captions, groups and anonymous senders are read; what has no text is counted', () =>
  onStage(async ({ fake, ports, connector }) => {
    await within('open', connector.open(ports, never()));
    fake.pushUpdate({ chatId: -100, text: 'in a topic', threadId: 5 });
    fake.pushUpdate({ chatId: -100, text: 'a reply', extra: { message_thread_id: 9 } });
    fake.pushUpdate({ chatId: -100, extra: { sticker: { file_id: 'x' } } });
    fake.bot().pushUpdate({ edited_message: { message_id: 1 } });
    fake.bot().pushUpdate({ message: { message_id: 'not a number' } });
    fake.pushUpdate({ chatId: -100, caption: 'look', extra: { photo: [] } });
    fake.pushUpdate({
      chatId: -100,
      text: 'as the group',
      extra: { sender_chat: { id: -100, title: '字'.repeat(200) } },
    });
    await until('everything confirmed', () => fake.bot().unconfirmed === 0);
    const seen = ports.offers.map((offer) => [offer.body, offer.threadId, offer.isDirectMessage]);
    assert.equal(seen, [
      ['in a topic', '5', false],
      ['a reply', '', false],
      ['look', '', false],
      ['as the group', '', false],
    ]);
    assert.is(ports.offers[3]?.senderId, 'telegram:chat:-100');
    assert.is(ports.offers[3]?.senderDisplay, '字'.repeat(85));
    assert.equal(ports.ignoredReasons, ['no_text', 'not_a_message', 'unreadable']);
  }));

test('polling asks for messages only, holds the poll, and goes on from the last update', () =>
  onStage(async ({ fake, ports, connector }) => {
    fake.pushUpdate({ chatId: 42, text: 'waiting' });
    await within('open', connector.open(ports, never()));
    await fake.until('a held poll', () => fake.bot().isPolling, 5_000);
    const [first, second] = pollsOf(fake).map((call) => call.parameters);
    assert.equal(first, { limit: 100, timeout: 0, allowed_updates: ['message'] });
    assert.equal(second, { limit: 100, timeout: 1, allowed_updates: ['message'], offset: 1_001 });
  }));

test('a message that was not confirmed comes again to the next connector', () =>
  onStage(async ({ fake, create, ports }) => {
    const gone = createTestPorts(() => new Promise(() => undefined));
    const first = create();
    await within('open', first.open(gone, never()));
    fake.pushUpdate({ chatId: 42, text: 'one' });
    await until('the first offer', () => gone.offers.length === 1);
    await within('close', first.close(never()));
    const second = create();
    await within('open', second.open(ports, never()));
    await until('the second offer', () => ports.offers.length === 1);
    assert.is(ports.offers[0]?.nativeId, gone.offers[0]?.nativeId);
  }));

test('an abort of the open signal ends receiving at any time', () =>
  onStage(async ({ fake, ports, connector }) => {
    const owner = new AbortController();
    await within('open', connector.open(ports, owner.signal));
    await fake.until('a held poll', () => fake.bot().isPolling, 5_000);
    owner.abort();
    await fake.until('no poll', () => !fake.bot().isPolling, 5_000);
    await until('stopped', () => ports.healths.at(-1)?.liveness === 'stopped');
    const polls = pollsOf(fake).length;
    fake.pushUpdate({ chatId: 42, text: 'late' });
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.is(pollsOf(fake).length, polls);
  }));

test('stopReceiving ends the poll in flight before it settles, and open starts a new one', () =>
  onStage(async (stage) => {
    const { fake, ports, connector } = stage;
    await within('open', connector.open(ports, never()));
    await fake.until('a held poll', () => fake.bot().isPolling, 5_000);
    await within('stopReceiving', connector.stopReceiving(never()), 500);
    await fake.until('no poll', () => !fake.bot().isPolling, 5_000);
    fake.pushUpdate({ chatId: 42, text: 'meanwhile' });
    await within('open again', connector.open(ports, never()));
    await until('the offer', () => ports.offers.length === 1);
    assert.ok(isRunning(stage));
  }));

test('another poller (409) degrades the account with a hint, and is given its whole poll timeout', () =>
  onStage(async (stage) => {
    const { fake, ports, deps, connector } = stage;
    fake.script({ method: 'getUpdates', times: 2, fault: { type: 'conflict' } });
    await within('open', connector.open(ports, never()));
    await until('a degraded health', () => ports.healths.at(-1)?.liveness === 'degraded');
    assert.match(reasonOf(stage), 'another process polls');
    await until('running again', () => isRunning(stage));
    const waits = deps.waitsMs.filter((ms) => ms >= 1_000);
    assert.is(waits.length, 2);
    assert.ok((waits[1] ?? 0) > (waits[0] ?? 0));
  }));

test('a webhook in the way degrades the account; receiving starts when it is gone', () =>
  onStage(async (stage) => {
    const { fake, ports, deps, connector } = stage;
    fake.bot().webhookUrl = 'https://example.org/hook';
    await within('open', connector.open(ports, never()));
    await until('the hint', () => reasonOf(stage).includes('take_over_webhook'));
    assert.is(ports.healths.at(-1)?.readiness, 'ready');
    assert.ok(!fake.calls.some((call) => call.method === 'deleteWebhook'));
    fake.bot().webhookUrl = '';
    await until('running', () => isRunning(stage));
    assert.ok(deps.waitsMs.includes(60_000));
    assert.not.match(deps.lines.join(), 'defect');
  }));

test('take_over_webhook deletes the webhook and receives', () =>
  onStage(async (stage) => {
    const { fake, ports, create } = stage;
    fake.bot().webhookUrl = 'https://example.org/hook';
    await within('open', create({ take_over_webhook: true }).open(ports, never()));
    await until('running', () => isRunning(stage));
    assert.is(fake.bot().webhookUrl, '');
  }));

test('a server without getWebhookInfo is polled all the same', () =>
  onStage(async (stage) => {
    const { fake, ports, connector } = stage;
    const fault = { type: 'error', status: 404, description: 'Not Found' } as const;
    fake.script({ method: 'getWebhookInfo', times: 0, fault });
    await within('open', connector.open(ports, never()));
    await until('running', () => isRunning(stage));
  }));

test('a token revoked while polling is auth_failed, and recovers by itself', () =>
  onStage(async (stage) => {
    const { fake, ports, deps, connector } = stage;
    await within('open', connector.open(ports, never()));
    await fake.until('a held poll', () => fake.bot().isPolling, 5_000);
    fake.revoke(DEFAULT_TOKEN);
    await until('auth_failed', () => ports.healths.at(-1)?.readiness === 'auth_failed');
    await until('slow trials', () => deps.waitsMs.filter((ms) => ms >= 7_000).length >= 3);
    fake.restore(DEFAULT_TOKEN);
    await until('running', () => isRunning(stage));
  }));

const HEALTH_WHILE_FULL = [
  'ready starting',
  'ready running',
  'ready degraded',
  'auth_failed degraded',
  'ready running',
  'ready degraded',
];

/** Trouble ends in `running` before messages are held again, and polls after it report nothing else. */
async function heldAgain(stage: Stage, ports: Stage['ports']): Promise<void> {
  const seen = () => ports.healths.map(({ readiness, liveness }) => `${readiness} ${liveness}`);
  await until('held again', () => seen().length >= HEALTH_WHILE_FULL.length);
  const polls = pollsOf(stage.fake).length;
  await until('polls go on', () => pollsOf(stage.fake).length > polls + 3);
  assert.equal(seen(), HEALTH_WHILE_FULL);
}

async function refusedSend({ fake, connector }: Stage): Promise<void> {
  const fault = { type: 'error', status: 401, description: 'Unauthorized' } as const;
  fake.script({ method: 'sendMessage', fault });
  const where = { conversationId: '7', threadId: '', inReplyTo: '' };
  const piece = { deliveryId: 'd', attempt: 1, chunk: 0, text: 'hello', ...where };
  assert.is((await within('the send', connector.deliver(piece, never()))).type, 'auth');
}

const FULL = { accepted: false, retryAfterMs: 1_000, reason: 'conversation_busy' } as const;

test('while a conversation is full an account that recovers is running before it is degraded', () =>
  onStage(async (stage) => {
    const ports = createTestPorts(async () => FULL);
    stage.fake.pushUpdate({ chatId: 42, text: 'too many' });
    await within('open', stage.connector.open(ports, never()));
    await until('held', () => ports.healths.at(-1)?.reason.includes('conversation_busy') === true);
    await refusedSend(stage);
    await heldAgain(stage, ports);
  }));

test('a refused credential is not hidden by messages that are held after it', () =>
  onStage(async (stage) => {
    const room = createDeferred<void>();
    const ports = createTestPorts(async ({ conversationId }, nth) => {
      if (nth > 2 && conversationId === '43') await room.promise;
      return conversationId === '42' ? FULL : accepted('E1');
    });
    stage.fake.pushUpdate({ chatId: 42, text: 'too many' });
    await within('open', stage.connector.open(ports, never()));
    await until('held', () => ports.healths.at(-1)?.reason.includes('conversation_busy') === true);
    await until('it is offered again', () => ports.offers.length > 2);
    stage.fake.pushUpdate({ chatId: 43, text: 'slow' });
    await until('the slow offer', () => ports.offers.at(-1)?.conversationId === '43');
    await refusedSend(stage);
    room.resolve();
    await heldAgain(stage, ports);
  }));

test('open rejects with auth_failed, goes on trying, and receives once the token is taken', () =>
  onStage(async (stage) => {
    const { fake, ports, connector } = stage;
    fake.revoke(DEFAULT_TOKEN);
    fake.pushUpdate({ chatId: 42, text: 'early' });
    let code = '';
    await within('open', connector.open(ports, never())).catch((error: { code: string }) => {
      code = error.code;
    });
    assert.is(code, 'auth_failed');
    fake.restore(DEFAULT_TOKEN);
    await until('the offer', () => ports.offers.length === 1);
    assert.ok(isRunning(stage));
  }));

test('with nothing at api_root open stays pending and degraded, and settles when the platform is back', async () => {
  const first = await startTelegramFake();
  const port = Number(new URL(first.url).port);
  await first.close();
  const deps = createTestDeps(DEFAULT_TOKEN);
  const ports = createTestPorts();
  const options = { api_root: first.url, poll_timeout_s: 1 };
  const account = { connectorId: 'telegram:main', kind: 'telegram', options };
  const connector = telegramKind.create(account, deps);
  let isOpen = false;
  const opening = connector.open(ports, never()).then(() => {
    isOpen = true;
  });
  await until('several trials', () => deps.waitsMs.length >= 4);
  assert.not.ok(isOpen);
  assert.match(ports.healths.at(-1)?.reason ?? '', 'ECONNREFUSED');
  assert.equal(deps.waitsMs.slice(0, 4), [750, 1_500, 3_000, 6_000]);
  const fake = await startTelegramFake({ port });
  await within('open', opening);
  await until('running', () => ports.healths.at(-1)?.liveness === 'running');
  await connector.close(never());
  await fake.close();
});

for (const fault of [
  { type: 'html', status: 502 },
  { type: 'html', status: 401 },
  { type: 'html', status: 404 },
  { type: 'garbage' },
  { type: 'drop', accepted: false },
  { type: 'rate-limit', retryAfterS: 17 },
  { type: 'error', status: 500, description: 'Internal Server Error' },
] as const) {
  test(`polling survives ${JSON.stringify(fault)} and loses nothing`, () =>
    onStage(async (stage) => {
      const { fake, ports, deps, connector } = stage;
      fake.script({ method: 'getUpdates', skip: 1, times: 2, fault });
      await within('open', connector.open(ports, never()));
      await until('degraded', () => ports.healths.at(-1)?.liveness === 'degraded');
      fake.pushUpdate({ chatId: 42, text: 'after' });
      await until('the offer', () => ports.offers.length === 1);
      assert.ok(isRunning(stage));
      assert.ok(ports.healths.every(({ readiness }) => readiness === 'ready'));
      if (fault.type === 'rate-limit') assert.ok(deps.waitsMs.includes(17_000));
      assert.not.match(JSON.stringify(ports.healths) + deps.lines.join(), DEFAULT_TOKEN.slice(12));
    }));
}

test('an answer that was lost on the way is fetched again', () =>
  onStage(async ({ fake, ports, connector }) => {
    await within('open', connector.open(ports, never()));
    fake.script({ method: 'getUpdates', fault: { type: 'drop', accepted: true } });
    await fake.until('a held poll', () => fake.bot().isPolling, 5_000);
    fake.pushUpdate({ chatId: 42, text: 'one' });
    fake.pushUpdate({ chatId: 42, text: 'two' });
    await until('both offers', () => ports.offers.length >= 2);
    assert.equal([...new Set(ports.offers.map((offer) => offer.body))], ['one', 'two']);
  }));

test('a server that does not hold its polls is not flooded', () =>
  onStage(async ({ fake, ports, deps, connector }) => {
    await within('open', connector.open(ports, never()));
    for (let nth = 0; nth < 5; nth += 1) {
      await fake.until('a held poll', () => fake.bot().isPolling, 5_000);
      fake.bot().answerEmpty();
    }
    await until('waits between', () => deps.waitsMs.filter((ms) => ms === 250).length >= 4);
  }));

test.run();
