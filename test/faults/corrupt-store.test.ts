/** State roots that a gateway must not start on, and how it ends when it is told to: it says why, and changes nothing. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { STORE_FORMAT } from '../../cli/compose-machine.ts';
import { openLmdbStore } from '../../runtime/store/index.ts';
import { readDataFile } from '../../runtime/store/lmdb/data-file.ts';
import { runGatewayToEnd, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { ENV, postOrder, withWorld } from '../support/orders-world.ts';
import { postWebhook } from '../support/webhook-sender.ts';
import { within } from '../support/within.ts';
import { startOrderSenders } from './order-senders.ts';
import { seeded } from './seeded.ts';

const test = suite('a gateway that must not start, or must end');

const DATA_FILE = join('store', 'data.mdb');

/** The engine's table of its present readers: whoever looks at the format stands in it. It holds nothing that is kept. */
const READER_TABLE = join('store', 'lock.mdb');

/** Every file below the state root with the digest of its content. */
function digestsOf(root: string): ReadonlyMap<string, string> {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return new Map(
    names
      .filter((name) => name !== READER_TABLE && statSync(join(root, name)).isFile())
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(root, name)))
          .digest('hex'),
      ]),
  );
}

/** A state root on which a gateway has run and ended in order. */
async function withUsedRoot(work: (stateRoot: string) => Promise<void>): Promise<void> {
  await withStateRoot(async (stateRoot) => {
    const gateway = await startGateway({ stateRoot, readyMs: 60_000 });
    const body = JSON.stringify({ text: 'something to keep' });
    await gateway.admin('/admin/v1/channels/echo:default/test', { method: 'POST', body });
    assert.equal(await gateway.stop(), { code: 0, signal: null });
    await work(stateRoot);
  });
}

const DAMAGES: readonly (readonly [string, string, (file: string) => void])[] = [
  ['garbage', 'store_corrupt', (file) => writeFileSync(file, Buffer.alloc(100_000, 0xa5))],
  ['a text file', 'store_corrupt', (file) => writeFileSync(file, 'hello\n'.repeat(10_000))],
  ['cut to half its length', 'store_corrupt', (file) => cut(file, 0.5)],
  ['cut to its first page', 'store_corrupt', (file) => cut(file, 0, 4_096)],
  ['without one of its pages', 'store_corrupt', emptyPage],
];

/** The engine would end the process that meets it. */
function emptyPage(file: string): void {
  const data = readDataFile(file);
  if (data === undefined) throw new Error(`${file} is empty`);
  const bytes = readFileSync(file);
  const at = data.rows.rootPage * data.pageBytes;
  writeFileSync(file, bytes.fill(0, at, at + data.pageBytes));
}

function cut(file: string, share: number, bytes = 0): void {
  const handle = openSync(file, 'r+');
  ftruncateSync(handle, Math.floor(statSync(file).size * share) + bytes);
  closeSync(handle);
}

for (const [what, code, damage] of DAMAGES) {
  test(`a data file that is ${what} is refused with exit 1, a next step, and not one changed byte`, () =>
    withUsedRoot(async (stateRoot) => {
      damage(join(stateRoot, DATA_FILE));
      await assertRefused(stateRoot, code, /Restore a backup/i);
    }));
}

test('a journal with one changed byte is refused with exit 1, a next step, and not one changed byte, though its newest commits are only in the log', () =>
  withUsedRoot(async (stateRoot) => {
    const gateway = await startGateway({ stateRoot, readyMs: 60_000 });
    const body = JSON.stringify({ text: 'only in the log' });
    await gateway.admin('/admin/v1/channels/echo:default/test', { method: 'POST', body });
    await gateway.kill();
    const store = join(stateRoot, 'store');
    // The lock of a dead holder is nobody's: whoever comes next removes it.
    for (const name of readdirSync(store)) if (name.endsWith('.lock')) rmSync(join(store, name));
    assert.ok(readFileSync(join(store, 'commits-0.log')).includes(FACT), 'the log holds commits');
    changeByte(join(stateRoot, DATA_FILE), FACT);
    await assertRefused(stateRoot, 'store_corrupt', /journal verify/);
  }));

/** The type of the fact that the test message is written down by. */
const FACT = 'operation.performed';

/** Everywhere: pages that are no longer used hold older copies. */
function changeByte(file: string, text: string): void {
  const bytes = readFileSync(file);
  assert.ok(bytes.includes(text), `${file} holds ${text}`);
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at)) bytes[at] = 0x5f;
  writeFileSync(file, bytes);
}

test('a store of a newer format is refused with exit 1, a next step, and not one changed byte', () =>
  withUsedRoot(async (stateRoot) => {
    const store = await openLmdbStore({
      directory: join(stateRoot, 'store'),
      formatVersion: STORE_FORMAT + 1,
      migrate: async () => undefined,
    });
    await store.close();
    await assertRefused(stateRoot, 'store_newer', /newer/i);
  }));

test('a store of an older format is refused with exit 1, a next step, and not one changed byte', () =>
  withUsedRoot(async (usedRoot) => {
    const stateRoot = join(usedRoot, 'older');
    const directory = join(stateRoot, 'store');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const store = await openLmdbStore({ directory, formatVersion: STORE_FORMAT - 1 });
    await store.close();
    await assertRefused(stateRoot, 'store_older', /program that wrote it/);
  }));

async function assertRefused(stateRoot: string, code: string, next: RegExp): Promise<void> {
  const before = digestsOf(stateRoot);
  const end = await runGatewayToEnd({ stateRoot });
  assert.is(end.code, 1, end.log);
  assert.match(end.log, new RegExp(code));
  assert.match(end.log, /Nothing was changed/);
  assert.match(end.log, next);
  assert.equal([...digestsOf(stateRoot)], [...before]);
}

test('a second process on the state root is refused with exit 4, and the first one goes on', () =>
  withWorld(async ({ fake, start, stateRoot }) => {
    const gateway = await start();
    const second = await runGatewayToEnd({ stateRoot, env: ENV });
    assert.is(second.code, 4, second.log);
    assert.match(second.log, /store_locked/);
    assert.is((await postOrder(gateway, 1)).status, 202);
    await fake.waitForAccepted(1, 20_000);
    assert.equal(await gateway.stop(), { code: 0, signal: null });
  }));

test('SIGTERM under load drains: exit 0 within 25 s, what it acknowledged is delivered by it or by the next', () =>
  withWorld(async ({ fake, start }) => {
    const gateway = await start();
    const senders = startOrderSenders({ lanes: 8, random: seeded(9), pauseMs: 10 });
    senders.pointTo(gateway);
    await fake.waitForAccepted(50, 60_000);
    const startedAtMs = performance.now();
    const end = await gateway.stop();
    const tookMs = performance.now() - startedAtMs;
    senders.pointTo(undefined);
    assert.equal(end, { code: 0, signal: null });
    assert.ok(tookMs < 25_000, `${tookMs} ms`);
    const next = await start();
    senders.pointTo(next);
    await within('the senders are done', senders.finish(), 60_000);
    assert.equal(senders.problems, []);
    const texts = senders.acknowledged.map(({ text }) => text);
    const isThere = (log: readonly { readonly text: string }[]) => {
      const there = new Set(log.map(({ text }) => text));
      return texts.every((text) => there.has(text));
    };
    await fake.waitForAccepted(isThere, 60_000);
    await next.stop();
    console.log(`drained under load in ${tookMs.toFixed(0)} ms; ${texts.length} accepted`);
  }));

test('SIGTERM while a large store is copied ends it in order: exit 0, no half copy, and the next start says what became of the job', () =>
  withUsedRoot(async (stateRoot) => {
    await enlarge(join(stateRoot, 'store'));
    const gateway = await startGateway({ stateRoot, readyMs: 60_000 });
    const { job_id } = (await gateway.admin('/admin/v1/backup', {
      method: 'POST',
      body: '{}',
    })) as { readonly job_id: string };
    const partial = join(stateRoot, 'backups', `${job_id}.partial`);
    const hasBegun = async () => {
      while (!existsSync(partial) && !existsSync(join(stateRoot, 'backups', job_id))) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await within('the copy has begun', hasBegun(), 20_000);
    assert.equal(await gateway.stop(), { code: 0, signal: null });
    assert.is(existsSync(partial), false);
    const next = await startGateway({ stateRoot, readyMs: 60_000 });
    const job = (await next.admin(`/admin/v1/jobs/${job_id}`)) as Record<string, unknown>;
    const end = existsSync(join(stateRoot, 'backups', job_id)) ? /^done$/ : /^failed$/;
    assert.match(String(job.status), end);
    await next.stop();
  }));

test('the half copy of a gateway that was killed goes at the next start, and its job has failed', () =>
  withUsedRoot(async (stateRoot) => {
    const job_id = '01M84PZ3NNB227KA95R2ZBPMAT';
    const directory = join(stateRoot, 'store');
    const store = await openLmdbStore({ directory, formatVersion: STORE_FORMAT });
    const row = { v: 1, operation: 'backup.create', status: 'running', detail: '' };
    const put = [{ table: 'jobs', key: job_id, row: { ...row, startedAtMs: 1, endedAtMs: 0 } }];
    await store.commit([{ expect: [], put, remove: [], facts: [] }], 1);
    await store.close();
    const partial = join(stateRoot, 'backups', `${job_id}.partial`);
    mkdirSync(partial, { recursive: true });
    writeFileSync(join(partial, 'data.mdb'), 'half');
    const gateway = await startGateway({ stateRoot, readyMs: 60_000 });
    assert.is(existsSync(partial), false);
    const job = (await gateway.admin(`/admin/v1/jobs/${job_id}`)) as Record<string, unknown>;
    assert.equal([job.status, job.detail], ['failed', 'interrupted']);
    await gateway.stop();
  }));

/** By some 200 MiB: what a copy takes longer for than a drain with nothing to do. */
async function enlarge(directory: string): Promise<void> {
  const store = await openLmdbStore({ directory, formatVersion: STORE_FORMAT });
  const row = { v: 1, text: 'x'.repeat(500_000) };
  for (let n = 0; n < 40; n += 1) {
    const put = Array.from({ length: 10 }, (_, i) => ({ table: 'pad', key: `${n}-${i}`, row }));
    await store.commit([{ expect: [], put, remove: [], facts: [] }], 1);
  }
  await store.close();
}

test('a second SIGTERM ends a drain that would wait, at once with exit 0, and nothing acknowledged is lost', () =>
  withWorld(async ({ fake, start }) => {
    fake.script({ method: 'sendMessage', times: 0, fault: { type: 'hang', accepted: false } });
    const gateway = await start();
    for (let lane = 0; lane < 4; lane += 1) {
      assert.is((await postOrder(gateway, lane, lane)).status, 202);
    }
    const isSending = () => fake.calls.some(({ method }) => method === 'sendMessage');
    await fake.until('a send hangs', isSending, 20_000);
    process.kill(gateway.pid, 'SIGTERM');
    await within(
      'it says that it drains',
      (async () => {
        while (!gateway.log.some((line) => line.includes('draining'))) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })(),
      10_000,
    );
    const startedAtMs = performance.now();
    assert.equal(await gateway.stop(), { code: 0, signal: null });
    assert.ok(performance.now() - startedAtMs < 3_000, 'at once');
    fake.clearScript();
    const next = await start();
    await fake.waitForAccepted((log) => new Set(log.map((m) => m.text)).size === 4, 60_000);
    const again = { url: next.url, integrationId: 'orders-0', webhookId: 'msg-0' };
    const answer = await postWebhook({ ...again, payload: { text: 'order 0' } });
    assert.is(answer.status, 200);
    await next.stop();
  }));

test.run();
