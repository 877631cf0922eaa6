/** Holds the log: JSON lines, no secrets, no throw. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createLog, type Log, type LogLevel, redactText } from '../../cli/log.ts';

const test = suite('cli: log');
const directory = mkdtempSync(join(tmpdir(), 'palyra-log-'));
test.after(() => rmSync(directory, { recursive: true }));

function linesOf(level: LogLevel, use: (log: Log) => void): Record<string, unknown>[] {
  const file = join(directory, 'log');
  const fd = openSync(file, 'w');
  use(createLog({ level, thread: 'pool-1', fd }));
  closeSync(fd);
  const text = readFileSync(file, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

test('a line is one JSON object with level, time, thread and message, written at once', () => {
  const [line] = linesOf('info', (log) =>
    log('warn', 'queue is full', { limit: 256, accountId: 'a\nb' }),
  );
  assert.is(line?.level, 'warn');
  assert.is(line?.thread, 'pool-1');
  assert.is(line?.message, 'queue is full');
  assert.is(line?.limit, 256);
  assert.is(line?.accountId, 'a\nb');
  assert.ok(Number.isFinite(Date.parse(String(line?.time))));
});

test('lines below the level are not written', () => {
  const lines = linesOf('warn', (log) => {
    log('debug', 'a');
    log('info', 'b');
    log('error', 'c');
  });
  assert.equal(
    lines.map(({ message }) => message),
    ['c'],
  );
});

test('6: a secret is not written, whatever it is called and wherever it stands', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const bot = '123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw';
  const lines = linesOf('info', (log) => {
    log('info', `signed with ${secret} and bot${bot}`, {
      text: `Authorization: Bearer abcdefgh12345678`,
    });
    log('info', 'fields', {
      token: 'plain',
      nested: { list: [{ apiKey: 'plain', password: 'plain' }] },
    });
    log('error', 'failed', { error: new Error(`GET https://api.telegram.org/bot${bot}/getMe`) });
    log('info', 'url', { url: 'https://me:plain@example.com/x' });
  });
  const text = JSON.stringify(lines);
  for (const leak of [secret, bot, 'abcdefgh12345678', 'plain']) assert.not.match(text, leak);
  assert.is(lines.length, 4);
});

test('references and counts keep their values: they are no secrets', () => {
  const [line] = linesOf('info', (log) =>
    log('info', 'x', { tokenRef: 'env:T', secret_refs: ['file:/s'], promptTokens: 12 }),
  );
  assert.is(line?.tokenRef, 'env:T');
  assert.equal(line?.secret_refs, ['file:/s']);
  assert.is(line?.promptTokens, 12);
});

test('names of the line itself are kept apart from fields of the same name', () => {
  const [line] = linesOf('info', (log) =>
    log('info', 'real', { message: 'field', level: 'field', time: 1 }),
  );
  assert.is(line?.message, 'real');
  assert.is(line?.message_, 'field');
  assert.is(line?.level, 'info');
});

test('values that JSON has not, cycles and endless texts are written short instead of thrown', () => {
  const cycle: Record<string, unknown> = { n: 1n, bytes: new Uint8Array(3), call: () => 1 };
  cycle.self = cycle;
  const [line] = linesOf('info', (log) =>
    log('info', 'x'.repeat(100_000), { cycle, list: Array.from({ length: 9_999 }, () => 'y') }),
  );
  assert.ok(JSON.stringify(line).length < 10_000);
});

test('a secret at the edge of what is kept of a text is not cut out of its shape', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  for (let padding = 3_960; padding < 4_010; padding += 1) {
    assert.not.match(redactText(`${' '.repeat(padding)}${secret}`), 'MfKQ');
  }
});

test.run();
