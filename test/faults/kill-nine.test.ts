/** kill -9 at random moments under load, again and again on one state root: nothing accepted is lost, nothing runs twice, order is kept. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AcceptedMessage } from '../../connectors/fakes/telegram/index.ts';
import { runCommand } from '../cli/support/spawn-cli.ts';
import { type GatewayProcess, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { configOf, ENV } from '../support/orders-world.ts';
import { readFacts } from '../support/read-facts.ts';
import { faultScale } from '../support/scale.ts';
import { postWebhook } from '../support/webhook-sender.ts';
import { until, within } from '../support/within.ts';
import { countRuns } from './journal-facts.ts';
import { type Acknowledged, type OrderSenders, startOrderSenders } from './order-senders.ts';
import { type Random, seeded, seedOf } from './seeded.ts';
import { type FaultOf, startTelegramProcess, type TelegramProcess } from './telegram-process.ts';

export const deadlineMs = 600_000;
export const fullDeadlineMs = 3_600_000;

const ROUNDS = faultScale(20, 200);
const SEED = seedOf(20_261);
const LANES = 8;
const READY_MS = 60_000;
/** Kills fall into the start, too: it reads the rows, takes over the lock, resumes runs. */
const STARTING_SHARE = 0.2;
const STARTING_MS = 1_500;
const LOADED_MS = 3_000;
const INBOUND_CHAT = 42;

const test = suite('a gateway that is killed');

interface Round {
  readonly telegram: TelegramProcess;
  readonly stateRoot: string;
  readonly random: Random;
  readonly senders: OrderSenders;
}

/** What the platform does wrong this time. */
function faultsOf(random: Random): readonly FaultOf[] {
  const method = 'sendMessage';
  const skip = Math.floor(random() * 20);
  const all: readonly FaultOf[] = [
    { method, skip, fault: { type: 'rate-limit', retryAfterS: 1 } },
    { method, skip, times: 2, fault: { type: 'error', status: 500 } },
    { method, skip, times: 2, fault: { type: 'drop', accepted: true } },
    { method, skip, fault: { type: 'drop', accepted: false } },
    { method, skip, times: 5, fault: { type: 'slow', ms: 200 } },
  ];
  return all.filter(() => random() < 0.3);
}

function start(world: Pick<Round, 'telegram' | 'stateRoot'>, onSpawn?: (pid: number) => void) {
  const { telegram, stateRoot } = world;
  const config = configOf(telegram);
  const more = onSpawn === undefined ? {} : { onSpawn };
  return startGateway({ config, stateRoot, env: ENV, readyMs: READY_MS, ...more });
}

async function killWhileStarting(round: Round): Promise<void> {
  let isKilled = false;
  const afterMs = round.random() * STARTING_MS;
  const started = await start(round, (pid) => {
    setTimeout(() => {
      isKilled = true;
      process.kill(pid, 'SIGKILL');
    }, afterMs);
  }).catch((error: unknown) => {
    if (!isKilled) throw error;
  });
  if (started === undefined) return;
  round.senders.pointTo(started);
  await within('its end', started.ended);
  round.senders.pointTo(undefined);
}

async function killUnderLoad(round: Round): Promise<void> {
  const gateway = await start(round);
  round.senders.pointTo(gateway);
  await new Promise((resolve) => setTimeout(resolve, round.random() * LOADED_MS));
  const { code } = await gateway.kill();
  assert.is(code, null, `it ended by itself with ${code}:\n${gateway.log.slice(-20).join('\n')}`);
  round.senders.pointTo(undefined);
}

async function playRound(round: Round, number: number): Promise<void> {
  const { telegram, random } = round;
  await telegram.clear();
  await telegram.script(faultsOf(random));
  await telegram.push({ chatId: INBOUND_CHAT, text: `update ${number}` });
  if (random() < STARTING_SHARE) await killWhileStarting(round);
  else await killUnderLoad(round);
}

function missingOf(
  wanted: readonly { readonly text: string; readonly chatId: string }[],
  accepted: readonly AcceptedMessage[],
): string[] {
  const there = new Set(accepted.map(({ chatId, text }) => `${chatId} ${text}`));
  return wanted.map(({ chatId, text }) => `${chatId} ${text}`).filter((one) => !there.has(one));
}

const chatOf = (lane: number) => String(100 + lane);

async function untilDelivered(
  telegram: TelegramProcess,
  acknowledged: readonly Acknowledged[],
): Promise<readonly AcceptedMessage[]> {
  const orders = acknowledged.map(({ lane, text }) => ({ chatId: chatOf(lane), text }));
  const updates = Array.from({ length: ROUNDS }, (_, n) => ({
    chatId: String(INBOUND_CHAT),
    text: `update ${n + 1}`,
  }));
  let missing: string[] = [];
  return until(
    'everything acknowledged is delivered',
    async () => {
      const accepted = await telegram.accepted();
      missing = missingOf([...orders, ...updates], accepted);
      return missing.length === 0 && accepted;
    },
    180_000,
  ).catch((error: Error) => {
    throw new Error(
      `${error.message}; missing ${missing.length}: ${missing.slice(0, 5).join(', ')}`,
    );
  });
}

/** By first occurrence: at least once means that a copy may come later. */
function checkOrder(
  accepted: readonly AcceptedMessage[],
  acknowledged: readonly Acknowledged[],
): void {
  for (let lane = 0; lane < LANES; lane += 1) {
    const texts = accepted.filter((m) => m.chatId === chatOf(lane)).map((m) => m.text);
    const sent = acknowledged.filter((order) => order.lane === lane).map((order) => order.text);
    assert.equal([...new Set(texts)], sent, `the order of conversation ${chatOf(lane)}`);
  }
}

/** Each acknowledged id once more: all of them are known, none runs again. */
async function repeatAll(
  gateway: GatewayProcess,
  acknowledged: readonly Acknowledged[],
): Promise<void> {
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    for (const { webhookId, text } of acknowledged.filter((order) => order.lane === lane)) {
      const answer = await postWebhook({
        url: gateway.url,
        integrationId: `orders-${lane}`,
        webhookId,
        payload: { text },
      });
      assert.equal([answer.status, answer.body.duplicate], [200, true], webhookId);
    }
  });
  await Promise.all(lanes);
}

test(`nothing accepted is lost, nothing runs twice, order is kept (${ROUNDS} rounds, seed ${SEED})`, () =>
  withStateRoot(async (stateRoot) => {
    const telegram = await startTelegramProcess();
    const startedAtMs = performance.now();
    const random = seeded(SEED);
    const senders = startOrderSenders({ lanes: LANES, random: seeded(SEED + 1), pauseMs: 60 });
    const round: Round = { telegram, stateRoot, random, senders };
    let last: GatewayProcess | undefined;
    try {
      for (let number = 1; number <= ROUNDS; number += 1) await playRound(round, number);
      await telegram.clear();
      const gateway = await start(round);
      last = gateway;
      senders.pointTo(gateway);
      await within('the senders are done', senders.finish(), 60_000);
      const { acknowledged, problems, answers } = senders;
      assert.equal(problems, []);
      const accepted = await untilDelivered(telegram, acknowledged);
      checkOrder(accepted, acknowledged);
      await repeatAll(gateway, acknowledged);
      const runs = countRuns(await readFacts(gateway));
      assert.equal(runs.twice, [], 'nothing ran twice');
      assert.is(runs.accepted, acknowledged.length + ROUNDS);
      assert.is(runs.finished, runs.accepted);
      assert.is((await telegram.accepted()).length, accepted.length, 'no repeat was delivered');
      assert.equal(await gateway.stop(), { code: 0, signal: null });
      const verdict = await runCommand(['journal', 'verify', '--json', '--state-root', stateRoot]);
      assert.is(verdict.code, 0, verdict.stderr);
      const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(0);
      console.log(
        `seed ${SEED}: ${ROUNDS} kills in ${seconds} s; ${acknowledged.length} webhooks and ${ROUNDS} updates accepted, ${accepted.length} messages delivered; answers ${JSON.stringify(answers)}; journal ${verdict.stdout.trim()}`,
      );
    } finally {
      senders.abandon();
      await last?.kill();
      await telegram.stop();
    }
  }));

test.run();
