/** A gateway whose disk of 64 MiB becomes full, by its own messages or by another process: no 202 is lost, and it goes on with room. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runCommand } from '../cli/support/spawn-cli.ts';
import { type Ended, type GatewayProcess, startGateway } from '../support/gateway-process.ts';
import { configOf, ENV } from '../support/orders-world.ts';
import { faultScale } from '../support/scale.ts';
import { skipTest } from '../support/skip.ts';
import { type Posted, postWebhook } from '../support/webhook-sender.ts';
import { until, within } from '../support/within.ts';
import { type Random, seeded, seedOf } from './seeded.ts';
import { onSmallDisk, resizeDisk, whyNoMount } from './small-disk.ts';
import { startTelegramProcess, type TelegramProcess } from './telegram-process.ts';

export const deadlineMs = 600_000;

const OWN_ROUNDS = faultScale(1, 10);
const OTHER_ROUNDS = faultScale(1, 20);
const SEED = seedOf(640);
const MIB = 1_024 * 1_024;
const LANES = 4;
/** Each is kept several times: event, tape, turn. */
const FILLER_BYTES = 200_000;
/** Refusals in a row after which the disk counts as full. */
const ENOUGH_REFUSALS = 40;
const READY_MS = 60_000;

const test = suite('a gateway on a full disk');

interface Loaded {
  readonly acknowledged: readonly Sent[];
  readonly answers: Readonly<Record<string, number>>;
}

interface Sent {
  readonly integrationId: string;
  readonly webhookId: string;
  readonly text: string;
}

interface World {
  readonly telegram: TelegramProcess;
  readonly stateRoot: string;
  readonly random: Random;
}

function start({ telegram, stateRoot }: World): Promise<GatewayProcess> {
  const filler = `
[[webhooks]]
integration_id = "filler"
secret_refs = ["env:ORDERS_SECRET"]
`;
  const config = `${configOf(telegram)}${filler}`;
  return startGateway({ config, stateRoot, env: ENV, readyMs: READY_MS });
}

/** Orders that reply, and large messages beside them that only fill, until it refuses for good or has ended. */
async function fill(gateway: GatewayProcess, isFilling: boolean): Promise<Loaded> {
  const acknowledged: Sent[] = [];
  const answers: Record<string, number> = {};
  let refusals = 0;
  let isOver = false;
  void gateway.ended.then(() => {
    isOver = true;
  });
  const post = async (sent: Sent): Promise<void> => {
    const answer = await attempt(gateway, sent);
    const name = answer === undefined ? 'cut' : nameOf(answer);
    answers[name] = (answers[name] ?? 0) + 1;
    if (answer?.status === 202) {
      acknowledged.push(sent);
      refusals = 0;
    } else {
      refusals += 1;
      await pause(answer === undefined ? 20 : 50);
    }
  };
  const lane = async (n: number) => {
    for (let i = 0; !isOver && refusals < ENOUGH_REFUSALS && i < 2_000; i += 1) {
      const text = `order ${n}/${i}`;
      await post({ integrationId: `orders-${n}`, webhookId: `o-${n}-${i}`, text });
      if (!isFilling || isOver) continue;
      const large = `filler ${n}/${i} ${'x'.repeat(FILLER_BYTES)}`;
      await post({ integrationId: 'filler', webhookId: `f-${n}-${i}`, text: large });
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, n) => lane(n)));
  return { acknowledged, answers };
}

async function attempt(gateway: GatewayProcess, sent: Sent): Promise<Posted | undefined> {
  const { integrationId, webhookId, text } = sent;
  try {
    return await postWebhook({ url: gateway.url, integrationId, webhookId, payload: { text } });
  } catch {
    return undefined;
  }
}

function nameOf({ status, body }: Posted): string {
  return status < 300 ? String(status) : `${status} ${body.code}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface End extends Ended {
  readonly byItself: boolean;
}

/** How it ended, or was stopped where it still ran. */
async function endOf(gateway: GatewayProcess): Promise<End> {
  const early = await Promise.race([gateway.ended, pause(1_000)]);
  if (early !== undefined) return { ...early, byItself: true };
  return { ...(await gateway.stop()), byItself: false };
}

function wordOf({ code, signal, byItself }: End): string {
  if (signal === 'SIGABRT') return 'aborted (134)';
  return byItself ? `ended ${code ?? signal}` : `refused, stopped with ${code ?? signal}`;
}

/** It ended as one that may not believe its store, or said that the disk is low and stopped in order. */
function isOrderly({ code, byItself }: End, { answers }: Loaded): boolean {
  if (code === 74) return true;
  return code === 0 && !byItself && (answers['503 storage_low'] ?? 0) > 0;
}

/** With room: it starts, delivers what it acknowledged, knows every id, and takes new ones. */
async function checkWithRoom(world: World, { acknowledged }: Loaded): Promise<void> {
  const { telegram, stateRoot } = world;
  const gateway = await start(world);
  try {
    const orders = acknowledged.filter(({ integrationId }) => integrationId !== 'filler');
    await until(
      `${orders.length} acknowledged orders are delivered`,
      async () => {
        const there = new Set((await telegram.accepted()).map(({ text }) => text));
        return orders.every(({ text }) => there.has(text));
      },
      90_000,
    );
    for (const sent of acknowledged) {
      const answer = await attempt(gateway, sent);
      assert.equal([answer?.status, answer?.body.duplicate], [200, true], sent.webhookId);
    }
    const fresh = { integrationId: 'orders-0', webhookId: 'fresh', text: 'with room' };
    const answer = await attempt(gateway, fresh);
    assert.is(answer?.status, 202, answer === undefined ? 'no answer' : nameOf(answer));
    assert.equal(await gateway.stop(), { code: 0, signal: null });
  } finally {
    await gateway.kill();
  }
  const verdict = await runCommand(['journal', 'verify', '--json', '--state-root', stateRoot]);
  assert.is(verdict.code, 0, verdict.stderr);
}

async function inWorld(seed: number, work: (world: World) => Promise<void>): Promise<void> {
  await onSmallDisk('64m', async (stateRoot) => {
    const telegram = await startTelegramProcess();
    try {
      await work({ telegram, stateRoot, random: seeded(seed) });
    } finally {
      await telegram.stop();
    }
  });
}

/** Takes all the room that is left, as another program does. */
function fillByOther(stateRoot: string): string {
  const path = join(stateRoot, 'not-ours');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(64 * 1_024, 1);
  try {
    for (let written = 0; written < 1_024 * MIB; written += block.length) writeSync(file, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
  return path;
}

const OWN = `filled by its own messages it answers storage_low or ends with 74, never aborts, and goes on with room (${OWN_ROUNDS} rounds)`;
const OTHER = `filled by another process it refuses, ends with 74 or is aborted, which is counted; no 202 is lost, and it goes on with room (${OTHER_ROUNDS} rounds, seed ${SEED})`;
const reason = whyNoMount();

if (reason !== '') {
  for (const title of [OWN, OTHER]) skipTest(test, title, reason);
} else {
  test(OWN, async () => {
    for (let number = 1; number <= OWN_ROUNDS; number += 1) {
      await inWorld(SEED + number, async (world) => {
        const gateway = await start(world);
        const loaded = await within('the disk is full', fill(gateway, true), 120_000);
        const end = await endOf(gateway);
        console.log(`own ${number}: ${JSON.stringify(loaded.answers)}; ${wordOf(end)}`);
        assert.ok(isOrderly(end, loaded), [wordOf(end), ...gateway.log.slice(-20)].join('\n'));
        assert.ok(loaded.acknowledged.length > 20, 'something fitted');
        resizeDisk(world.stateRoot, '256m');
        await checkWithRoom(world, loaded);
      });
    }
  });

  test(OTHER, async () => {
    const ends: Record<string, number> = {};
    for (let number = 1; number <= OTHER_ROUNDS; number += 1) {
      await inWorld(SEED + 1_000 + number, async (world) => {
        const gateway = await start(world);
        const filling = fill(gateway, world.random() < 0.5);
        await pause(world.random() * 2_000);
        const file = fillByOther(world.stateRoot);
        const loaded = await within('it refuses or ends', filling, 120_000);
        const end = await endOf(gateway);
        const word = wordOf(end);
        ends[word] = (ends[word] ?? 0) + 1;
        console.log(`other ${number}: ${JSON.stringify(loaded.answers)}; ${word}`);
        const isAborted = end.signal === 'SIGABRT';
        const log = gateway.log.slice(-20);
        assert.ok(isAborted || isOrderly(end, loaded), [word, ...log].join('\n'));
        rmSync(file);
        // What was accepted before may be more than half of this disk, and is still to be worked on.
        resizeDisk(world.stateRoot, '256m');
        await checkWithRoom(world, loaded);
      });
    }
    console.log(`filled by another process: ${JSON.stringify(ends)}`);
  });
}

test.run();
