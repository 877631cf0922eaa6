/** Holds `palyra serve` as others script against it: the ready line, its files, refusals, signals, exit codes. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from '../../../runtime/errors.ts';
import { until, within } from '../../support/within.ts';
import { serve } from '../support/served-gateway.ts';
import { runCommand } from '../support/spawn-cli.ts';
import { openUnreadPipe } from '../support/unread-pipe.ts';

const test = suite('cli: serve');
const directory = mkdtempSync(join(tmpdir(), 'palyra-serve-'));
test.after(() => rmSync(directory, { recursive: true, force: true }));

let roots = 0;
function newRoot(): string {
  roots += 1;
  return join(directory, `root-${roots}`);
}

test('with no file it prints one ready line, keeps its files private, and the printed command shows a reply', async () => {
  const stateRoot = newRoot();
  const gateway = serve(['--state-root', stateRoot]);
  const { http, pid } = await gateway.ready;
  assert.is(pid, gateway.pid);
  assert.equal(JSON.parse(readFileSync(join(stateRoot, 'gateway.json'), 'utf8')), { http, pid });
  for (const name of ['gateway.json', 'admin.token']) {
    assert.is(statSync(join(stateRoot, name)).mode & 0o777, 0o600, name);
  }
  await gateway.logged('webhooks test demo');
  const demo = await runCommand([
    'webhooks',
    'test',
    'demo',
    '--text',
    'Hello',
    '--state-root',
    stateRoot,
  ]);
  assert.is(demo.code, 0, demo.stderr);
  assert.match(demo.stdout, /^reply +Hello$/m);
  assert.match(demo.stdout, /^delivered +echo:default/m);

  gateway.signal('SIGTERM');
  assert.is(await gateway.end, 0);
  assert.not(existsSync(join(stateRoot, 'gateway.json')));
  assert.match(gateway.stdout(), /^ready \{.*\}\n$/);
  for (const line of gateway.stderr().trim().split('\n')) JSON.parse(line);
  const verified = await runCommand(['journal', 'verify', '--state-root', stateRoot]);
  assert.is(verified.code, 0, verified.stderr);
});

test('a second gateway on a state root is refused with exit 4, and the first one runs on', async () => {
  const stateRoot = newRoot();
  const gateway = serve(['--state-root', stateRoot]);
  const { http } = await gateway.ready;
  const second = serve(['--state-root', stateRoot]);
  assert.is(await second.end, 4);
  const held = `the store ${join(stateRoot, 'store')} is open for writing in process ${gateway.pid}`;
  const words = lastWords(second);
  assert.ok(words.startsWith(`palyra: store_locked: ${held}`), words);
  assert.match(words, /\n {2}next: stop the other gateway, or give another --state-root\n$/);
  assert.is(second.stdout(), '');
  assert.is((await fetch(`${http}/livez`, { signal: AbortSignal.timeout(5_000) })).status, 200);
  assert.is(JSON.parse(readFileSync(join(stateRoot, 'gateway.json'), 'utf8')).http, http);
  const port = serve(['--state-root', newRoot(), '--http', http.replace('http://', '')]);
  assert.is(await port.end, 4);
  const taken = `cannot listen on 127.0.0.1 port ${new URL(http).port}: another process listens there`;
  assert.is(
    lastWords(port),
    `palyra: address_in_use: ${taken}; stop it or choose another port\n  next: give another --http HOST:PORT; port 0 picks a free one\n`,
  );
  gateway.signal('SIGINT');
  assert.is(await gateway.end, 0);
});

test('after a kill the record it left leads nowhere: exit 5, and the next start takes over', async () => {
  const stateRoot = newRoot();
  const killed = serve(['--state-root', stateRoot]);
  await killed.ready;
  killed.signal('SIGKILL');
  assert.is(await killed.end, 'SIGKILL');
  assert.ok(existsSync(join(stateRoot, 'gateway.json')));
  const stale = await runCommand(['status', '--state-root', stateRoot]);
  assert.is(stale.code, 5);
  assert.match(stale.stderr, 'stale gateway.json');
  const next = serve(['--state-root', stateRoot]);
  await next.ready;
  const status = await runCommand(['status', '--json', '--state-root', stateRoot]);
  assert.is(status.code, 0, status.stderr);
  assert.is(JSON.parse(status.stdout).pid, next.pid);
  next.signal('SIGTERM');
  assert.is(await next.end, 0);
});

test('a drain that waits for a model takes nothing more, also on open connections; a second signal ends it with exit 0', async () => {
  const model = createServer(() => undefined);
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  const { port } = model.address() as AddressInfo;
  const file = join(directory, 'slow.toml');
  writeFileSync(
    file,
    `[model]\nprovider = "openai-compatible"\nbase_url = "http://127.0.0.1:${port}/v1"\nmodel = "m"\n[[webhooks]]\nintegration_id = "slow"\nsecret_refs = ["env:SLOW_SECRET"]\n`,
  );
  const stateRoot = newRoot();
  const asked = new Promise<void>((resolve) => model.once('request', () => resolve()));
  const env = { SLOW_SECRET: `whsec_${Buffer.alloc(24, 7).toString('base64')}` };
  const gateway = serve(['--config', file, '--state-root', stateRoot], env);
  const { http } = await gateway.ready;
  const probes = keptOpen(http);
  const hooks = [keptOpen(http), keptOpen(http), keptOpen(http)];
  assert.is((await probes('GET', '/readyz')).status, 200);
  for (const post of hooks) assert.is((await post('POST', '/hooks/v1/slow')).status, 401);
  const sent = runCommand([
    'webhooks',
    'test',
    'slow',
    '--text',
    'x',
    '--timeout',
    '1',
    '--state-root',
    stateRoot,
  ]);
  await asked;
  await sent;
  gateway.signal('SIGTERM');
  await gateway.logged('draining');
  await until('it is unready', async () => (await probes('GET', '/readyz')).status === 503);
  const refused = await until('it takes nothing more', async () => {
    const [post] = hooks;
    assert.ok(post, 'all open connections were ended without a word');
    // One whose answer was on its way when the port closed is ended with it.
    const answer = await post('POST', '/hooks/v1/slow').catch(() => void hooks.shift());
    return answer?.status === 503 && answer;
  });
  assert.is(refused.code, 'stopping');
  assert.ok(Number(refused.retryAfter) > 0);
  const atMs = performance.now();
  gateway.signal('SIGTERM');
  assert.is(await gateway.end, 0);
  assert.ok(performance.now() - atMs < 5_000);
  assert.match(gateway.stderr(), 'second signal');
  assert.not(existsSync(join(stateRoot, 'gateway.json')));
  model.closeAllConnections();
  model.close();
});

test('a signal before it listens ends it with exit 0 and without a ready line', async () => {
  const stateRoot = newRoot();
  const gateway = serve(['--state-root', stateRoot, '--log-level', 'debug']);
  await untilExists(stateRoot);
  gateway.signal('SIGTERM');
  assert.is(await gateway.end, 0);
  assert.not(existsSync(join(stateRoot, 'gateway.json')));
});

test('a signal while it still reads its settings ends it with exit 0 too', async () => {
  const file = join(directory, 'settings.pipe');
  execFileSync('sh', ['-c', 'mkfifo "$0"', file]);
  const gateway = serve(['--config', file, '--state-root', newRoot()]);
  const pipe = await until('it opens its file', () => openedByReader(file), 20_000);
  gateway.signal('SIGTERM');
  writeSync(pipe, '\n');
  closeSync(pipe);
  assert.is(await gateway.end, 0);
  assert.is(gateway.stdout(), '');
});

test('5: where nobody reads its log it starts, answers webhooks and probes, and ends with 0', async () => {
  const pipe = openUnreadPipe(join(directory, 'log.pipe'));
  const stateRoot = newRoot();
  const gateway = serve(['--state-root', stateRoot, '--log-level', 'debug'], {}, pipe.fd);
  try {
    const { http } = await gateway.ready;
    const flags = ['--state-root', stateRoot, '--text', 'Hello'];
    for (let round = 0; round < 3; round += 1) {
      assert.is((await runCommand(['webhooks', 'test', 'demo', ...flags])).code, 0);
      const probes = Array.from({ length: 200 }, () =>
        fetch(`${http}/livez`, { signal: AbortSignal.timeout(10_000) }),
      );
      for (const { status } of await Promise.all(probes)) assert.is(status, 200);
    }
    gateway.signal('SIGTERM');
    assert.is(await within('its end', gateway.end, 26_000), 0);
  } finally {
    gateway.signal('SIGKILL');
    pipe.close();
  }
});

test('5: a log on a full disk ends nothing', async () => {
  const full = openSync('/dev/full', 'w');
  const gateway = serve(['--state-root', newRoot()], {}, full);
  const { http } = await gateway.ready;
  assert.is((await fetch(`${http}/livez`, { signal: AbortSignal.timeout(5_000) })).status, 200);
  gateway.signal('SIGTERM');
  assert.is(await gateway.end, 0);
  closeSync(full);
});

test('a store that is not one is refused with exit 1 and left as it is', async () => {
  const stateRoot = newRoot();
  mkdirSync(join(stateRoot, 'store'), { recursive: true });
  const file = join(stateRoot, 'store', 'data.mdb');
  writeFileSync(file, Buffer.alloc(65_536, 7));
  const gateway = serve(['--state-root', stateRoot]);
  assert.is(await gateway.end, 1);
  const words = lastWords(gateway);
  assert.ok(words.startsWith(`palyra: store_corrupt: ${file} is not a whole store file: `), words);
  assert.match(words, /\n {2}next: nothing was changed; restore a backup [^\n]*\n$/);
  assert.equal(readFileSync(file), Buffer.alloc(65_536, 7));
});

test('a backup in another state root is refused with exit 4 and a next step until its vault.key is there too', async () => {
  const [stateRoot, other] = [newRoot(), newRoot()];
  const gateway = serve(['--state-root', stateRoot]);
  await gateway.ready;
  const made = await runCommand(['backup', '--json', '--state-root', stateRoot]);
  assert.is(made.code, 0, made.stderr);
  gateway.signal('SIGTERM');
  assert.is(await gateway.end, 0);
  const { detail: copy } = JSON.parse(made.stdout) as { detail: string };
  mkdirSync(other);
  cpSync(copy, join(other, 'store'), { recursive: true });

  const refused = serve(['--state-root', other]);
  const end = within('its refusal', refused.end, 20_000);
  assert.is(await end.finally(() => refused.signal('SIGKILL')), 4);
  assert.match(
    lastWords(refused),
    /^palyra: vault_key_missing: the store holds sealed secrets[^\n]*\n {2}next: put the vault\.key/,
  );
  for (const name of ['vault.key', 'admin.token']) assert.not(existsSync(join(other, name)));

  cpSync(join(stateRoot, 'vault.key'), join(other, 'vault.key'));
  const restored = serve(['--state-root', other]);
  await restored.ready;
  const token = (root: string) => readFileSync(join(root, 'admin.token'), 'utf8');
  assert.is(token(other), token(stateRoot));
  const status = await runCommand(['status', '--state-root', other]);
  assert.is(status.code, 0, status.stderr);
  restored.signal('SIGTERM');
  assert.is(await restored.end, 0);
});

test('a webhook that a command added cannot be declared too: exit 2', async () => {
  const stateRoot = newRoot();
  const gateway = serve(['--state-root', stateRoot]);
  await gateway.ready;
  const added = await runCommand(['webhooks', 'add', 'orders', '--state-root', stateRoot]);
  assert.is(added.code, 0, added.stderr);
  gateway.signal('SIGTERM');
  assert.is(await gateway.end, 0);
  const file = join(directory, 'orders.toml');
  writeFileSync(file, '[[webhooks]]\nintegration_id = "orders"\nsecret_refs = ["env:X"]\n');
  const again = serve(['--state-root', stateRoot, '--config', file]);
  assert.is(await again.end, 2);
  assert.match(again.stderr(), `${file}:2: webhooks[0].integration_id: expected another id`);
});

test('a state root that cannot be one is refused with exit 4, what is wrong and a next step', async () => {
  const file = join(directory, 'a-file');
  writeFileSync(file, '');
  const dangling = join(directory, 'dangling');
  symlinkSync(join(directory, 'nowhere', 'at', 'all'), dangling);
  const unmade = process.platform === 'linux' ? ['/proc/palyra', '/proc'] : [];
  for (const stateRoot of [file, join(file, 'below'), dangling, ...unmade]) {
    const gateway = serve(['--state-root', stateRoot]);
    const end = within(`the refusal of ${stateRoot}`, gateway.end, 20_000);
    assert.is(await end.finally(() => gateway.signal('SIGKILL')), 4, gateway.stderr());
    const [first, next] = lastWords(gateway).split('\n');
    const start = `palyra: state_root_unusable: the state root ${stateRoot} cannot be used: E`;
    assert.ok(first?.startsWith(start), first);
    assert.match(next ?? '', 'next: give a --state-root that is a directory');
    const status = await runCommand(['status', '--state-root', stateRoot]);
    assert.is(status.code, 5, status.stderr);
  }
});

/** What it says at its end, after its log. */
function lastWords(gateway: { stderr(): string }): string {
  return gateway.stderr().replace(/^\{.*\n/gm, '');
}

/** The writing end of a pipe; undefined until somebody reads it. */
function openedByReader(file: string): number | undefined {
  try {
    return openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENXIO') return undefined;
    throw error;
  }
}

/** Requests over one connection that stays open between them. */
function keptOpen(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return (method: string, path: string) =>
    new Promise<{ status: number; code: unknown; retryAfter: string }>((resolve, reject) => {
      const sending = request(`${url}${path}`, { method, agent, timeout: 10_000 }, (answer) => {
        let body = '';
        answer.on('data', (part) => {
          body += String(part);
        });
        answer.on('end', () => {
          const { code } = JSON.parse(body) as { code?: unknown };
          const retryAfter = String(answer.headers['retry-after'] ?? '');
          resolve({ status: answer.statusCode ?? 0, code, retryAfter });
        });
      });
      sending.once('timeout', () => sending.destroy(new Error(`${path} was not answered`)));
      sending.once('error', reject);
      sending.end();
    });
}

/** The start is under way once its state root is there. */
async function untilExists(path: string): Promise<void> {
  const untilMs = performance.now() + 20_000;
  while (!existsSync(path)) {
    if (performance.now() > untilMs) throw new Error(`${path} was not made`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test.run();
