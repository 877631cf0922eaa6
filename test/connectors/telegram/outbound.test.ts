/** How the Telegram connector sends: requests, and each answer's outcome, against the fake Bot API. */
import { createServer, type Socket } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Connector, DeliveryAttempt } from '../../../connectors/connector.ts';
import {
  DEFAULT_TOKEN,
  startTelegramFake,
  type TelegramFake,
  type TelegramFakeOptions,
  type TelegramFault,
} from '../../../connectors/fakes/telegram/index.ts';
import { createTelegram } from '../../../connectors/telegram/telegram.ts';
import { createTestDeps, createTestPorts, never, type TestDeps } from '../test-deps.ts';
import { until, within } from '../within.ts';

const test = suite('telegram outbound');

/** Never reached, even on a busy machine. */
const PATIENT = { connectTimeoutMs: 20_000, callDeadlineMs: 30_000, pollGraceMs: 20_000 };
/** For what never answers. */
const HASTY = { connectTimeoutMs: 600, callDeadlineMs: 1_000, pollGraceMs: 1_000 };

function createAt(
  apiRoot: string,
  deps: TestDeps,
  options: Readonly<Record<string, unknown>> = {},
  timing = PATIENT,
): Connector {
  const all = { api_root: apiRoot, poll_timeout_s: 1, ...options };
  const account = { connectorId: 'telegram:main', kind: 'telegram', options: all };
  return createTelegram(account, deps, timing);
}

/** Sending needs no receiving: the connector is not opened. */
async function onStage(
  work: (stage: { fake: TelegramFake; connector: Connector; deps: TestDeps }) => Promise<void>,
  options: Readonly<Record<string, unknown>> = {},
  timing = PATIENT,
  fakeOptions: TelegramFakeOptions = {},
): Promise<void> {
  const fake = await startTelegramFake(fakeOptions);
  const deps = createTestDeps(DEFAULT_TOKEN);
  const connector = createAt(fake.url, deps, options, timing);
  try {
    await work({ fake, connector, deps });
  } finally {
    await within('close', connector.close(never()));
    await fake.close();
  }
}

const attempt = (more: Partial<DeliveryAttempt> = {}): DeliveryAttempt => ({
  deliveryId: 'd:0000',
  attempt: 1,
  chunk: 0,
  text: 'hello',
  conversationId: '42',
  threadId: '',
  inReplyTo: '',
  ...more,
});

test('a piece is one sendMessage with its chat, topic and the message it answers', () =>
  onStage(async ({ fake, connector }) => {
    fake.pushUpdate({ chatId: -100, text: 'question' });
    const outcome = await connector.deliver(
      attempt({
        conversationId: '-100',
        threadId: '5',
        inReplyTo: '110201543:-100:1',
        text: '*as* it <is>',
      }),
      never(),
    );
    assert.equal(outcome, { type: 'delivered', nativeMessageId: '110201543:-100:2' });
    assert.equal(
      fake.calls.map(({ method, parameters }) => [method, parameters]),
      [
        [
          'sendMessage',
          {
            chat_id: -100,
            text: '*as* it <is>',
            message_thread_id: 5,
            reply_parameters: { message_id: 1, allow_sending_without_reply: true },
          },
        ],
      ],
    );
  }));

test('a native id that was stored without the bot’s is answered to as well', () =>
  onStage(async ({ fake, connector }) => {
    fake.pushUpdate({ chatId: 42, text: 'question' });
    await connector.deliver(attempt({ inReplyTo: '42:1' }), never());
    assert.is(fake.accepted[0]?.replyToMessageId, 1);
  }));

test('a message to answer that is gone, or of another platform, does not stop the reply', () =>
  onStage(async ({ fake, connector }) => {
    for (const inReplyTo of ['110201543:42:999', 'some-uuid', '']) {
      const outcome = await connector.deliver(attempt({ inReplyTo }), never());
      assert.is(outcome.type, 'delivered');
    }
    assert.equal(
      fake.accepted.map((message) => message.replyToMessageId),
      [0, 0, 0],
    );
  }));

const OUTCOMES: readonly (readonly [TelegramFault, Readonly<Record<string, unknown>>])[] = [
  [
    { type: 'rate-limit', retryAfterS: 7 },
    { type: 'rate_limited', retryAfterMs: 7_000, scope: 'conversation' },
  ],
  [
    { type: 'html', status: 429, retryAfterS: 9 },
    { type: 'rate_limited', retryAfterMs: 9_000, scope: 'account' },
  ],
  [
    { type: 'html', status: 429 },
    { type: 'rate_limited', retryAfterMs: 5_000, scope: 'account' },
  ],
  [{ type: 'html', status: 502 }, { type: 'transient' }],
  [{ type: 'html', status: 504 }, { type: 'transient' }],
  [{ type: 'error', status: 500, description: 'Internal Server Error' }, { type: 'transient' }],
  [{ type: 'error', status: 401, description: 'Unauthorized' }, { type: 'auth' }],
  [
    { type: 'error', status: 400, description: 'Bad Request: chat not found' },
    { type: 'permanent' },
  ],
  [
    { type: 'error', status: 403, description: 'Forbidden: bot was blocked by the user' },
    { type: 'permanent' },
  ],
  [{ type: 'error', status: 404, description: 'Not Found' }, { type: 'auth' }],
  [{ type: 'html', status: 401 }, { type: 'transient' }],
  [{ type: 'html', status: 403 }, { type: 'transient' }],
  [{ type: 'html', status: 404 }, { type: 'transient' }],
  [{ type: 'html', status: 302 }, { type: 'transient' }],
  [{ type: 'garbage' }, { type: 'unknown' }],
  [{ type: 'drop', accepted: true }, { type: 'unknown' }],
  [{ type: 'drop', accepted: false }, { type: 'unknown' }],
  [{ type: 'hang', accepted: true }, { type: 'unknown' }],
  [{ type: 'slow', ms: 20_000 }, { type: 'unknown' }],
];

for (const [fault, expected] of OUTCOMES) {
  test(`${JSON.stringify(fault)} ends as ${JSON.stringify(expected)}, with one request`, () => {
    const isSilent = fault.type === 'hang' || fault.type === 'slow';
    return onStage(
      async ({ fake, connector }) => {
        fake.script({ method: 'sendMessage', fault });
        const { reason, ...outcome } = {
          reason: '',
          ...(await within('deliver', connector.deliver(attempt(), never()))),
        };
        assert.equal(outcome, expected);
        assert.ok(reason !== '');
        assert.not.match(reason, DEFAULT_TOKEN.slice(12));
        assert.is(fake.calls.length, 1);
      },
      {},
      isSilent ? HASTY : PATIENT,
    );
  });
}

const scopeOf = async (connector: Connector, conversationId: string) => {
  const outcome = await within('deliver', connector.deliver(attempt({ conversationId }), never()));
  return outcome.type === 'rate_limited' ? outcome.scope : outcome.type;
};

test('a limit of the whole bot is the account’s as soon as a second chat meets it', () =>
  onStage(
    async ({ connector }) => {
      const scopes: string[] = [];
      for (const chat of ['1', '2', '3', '4', '2']) scopes.push(await scopeOf(connector, chat));
      assert.equal(scopes, ['delivered', 'conversation', 'account', 'account', 'account']);
    },
    {},
    PATIENT,
    { botLimit: { messages: 1, pauseS: 60 } },
  ));

test('limits of single chats stay theirs while the bot’s other chats are served', () =>
  onStage(async ({ fake, connector }) => {
    for (const chat_id of [1, 2]) {
      const fault = { type: 'rate-limit', retryAfterS: 60 } as const;
      fake.script({ method: 'sendMessage', where: { chat_id }, times: 0, fault });
    }
    const scopes: string[] = [];
    for (const chat of ['1', '1', '3', '2', '2', '3']) scopes.push(await scopeOf(connector, chat));
    const own = ['conversation', 'conversation', 'delivered'];
    assert.equal(scopes, [...own, ...own]);
  }));

test('a pause of a chat holds for all of its topics: nothing is sent to it until its end', () =>
  onStage(async ({ fake, connector, deps }) => {
    let nowMs = 1_800_000_000_000;
    let leftMs = 4_000;
    deps.wallMs = () => nowMs;
    fake.script({ method: 'sendMessage', fault: { type: 'rate-limit', retryAfterS: 4 } });
    const send = async (threadId: string, conversationId = '-100777') => {
      const piece = attempt({ conversationId, threadId });
      const outcome = await within('deliver', connector.deliver(piece, never()));
      if (outcome.type !== 'rate_limited') return outcome.type;
      return `${outcome.scope} ${outcome.retryAfterMs}`;
    };
    assert.is(await send('11'), 'conversation 4000');
    for (const threadId of ['12', '13', '14', '']) {
      nowMs += 500;
      leftMs -= 500;
      assert.is(await send(threadId), `conversation ${leftMs}`);
    }
    assert.is(fake.calls.length, 1);
    assert.is(await send('', '42'), 'delivered', 'another chat is served meanwhile');
    nowMs += 2_000;
    for (const threadId of ['11', '12', '13', '14']) assert.is(await send(threadId), 'delivered');
  }));

test('what Telegram itself refuses is permanent, with Telegram’s words', () =>
  onStage(async ({ fake, connector }) => {
    fake.chats.forget('7');
    fake.chats.block('8');
    const cases = [
      [{ conversationId: '7' }, 'chat not found'],
      [{ conversationId: '8' }, 'blocked by the user'],
      [{ conversationId: 'no-such-name' }, 'chat not found'],
      [{ text: '  \n' }, 'text is empty'],
      [{ text: 'x'.repeat(4_097) }, 'too long'],
    ] as const;
    for (const [more, words] of cases) {
      const outcome = await connector.deliver(attempt(more), never());
      assert.is(outcome.type, 'permanent');
      assert.match('reason' in outcome ? outcome.reason : '', words);
    }
    assert.is(fake.accepted.length, 0);
  }));

test('pieces made by split are taken by the platform', () =>
  onStage(async ({ fake, connector }) => {
    const text = `\`\`\`ts\n${'const x = "😀";\n'.repeat(900)}\`\`\`\nend`;
    for (const [chunk, piece] of connector.split(text).entries()) {
      const outcome = await connector.deliver(attempt({ chunk, text: piece }), never());
      assert.is(outcome.type, 'delivered');
    }
    assert.ok(fake.accepted.length >= 4);
  }));

test('a group that became a supergroup is sent to under its new id, at once and from then on', () =>
  onStage(async ({ fake, connector }) => {
    fake.chats.migrate('-5', '-1005');
    const first = await connector.deliver(attempt({ conversationId: '-5' }), never());
    assert.equal(first, { type: 'delivered', nativeMessageId: '110201543:-1005:1' });
    await connector.deliver(attempt({ conversationId: '-5', chunk: 1 }), never());
    assert.equal(
      fake.calls.map((call) => call.parameters.chat_id),
      [-5, -1005, -1005],
    );
  }));

test('groups that move in a circle end as permanent', () =>
  onStage(async ({ fake, connector }) => {
    fake.chats.migrate('-5', '-6');
    fake.chats.migrate('-6', '-5');
    const outcome = await connector.deliver(attempt({ conversationId: '-5' }), never());
    assert.is(outcome.type, 'permanent');
    assert.is(fake.calls.length, 2);
  }));

test('nothing at api_root is transient: certainly not sent', async () => {
  const fake = await startTelegramFake();
  await fake.close();
  const connector = createAt(fake.url, createTestDeps(DEFAULT_TOKEN));
  const outcome = await connector.deliver(attempt(), never());
  assert.is(outcome.type, 'transient');
  assert.match('reason' in outcome ? outcome.reason : '', 'ECONNREFUSED');
  await connector.close(never());
});

test('a name that does not resolve is transient', async () => {
  const connector = createAt('http://no-such-host.invalid', createTestDeps(DEFAULT_TOKEN));
  const outcome = await within('deliver', connector.deliver(attempt(), never()));
  assert.is(outcome.type, 'transient');
  await connector.close(never());
});

const createHasty = (apiRoot: string) =>
  createAt(apiRoot, createTestDeps(DEFAULT_TOKEN), {}, HASTY);

/** A server that takes connections, reads what comes, and never says a word. */
async function withSilentServer(work: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  try {
    await work(typeof address === 'object' && address !== null ? address.port : 0);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('a TLS handshake that never ends is transient: nothing was written', () =>
  withSilentServer(async (port) => {
    const connector = createHasty(`https://127.0.0.1:${port}`);
    const outcome = await within('deliver', connector.deliver(attempt(), never()));
    assert.is(outcome.type, 'transient');
    assert.match('reason' in outcome ? outcome.reason : '', 'connect_timeout');
    await connector.close(never());
  }));

test('a server that takes the request and says nothing is unknown after the deadline', () =>
  withSilentServer(async (port) => {
    const connector = createHasty(`http://127.0.0.1:${port}`);
    const outcome = await within('deliver', connector.deliver(attempt(), never()));
    assert.is(outcome.type, 'unknown');
    assert.match('reason' in outcome ? outcome.reason : '', 'deadline');
    await connector.close(never());
  }));

test('a kept connection that the server has closed is not used for the next send', () =>
  onStage(async ({ fake, connector }) => {
    await connector.deliver(attempt(), never());
    fake.closeIdleConnections();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.is((await connector.deliver(attempt({ chunk: 1 }), never())).type, 'delivered');
  }));

for (const options of [{}, { min_interval_ms: 60_000 }]) {
  const asked = options.min_interval_ms ?? 0;
  test(`a pace of ${asked} ms is the outbox’s to keep: the connector itself never waits`, () =>
    onStage(async ({ connector, deps }) => {
      assert.is(connector.minIntervalMs, asked);
      const sends = Array.from({ length: 70 }, (_, chunk) =>
        connector.deliver(attempt({ chunk }), never()),
      );
      const outcomes = await within('all', Promise.all(sends), 20_000);
      assert.ok(outcomes.every((outcome) => outcome.type === 'delivered'));
      assert.equal(deps.waitsMs, []);
    }, options));
}

test('a send whose credential is refused makes the account auth_failed until a trial succeeds', () =>
  onStage(async ({ fake, connector, deps }) => {
    const ports = createTestPorts();
    await within('open', connector.open(ports, never()));
    await fake.until('a held poll', () => fake.bot().isPolling, 5_000);
    fake.script({
      method: 'sendMessage',
      fault: { type: 'error', status: 401, description: 'Unauthorized' },
    });
    assert.is((await connector.deliver(attempt(), never())).type, 'auth');
    assert.ok(ports.healths.some(({ readiness }) => readiness === 'auth_failed'));
    await until('running again', () => ports.healths.at(-1)?.liveness === 'running');
    assert.ok(deps.waitsMs.includes(2_000));
  }));

test.run();
