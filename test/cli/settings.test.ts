/** Holds where settings come from and which are refused before anything starts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ConfigError } from '../../cli/config/config-error.ts';
import { isLoopback, parseListen } from '../../cli/config/listen.ts';
import { builtInKinds } from '../../cli/connector-kinds.ts';
import { CliError } from '../../cli/exit-codes.ts';
import { loadSettings, type SettingFlags } from '../../cli/settings.ts';

const test = suite('cli: settings');
const kinds = await builtInKinds();
const directory = mkdtempSync(join(tmpdir(), 'palyra-settings-'));
const file = join(directory, 'palyra.toml');
writeFileSync(file, '[http]\nlisten = "127.0.0.1:1000"\nunready_ms = 7\n');
test.after(() => rmSync(directory, { recursive: true }));

function load(flags: SettingFlags, env: Record<string, string> = {}) {
  return loadSettings(flags, { XDG_STATE_HOME: '/state', ...env }, kinds);
}

function exitOf(flags: SettingFlags, env: Record<string, string> = {}): number {
  try {
    load(flags, env);
  } catch (error) {
    assert.instance(error, CliError);
    return (error as CliError).exitCode;
  }
  return 0;
}

test('a flag wins over the environment, the environment over the file, the file over the default', () => {
  assert.is(load({}).checked.config.http.port, 7_142);
  assert.is(load({ config: file }).checked.config.http.port, 1_000);
  assert.is(
    load({ config: file }, { PALYRA_HTTP: '127.0.0.1:2000' }).checked.config.http.port,
    2_000,
  );
  const all = load({ config: file, http: '[::1]:3000' }, { PALYRA_HTTP: '127.0.0.1:2000' });
  assert.equal(all.checked.config.http, { host: '::1', port: 3_000, unreadyMs: 7 });
});

test('the file is found by flag or environment', () => {
  assert.is(load({}, { PALYRA_CONFIG: file }).configFile, file);
  assert.is(load({ config: file }, { PALYRA_CONFIG: '/nowhere.toml' }).configFile, file);
  assert.is(load({}).configFile, '');
});

test('the state root is the flag, the environment, XDG, then the home directory', () => {
  assert.is(load({ stateRoot: './x' }, { PALYRA_STATE_ROOT: '/e' }).stateRoot, resolve('x'));
  assert.is(load({}, { PALYRA_STATE_ROOT: '/e' }).stateRoot, '/e');
  assert.is(load({}).stateRoot, '/state/palyra');
  assert.match(load({}, { XDG_STATE_HOME: 'relative' }).stateRoot, /\.local\/state\/palyra$/);
});

test('the log level is the flag, the environment, then info', () => {
  assert.is(load({}).logLevel, 'info');
  assert.is(load({}, { PALYRA_LOG_LEVEL: 'DEBUG' }).logLevel, 'debug');
  assert.is(load({ logLevel: 'warn' }, { PALYRA_LOG_LEVEL: 'debug' }).logLevel, 'warn');
  assert.is(exitOf({ logLevel: 'wran' }), 2);
});

test('what an unset shell variable leaves empty is refused by its name, not taken for a default', () => {
  const given: readonly [string, SettingFlags, Record<string, string>][] = [
    ['--config', { config: '' }, {}],
    ['--state-root', { stateRoot: '' }, { PALYRA_STATE_ROOT: '/e' }],
    ['--http', { http: '' }, {}],
    ['--log-level', { logLevel: '' }, {}],
    ['PALYRA_CONFIG', {}, { PALYRA_CONFIG: '' }],
    ['PALYRA_STATE_ROOT', {}, { PALYRA_STATE_ROOT: '' }],
    ['PALYRA_HTTP', {}, { PALYRA_HTTP: '' }],
    ['PALYRA_LOG_LEVEL', {}, { PALYRA_LOG_LEVEL: '' }],
  ];
  for (const [name, flags, env] of given) {
    assert.is(exitOf(flags, env), 2, name);
    assert.throws(() => load(flags, env), new RegExp(`^${name} is empty$`));
  }
  assert.is(load({ stateRoot: '/s' }, { PALYRA_STATE_ROOT: '' }).stateRoot, '/s');
});

test('other PALYRA_ names are left alone', () => {
  assert.equal(load({}, { PALYRA_CHANNEL_ROUTER_ENABLED: 'false', PALYRA_X: '1' }), load({}));
});

test('a bind beyond loopback is refused, wherever it was asked for', () => {
  assert.is(exitOf({ http: '0.0.0.0:7142' }), 4);
  assert.is(exitOf({}, { PALYRA_HTTP: '[::]:7142' }), 4);
  writeFileSync(file, '[http]\nlisten = "192.168.1.4:7142"\n');
  assert.is(exitOf({ config: file }), 4);
  writeFileSync(file, '[http]\nlisten = "127.0.0.1:1000"\n');
});

test('an address that is none is a usage error', () => {
  assert.is(exitOf({ http: '7142' }), 2);
  assert.is(exitOf({ http: '' }), 2);
  assert.is(exitOf({}, { PALYRA_HTTP: '127.0.0.1:99999' }), 2);
});

test('a file that is missing or not UTF-8 is a config error', () => {
  assert.throws(
    () => load({ config: join(directory, 'none.toml') }),
    (error: unknown) => error instanceof ConfigError,
  );
  const bytes = join(directory, 'bytes.toml');
  writeFileSync(bytes, Buffer.from([0x61, 0x3d, 0x22, 0xff, 0x22]));
  assert.throws(
    () => load({ config: bytes }),
    (error: unknown) => error instanceof ConfigError,
  );
});

test('without a file the demo is an echo account that may be written to and a webhook that replies to it', () => {
  const { config } = load({}).checked;
  assert.equal(
    config.connectors.map(({ connectorId }) => connectorId),
    ['echo:default'],
  );
  assert.is(config.router.enabled, true);
  assert.is(config.router.channels[0]?.allowDirectMessages, true);
  assert.equal(config.webhooks[0]?.secretRefs, ['vault:webhook/demo']);
  assert.is(config.webhooks[0]?.generateSecret, true);
  assert.is(config.webhooks[0]?.replyTo?.connectorId, 'echo:default');
});

test('addresses of both families are read, and loopback is told from the rest', () => {
  assert.equal(parseListen('[::1]:0'), { host: '::1', port: 0 });
  assert.equal(parseListen('localhost:65535'), { host: 'localhost', port: 65_535 });
  for (const bad of ['', ':1', 'a', 'a:', 'a:x', 'a:65536', '::1:80', 'a b:1', 'http://a:1']) {
    assert.is(parseListen(bad), undefined, bad);
  }
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) assert.ok(isLoopback(host));
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.999.0.1', '127.0.0.1.example.com'])
    assert.not(isLoopback(host));
});

test.run();
