/** What the Telegram kind says of itself, its options, and that its library is loaded only when used. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { telegramKind } from '../../../connectors/telegram/index.ts';
import { parseTelegramOptions } from '../../../connectors/telegram/options.ts';

const test = suite('telegram kind');

test('is supported and needs a credential', () => {
  assert.is(telegramKind.kind, 'telegram');
  assert.is(telegramKind.availability, 'supported');
  assert.ok(telegramKind.needsCredential);
});

test('options have defaults, and api_root loses its last slash', () => {
  assert.equal(parseTelegramOptions({}), {
    apiRoot: 'https://api.telegram.org',
    pollTimeoutS: 30,
    takeOverWebhook: false,
    minIntervalMs: 0,
  });
  assert.is(
    parseTelegramOptions({ api_root: 'http://127.0.0.1:81//' }).apiRoot,
    'http://127.0.0.1:81',
  );
});

for (const [key, value] of [
  ['api_root', 'ftp://x'],
  ['api_root', 'http://user:secret@x'],
  ['api_root', 5],
  ['on_unknown', 'drop'],
  ['poll_timeout_s', 0],
  ['poll_timeout_s', 51],
  ['poll_timeout_s', 1.5],
  ['take_over_webhook', 'yes'],
  ['min_interval_ms', -1],
  ['toString', 1],
] as const) {
  test(`${key} = ${JSON.stringify(value)} is refused by name, its value not repeated`, () => {
    assert.throws(
      () => telegramKind.checkOptions({ [key]: value }),
      (error: { code: string; message: string; issues: { field: string }[] }) =>
        error.code === 'invalid_options' &&
        error.issues[0]?.field === key &&
        !error.message.includes('secret'),
    );
  });
}

test('importing the kind does not load the client library', () => {
  const kind = join(import.meta.dirname, '../../../connectors/telegram/index.js');
  const script = `
    await import(${JSON.stringify(kind)});
    const loaded = process.moduleLoadList.concat(Object.keys((await import('node:module')).default._cache));
    process.stdout.write(String(loaded.some((name) => name.includes('grammy'))));
  `;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 20_000,
  });
  assert.is(run.stdout.toString(), 'false', run.stderr.toString());
});

test.run();
