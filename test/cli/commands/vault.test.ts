/** Holds `palyra vault`: a secret goes in by stdin, works by its reference, and comes out nowhere. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openFakeGateway } from '../support/fake-gateway.ts';
import { runInProcess } from '../support/run-in-process.ts';
import { serve } from '../support/served-gateway.ts';
import { runCommand } from '../support/spawn-cli.ts';

const test = suite('cli: vault');
const ENV = { PALYRA_ADMIN_TOKEN: 'secret-admin-token' };
const SECRET = `whsec_${Buffer.from('a secret of its user').toString('base64')}`;

test('put sends what stdin holds to its place, and shows the reference alone', async () => {
  const gateway = await openFakeGateway({
    'POST /admin/v1/vault/telegram/token': () => ({ body: { ref: 'vault:telegram/token' } }),
  });
  const args = ['vault', 'put', 'telegram/token', '--url', gateway.url];
  const words = await runInProcess(args, ENV, SECRET);
  const json = await runInProcess([...args, '--json'], ENV, SECRET);
  gateway.close();
  assert.equal(words, { code: 0, stdout: 'stored vault:telegram/token\n', stderr: '' });
  assert.equal(JSON.parse(json.stdout), { ref: 'vault:telegram/token' });
  assert.equal(JSON.parse(gateway.requests[0]?.body ?? ''), { secret: SECRET });
});

test('a name of another form is a usage error that repeats nothing of it', async () => {
  for (const name of [SECRET, 'a', 'a/b/c', 'A/b', 'a/']) {
    const { code, stdout, stderr } = await runInProcess(['vault', 'put', name, '--url', 'x'], ENV);
    assert.is(code, 2);
    assert.is(stdout, '');
    assert.not.match(stderr, SECRET);
  }
});

test('list shows all references, page after page', async () => {
  const gateway = await openFakeGateway({
    'GET /admin/v1/vault': ({ query }) => ({
      body:
        query.after === ''
          ? { refs: ['vault:a/b'], next: 'vault:a/b' }
          : { refs: ['vault:c/d'], next: '' },
    }),
  });
  const words = await runInProcess(['vault', 'list', '--url', gateway.url], ENV);
  const json = await runInProcess(['vault', 'list', '--json', '--url', gateway.url], ENV);
  gateway.close();
  assert.equal(words, { code: 0, stdout: 'vault:a/b\nvault:c/d\n', stderr: '' });
  assert.equal(JSON.parse(json.stdout), { refs: ['vault:a/b', 'vault:c/d'] });
});

test('a secret that was put works by its reference and stands nowhere in the clear', async () => {
  const stateRoot = mkdtempSync(join(tmpdir(), 'palyra-vault-'));
  const gateway = serve(['--state-root', stateRoot]);
  try {
    await gateway.ready;
    const palyra = async (args: readonly string[], stdin?: string) => {
      const end = await runCommand([...args, '--state-root', stateRoot], {}, 60_000, stdin);
      assert.is(end.code, 0, end.stderr);
      assert.not.match(end.stdout + end.stderr, SECRET);
      return end.stdout;
    };
    await palyra(['vault', 'put', 'orders/secret'], `${SECRET}\n`);
    const { refs } = JSON.parse(await palyra(['vault', 'list', '--json']));
    assert.ok(refs.includes('vault:orders/secret'));
    await palyra(['webhooks', 'add', 'orders', '--secret-ref', 'vault:orders/secret']);
    await palyra(['webhooks', 'test', 'orders', '--text', 'Hello', '--timeout', '60']);
    gateway.signal('SIGTERM');
    assert.is(await gateway.end, 0);
    assert.not.match(gateway.stderr() + gateway.stdout(), SECRET);
    const files = readdirSync(stateRoot, { recursive: true, withFileTypes: true });
    const written = files
      .filter((file) => file.isFile())
      .map((file) => readFileSync(join(file.parentPath, file.name)));
    const holds = (text: string) => written.some((bytes) => bytes.includes(text));
    assert.is(holds(SECRET.slice('whsec_'.length)), false);
    assert.is(holds('a secret of its user'), false);
    // The facts that say who put it where.
    for (const fact of ['secret.stored', 'vault.put']) assert.ok(holds(fact), fact);
  } finally {
    gateway.signal('SIGKILL');
    await gateway.end;
    rmSync(stateRoot, { recursive: true, force: true });
  }
});

test('the gateway’s own token is replaced at once, for its commands too', async () => {
  const stateRoot = mkdtempSync(join(tmpdir(), 'palyra-rotate-'));
  const gateway = serve(['--state-root', stateRoot]);
  const file = join(stateRoot, 'admin.token');
  try {
    const { http } = await gateway.ready;
    const before = readFileSync(file, 'utf8').trim();
    const at = ['--state-root', stateRoot];
    for (const token of ['two words', 'ünï', 'x'.repeat(4_097)]) {
      const refused = await runCommand(['vault', 'put', 'admin/token', ...at], {}, 60_000, token);
      assert.match(refused.stderr, 'visible ASCII');
      assert.is(readFileSync(file, 'utf8').trim(), before);
    }
    const put = await runCommand(['vault', 'put', 'admin/token', ...at], {}, 60_000, 'another\n');
    assert.is(put.code, 0, put.stderr);
    assert.is(readFileSync(file, 'utf8'), 'another\n');
    assert.is(statSync(file).mode & 0o777, 0o600);
    const status = await runCommand(['status', ...at]);
    assert.is(status.code, 0, status.stderr);
    const headers = { authorization: `Bearer ${before}` };
    const signal = AbortSignal.timeout(10_000);
    assert.is((await fetch(`${http}/admin/v1/status`, { headers, signal })).status, 401);
  } finally {
    gateway.signal('SIGKILL');
    await gateway.end;
    rmSync(stateRoot, { recursive: true, force: true });
  }
});

test.run();
