/** Holds the command line as programs script against it: commands, exit codes, where words go, `--json`. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runCommand } from './support/spawn-cli.ts';

const test = suite('cli: main');
const directory = mkdtempSync(join(tmpdir(), 'palyra-main-'));
test.after(() => rmSync(directory, { recursive: true }));

test('help lists every command, on stdout, and exits 0', async () => {
  const { code, stdout, stderr } = await runCommand(['--help']);
  assert.is(code, 0);
  assert.is(stderr, '');
  for (const name of [
    'serve',
    'status',
    'channels',
    'webhooks',
    'vault',
    'runs',
    'config',
    'journal',
    'backup',
  ]) {
    assert.match(stdout, new RegExp(`^ {2}${name}\\b`, 'm'));
  }
});

test('the version is that of the package', async () => {
  const { code, stdout } = await runCommand(['--version']);
  assert.is(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('no gateway is exit 5, with the next step; with --json as one line of JSON on stderr', async () => {
  const words = await runCommand(['status', '--state-root', directory]);
  assert.is(words.code, 5);
  assert.is(words.stdout, '');
  assert.match(words.stderr, /unreachable.*\n {2}next: .*palyra serve/);
  const json = await runCommand(['status', '--json', '--state-root', directory]);
  assert.is(json.code, 5);
  assert.is(JSON.parse(json.stderr).error.code, 'unreachable');
});

test('an empty --state-root, --config or PALYRA_ variable is exit 2, and nothing is started', async () => {
  const given: readonly [readonly string[], Record<string, string>][] = [
    [['status', '--state-root', ''], {}],
    [['status'], { PALYRA_STATE_ROOT: '' }],
    [['status', '--url', 'http://127.0.0.1:1'], { PALYRA_ADMIN_TOKEN: '' }],
    [['journal', 'verify', '--state-root='], {}],
    [['config', 'validate', '--config', ''], {}],
    [['config', 'validate', ''], {}],
    [['serve', '--config', '', '--state-root', join(directory, 'none')], {}],
  ];
  for (const [args, env] of given) {
    const { code, stderr } = await runCommand(args, env);
    assert.is(code, 2, args.join(' '));
    assert.match(stderr, /^palyra: bad_option: \S+ is empty\n {2}next: give it a value/);
  }
  assert.not(existsSync(join(directory, 'none')));
});

test('a wrong configuration is exit 2 with file, line and key, and nothing is started', async () => {
  const file = join(directory, 'bad.toml');
  writeFileSync(file, '[model]\nprovder = "echo"\n');
  for (const args of [
    ['config', 'validate', file],
    ['config', 'validate', '--config', file],
    ['serve', '--config', file, '--state-root', join(directory, 'none')],
  ]) {
    const { code, stdout, stderr } = await runCommand(args);
    assert.is(code, 2, args.join(' '));
    assert.is(stdout, '');
    assert.match(stderr, `${file}:2: model.provder: expected provider`);
  }
  const { stderr } = await runCommand(['config', 'validate', file, '--json']);
  const { issues } = JSON.parse(stderr).error;
  assert.equal(
    issues.map(({ line, key }: { line: number; key: string }) => [line, key]),
    [[2, 'model.provder']],
  );
});

test('a valid configuration is exit 0', async () => {
  const file = join(directory, 'good.toml');
  writeFileSync(file, '[[connectors]]\nid = "echo:a"\nkind = "echo"\n');
  const { code, stdout } = await runCommand(['config', 'validate', file, '--json']);
  assert.is(code, 0);
  assert.equal(JSON.parse(stdout).connectors, ['echo:a']);
});

test('a bind beyond loopback is exit 4', async () => {
  const { code, stderr } = await runCommand([
    'serve',
    '--http',
    '0.0.0.0:0',
    '--state-root',
    join(directory, 'none'),
  ]);
  assert.is(code, 4);
  assert.match(stderr, 'bind_refused');
});

test('a store directory that this user may not write is exit 4, and says so', () => {
  const stateRoot = join(directory, 'not-ours');
  mkdirSync(join(stateRoot, 'store'), { recursive: true });
  chmodSync(join(stateRoot, 'store'), 0o500);
  const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
  const serve = [process.execPath, main, 'serve', '--http', '127.0.0.1:0'];
  // Root may write everywhere, but for what it has given up.
  const asUser = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-all', ...serve] : serve;
  const [command = '', ...args] = [...asUser, '--state-root', stateRoot];
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000 });
  assert.is(status, 4, stderr);
  assert.match(stderr, /^palyra: state_root_unusable: .*EACCES.*\n {2}next: give a --state-root/m);
});

test('the schema is JSON Schema that names every section and refuses other keys', async () => {
  const { code, stdout } = await runCommand(['config', 'schema', '--json']);
  const schema = JSON.parse(stdout);
  assert.is(code, 0);
  assert.is(schema.additionalProperties, false);
  assert.equal(Object.keys(schema.properties).sort(), [
    'admin',
    'channel_router',
    'connectors',
    'http',
    'model',
    'webhooks',
  ]);
});

test('journal verify of a state root without a store is exit 3', async () => {
  const { code, stderr } = await runCommand(['journal', 'verify', '--state-root', directory]);
  assert.is(code, 3);
  assert.match(stderr, 'not_found');
});

test.run();
