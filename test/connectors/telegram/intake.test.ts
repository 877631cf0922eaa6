/** One full conversation and the others of the same account: order within each, and what the platform is told. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Accepted, Refused } from '../../../connectors/connector.ts';
import {
  DEFAULT_TOKEN,
  startTelegramFake,
  type TelegramFake,
} from '../../../connectors/fakes/telegram/index.ts';
import { telegramKind } from '../../../connectors/telegram/index.ts';
import type { InboundOffer } from '../../../proto/channel-messages.ts';
import { accepted, createTestDeps, createTestPorts, never, type TestPorts } from '../test-deps.ts';
import { until, within } from '../within.ts';

const test = suite('telegram intake');

const FULL: Refused = { accepted: false, retryAfterMs: 40, reason: 'conversation_busy' };
const WAIT_MS = 20_000;

interface Stage {
  readonly fake: TelegramFake;
  readonly ports: TestPorts;
  /** Conversations that are refused now. */
  readonly full: Set<string>;
  /** The bodies that were taken, in order. */
  readonly taken: string[];
  readonly waitsMs: readonly number[];
  open(): Promise<void>;
}

async function onStage(
  work: (stage: Stage) => Promise<void>,
  decide?: (offer: InboundOffer, stage: Stage) => Accepted | Refused,
): Promise<void> {
  const fake = await startTelegramFake();
  const deps = createTestDeps(DEFAULT_TOKEN);
  const ports = createTestPorts(async (offer) => {
    const reply =
      decide?.(offer, stage) ?? (stage.full.has(offer.conversationId) ? FULL : accepted('E1'));
    if (reply.accepted) stage.taken.push(offer.body);
    return reply;
  });
  const options = { api_root: fake.url, poll_timeout_s: 1 };
  const account = { connectorId: 'telegram:main', kind: 'telegram', options };
  const connector = telegramKind.create(account, deps);
  const stage: Stage = {
    fake,
    ports,
    full: new Set(),
    taken: [],
    waitsMs: deps.waitsMs,
    open: () => within('open', connector.open(ports, never())),
  };
  try {
    await work(stage);
  } finally {
    await within('close', connector.close(never()));
    await fake.close();
  }
}

test('a full conversation stops no other of the account; its messages wait at the platform', () =>
  onStage(async ({ fake, ports, full, taken, open }) => {
    full.add('42');
    fake.pushUpdate({ chatId: 7, text: 'a' });
    for (const text of ['flood 1', 'flood 2', 'flood 3']) fake.pushUpdate({ chatId: 42, text });
    fake.pushUpdate({ chatId: 7, text: 'b' });
    fake.pushUpdate({ chatId: 8, text: 'c' });
    await open();
    await until('the others', () => taken.length === 3, WAIT_MS);
    fake.pushUpdate({ chatId: 7, text: 'd' });
    await until('one that came later', () => taken.includes('d'), WAIT_MS);
    assert.equal(taken, ['a', 'b', 'c', 'd']);
    await until('the first is confirmed', () => fake.bot().confirmedBefore === 1_001, WAIT_MS);
    assert.is(fake.bot().unconfirmed, 6, 'everything from the first waiting one on is kept');
    assert.ok(
      ports.offers.every(({ body }) => body !== 'flood 2'),
      'only its first is offered',
    );
    const { liveness, reason } = ports.healths.at(-1) ?? {};
    assert.is(liveness, 'degraded');
    assert.match(reason ?? '', 'conversation_busy');
  }));

test('what waited is taken in its order once there is room, what was taken ahead not again', () =>
  onStage(async ({ fake, ports, full, taken, open }) => {
    full.add('42');
    for (const text of ['flood 1', 'flood 2']) fake.pushUpdate({ chatId: 42, text });
    fake.pushUpdate({ chatId: 7, text: 'a' });
    fake.pushUpdate({ chatId: 7, extra: { sticker: {} } });
    fake.pushUpdate({ chatId: 42, text: 'flood 3' });
    await open();
    await until('several offers of the first', () => ports.offers.length >= 4, WAIT_MS);
    full.clear();
    await until('everything is confirmed', () => fake.bot().unconfirmed === 0, WAIT_MS);
    assert.equal(taken, ['a', 'flood 1', 'flood 2', 'flood 3']);
    assert.is(ports.offers.filter(({ body }) => body === 'a').length, 1);
    assert.equal(ports.ignoredReasons, ['no_text']);
    await until('running', () => ports.healths.at(-1)?.liveness === 'running', WAIT_MS);
  }));

test('a place that gets free in the midst of a batch is not taken by a later message', () =>
  onStage(
    async ({ fake, taken, open }) => {
      for (const text of ['flood 1', 'flood 2', 'flood 3']) fake.pushUpdate({ chatId: 42, text });
      fake.pushUpdate({ chatId: 7, text: 'a' });
      fake.pushUpdate({ chatId: 42, text: 'flood 4' });
      await open();
      await until('everything is confirmed', () => fake.bot().unconfirmed === 0, WAIT_MS);
      assert.equal(taken, ['a', 'flood 1', 'flood 2', 'flood 3', 'flood 4']);
    },
    ({ body }, { ports }) =>
      body === 'flood 1' && ports.offers.length === 1 ? FULL : accepted('E1'),
  ));

test('a full conversation is offered again after the wait it was told; polls keep their pace', () =>
  onStage(async ({ fake, ports, full, waitsMs, open }) => {
    full.add('42');
    fake.pushUpdate({ chatId: 42, text: 'flood' });
    await open();
    await until('several offers', () => ports.offers.length >= 4, WAIT_MS);
    const told = waitsMs.filter((ms) => ms === FULL.retryAfterMs).length;
    assert.ok(Math.abs(told - ports.offers.length) <= 1);
    await until(
      'waits between polls',
      () => waitsMs.filter((ms) => ms === 250).length >= 3,
      WAIT_MS,
    );
  }));

test('a gateway that takes nothing from anybody is offered one message until it does', () =>
  onStage(
    async ({ fake, ports, open }) => {
      fake.pushUpdate({ chatId: 42, text: 'one' });
      fake.pushUpdate({ chatId: 7, text: 'two' });
      await open();
      await until('everything is confirmed', () => fake.bot().unconfirmed === 0, WAIT_MS);
      assert.equal(
        ports.offers.map(({ body }) => body),
        ['one', 'one', 'one', 'two'],
      );
    },
    (_offer, { ports }) => (ports.offers.length < 3 ? { ...FULL, reason: 'busy' } : accepted('E1')),
  ));

test.run();
