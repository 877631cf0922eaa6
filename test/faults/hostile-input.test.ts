/** Garbage, floods and half requests against the port of a running gateway: answered or closed, never a crash, memory bounded, no secret told. */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_TOKEN } from '../../connectors/fakes/telegram/index.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { postOrder, withWorld } from '../support/orders-world.ts';
import { connectRaw } from '../support/raw-http.ts';
import { faultScale } from '../support/scale.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { within } from '../support/within.ts';
import { type Random, seeded, seedOf } from './seeded.ts';

export const deadlineMs = 600_000;

const CYCLES = faultScale(3, 15);
const SEED = seedOf(4_711);
const MIB = 1_024 * 1_024;
const LARGE_BYTES = 100 * MIB;
/** What one more cycle may leave behind by chance of the collector, over all cycles after the first. */
const GROWTH_BYTES = 64 * MIB;
/** The listener's own deadline for a request is 15 s. */
const CLOSED_MS = 40_000;

const test = suite('hostile input');

const portOf = (gateway: GatewayProcess) => Number(new URL(gateway.url).port);

function rssBytes({ pid }: GatewayProcess): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1_024;
}

function bytesOf(random: Random, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256)));
}

const HEAD = 'POST /hooks/v1/orders-0 HTTP/1.1\r\nHost: a\r\n';

const GARBAGE: readonly (string | Buffer)[] = [
  Buffer.from([0, 1, 2, 255, 254, 13, 10, 13, 10]),
  Buffer.from('160301020001000001fc0303', 'hex'),
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  `${HEAD}Content-Length: -1\r\n\r\nabc`,
  `${HEAD}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n`,
  `${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  `GET /hooks/v1/%ff%fe%00 HTTP/1.1\r\nHost: a\r\n\r\n`,
  Buffer.concat([Buffer.from('GET /'), Buffer.alloc(100_000, 0x41), Buffer.from(' HTTP/1.1\r\n')]),
];

/** Sends, waits for an answer or the end, and hangs up. */
async function sendGarbage(port: number, bytes: string | Buffer): Promise<void> {
  const raw = await connectRaw(port);
  raw.send(bytes);
  await raw.until('an answer or the end', (text) => text !== '' || raw.isClosed(), CLOSED_MS);
  raw.destroy();
}

async function garbage(gateway: GatewayProcess, random: Random): Promise<void> {
  const noise = Array.from({ length: 20 }, () => bytesOf(random, 1 + Math.floor(random() * 4_096)));
  for (const bytes of [...GARBAGE, ...noise]) {
    const raw = await connectRaw(portOf(gateway));
    raw.send(bytes);
    raw.send('\r\n\r\n');
    await raw.until('an answer or the end', (text) => text !== '' || raw.isClosed(), CLOSED_MS);
    raw.destroy();
  }
}

/** Half a request, then silence: closed by the listener's own deadline. */
async function halfOpen(gateway: GatewayProcess): Promise<void> {
  const halves = ['', 'POST /hoo', HEAD, `${HEAD}Content-Length: 100\r\n\r\nhalf`];
  const open = Array.from({ length: 200 }, (_, n) => halves[n % halves.length] ?? '');
  const raws = await Promise.all(open.map(() => connectRaw(portOf(gateway))));
  for (const [n, raw] of raws.entries()) raw.send(open[n] ?? '');
  await Promise.all(raws.map((raw) => raw.closed(CLOSED_MS)));
}

async function headerFloods(gateway: GatewayProcess): Promise<void> {
  const many = Array.from({ length: 5_000 }, (_, n) => `x-${n}: ${n}\r\n`).join('');
  const long = `x-long: ${'y'.repeat(MIB)}\r\n`;
  for (const headers of [many, long]) {
    await sendGarbage(portOf(gateway), `${HEAD}${headers}Content-Length: 0\r\n\r\n`);
  }
}

/** 100 MB, told beforehand or in chunks: refused with 413 or cut long before it is read. */
async function largeBody(gateway: GatewayProcess, isChunked: boolean): Promise<void> {
  const socket = createConnection({ port: portOf(gateway), host: '127.0.0.1' });
  let answer = '';
  let isOver = false;
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text;
  });
  const over = () => {
    isOver = true;
  };
  socket.on('error', over).on('close', over).on('end', over);
  const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${LARGE_BYTES}`;
  socket.write(`${HEAD}${framing}\r\n\r\n`);
  const piece = Buffer.alloc(256 * 1_024, 0x61);
  const chunk = isChunked
    ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
    : piece;
  let sentBytes = 0;
  while (!isOver && answer === '' && sentBytes < LARGE_BYTES) {
    sentBytes += piece.length;
    if (!socket.write(chunk))
      await within('it takes more, answers or closes', drained(socket), CLOSED_MS);
    // Where the kernel takes all at once nothing else would let the answer be read.
    await nextTurn();
  }
  assert.ok(sentBytes < LARGE_BYTES / 2, `it read ${sentBytes} bytes`);
  if (answer !== '') assert.match(answer, /^HTTP\/1\.1 413 /);
  socket.destroy();
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['drain', 'close', 'end', 'error', 'data'])
      socket.once(event, () => resolve());
  });
}

/** Signed like a real one, by whoever has the secret: what is inside is refused all the same. */
async function signedNonsense(gateway: GatewayProcess, random: Random): Promise<void> {
  const post = { url: gateway.url, integrationId: 'orders-0' };
  for (const payload of [
    '\ud800',
    '{"text":',
    '[1,2',
    '"just text"',
    'null',
    '[[[['.repeat(20_000),
  ]) {
    const webhookId = `bad-${Math.floor(random() * 1e9)}`;
    const { status } = await postWebhook({ ...post, webhookId, payload });
    assert.ok(status === 400 || status === 202, `${status} for ${payload.slice(0, 20)}`);
  }
  const invalid = Buffer.concat([
    Buffer.from('{"text":"'),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('"}'),
  ]);
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const key = Buffer.from(TEST_SECRET.slice('whsec_'.length), 'base64');
  const signed = createHmac('sha256', key).update(`utf8.${timestamp}.`).update(invalid);
  const response = await fetch(`${gateway.url}/hooks/v1/orders-0`, {
    method: 'POST',
    headers: {
      'webhook-id': 'utf8',
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signed.digest('base64')}`,
    },
    body: invalid,
    signal: AbortSignal.timeout(20_000),
  });
  assert.is(response.status, 400, 'invalid UTF-8');
  assert.not.ok((await response.text()).includes(TEST_SECRET));
}

test(`answered or closed, never a crash, memory bounded, no secret in the log (${CYCLES} cycles, seed ${SEED})`, () =>
  withWorld(async ({ fake, start }) => {
    const gateway = await start();
    const random = seeded(SEED);
    let startBytes = 0;
    for (let cycle = 0; cycle <= CYCLES; cycle += 1) {
      await garbage(gateway, random);
      await headerFloods(gateway);
      await halfOpen(gateway);
      await largeBody(gateway, false);
      await largeBody(gateway, true);
      await signedNonsense(gateway, random);
      const answer = await postOrder(gateway, cycle, 1);
      assert.is(answer.status, 202, 'a normal webhook is taken');
      await fake.waitForAccepted((log) => log.some((m) => m.text === `order ${cycle}`), 20_000);
      if (cycle === 0) startBytes = rssBytes(gateway);
    }
    const growthBytes = rssBytes(gateway) - startBytes;
    console.log(
      `seed ${SEED}: ${(startBytes / MIB).toFixed(0)} MiB after the first cycle, ${(growthBytes / MIB).toFixed(1)} MiB more after ${CYCLES} others`,
    );
    assert.ok(growthBytes < GROWTH_BYTES, `it grew by ${growthBytes} bytes`);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    assert.equal(await gateway.stop(), { code: 0, signal: null });
    const told = `${gateway.log.join('\n')}${metrics}`;
    assert.ok(gateway.log.length > 0, 'it logs');
    for (const secret of [
      TEST_SECRET,
      TEST_SECRET.slice('whsec_'.length),
      DEFAULT_TOKEN,
      gateway.token,
    ]) {
      assert.not.ok(told.includes(secret), 'a secret stands in the log');
    }
  }));

test.run();
