/** Holds the log: JSON lines, no secrets, no throw, and no wait for its reader. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Log, type LogLevel, openLog, redactText } from '../../cli/log.ts';
import { limitRepeats } from '../../cli/log-limit.ts';
import { createLogSink } from '../../cli/log-sink.ts';
import { until, within } from '../support/within.ts';
import { openUnreadPipe } from './support/unread-pipe.ts';

const test = suite('cli: log');

function linesOf(level: LogLevel, use: (log: Log) => void): Record<string, unknown>[] {
  const reader = createReader();
  use(openLog({ level, thread: 'pool-1', stream: reader.stream }).log);
  return reader.lines();
}

/** A stream whose reader takes what comes while it is told to; it begins by reading. */
function createReader() {
  let text = '';
  let waiting: (() => void) | undefined;
  let isReading = true;
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      const take = () => {
        text += String(chunk);
        done();
      };
      if (isReading) take();
      else waiting = take;
    },
  });
  return {
    stream,
    pause() {
      isReading = false;
    },
    resume() {
      isReading = true;
      waiting?.();
      waiting = undefined;
    },
    lines: (): Record<string, unknown>[] =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
  };
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

const LIMIT_CHARACTERS = 1_048_576;

test('5: a reader that stops costs a bounded buffer; what it lost is told once it reads again', async () => {
  const reader = createReader();
  const sink = createLogSink(reader.stream, (dropped) =>
    sink.write(`${JSON.stringify({ dropped })}\n`),
  );
  reader.pause();
  const line = `${JSON.stringify({ text: 'x'.repeat(1_000) })}\n`;
  for (let n = 0; n < 3_000; n += 1) sink.write(line);
  assert.ok(reader.stream.writableLength <= LIMIT_CHARACTERS);
  assert.ok(reader.stream.writableLength > LIMIT_CHARACTERS / 2);
  await within('an end does not wait for the reader', sink.flushed(10) ?? Promise.reject());
  reader.resume();
  const isTold = () => reader.lines().find((told) => 'dropped' in told);
  const { dropped } = await until('it is told', isTold);
  const kept = reader.lines().filter(({ text }) => text !== undefined);
  assert.is(kept.length + Number(dropped), 3_000);
  sink.write('{"goes":"on"}\n');
  assert.equal(reader.lines().at(-1), { goes: 'on' });
  assert.is(sink.flushed(10), undefined);
});

test('5: a process whose stderr nobody reads writes 400 MB of lines without a stop and stays small', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-log-'));
  const pipe = openUnreadPipe(join(directory, 'stderr'));
  const storm = `
    import { openLog } from '${new URL('../../cli/log.js', import.meta.url).href}';
    const { log } = openLog({ level: 'debug', thread: 'main', stream: process.stderr });
    for (let round = 0; round < 100; round += 1) {
      for (let n = 0; n < 2_000; n += 1) log('error', 'kind ' + (n % 200), { text: 'x'.repeat(2_000) });
      await new Promise((resolve) => setImmediate(resolve));
    }
    console.log(process.memoryUsage.rss());
    process.exit(0);`;
  try {
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', storm], {
      stdio: ['ignore', 'pipe', pipe.fd],
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.is(status, 0, 'it was not held up');
    const rssMb = Number(stdout) / 1_048_576;
    assert.ok(rssMb > 0 && rssMb < 200, `${rssMb} MB`);
  } finally {
    pipe.close();
    rmSync(directory, { recursive: true });
  }
});

test('5: a line that a full disk refused is counted in the next one that is written', () => {
  const text: string[] = [];
  let isFull = true;
  const stream = {
    writableLength: 0,
    on: () => undefined,
    write(chunk: string, done: (error?: Error) => void) {
      if (!isFull) text.push(chunk);
      done(isFull ? new Error('ENOSPC') : undefined);
    },
  } as unknown as Writable;
  const { log } = openLog({ level: 'info', thread: 'main', stream });
  log('info', 'lost');
  isFull = false;
  log('info', 'kept');
  assert.is(text.length, 2);
  assert.is(JSON.parse(text[0] ?? '').dropped, 1);
  assert.is(JSON.parse(text[1] ?? '').message, 'kept');
});

test('5: a storm of equal lines is cut to a burst and a rate; its count is told, other kinds go on', () => {
  let nowMs = 0;
  const lines: { readonly message: string; readonly leftOut: unknown }[] = [];
  const { log, sayLeftOut } = limitRepeats(
    (_level, message, fields) => lines.push({ message, leftOut: fields?.leftOut }),
    () => nowMs,
  );
  const storm = (count: number) => {
    for (let n = 0; n < count; n += 1) log('error', 'it failed', { code: 'E_STORM', n });
  };
  storm(5_000);
  assert.is(lines.length, 100);
  log('error', 'it failed', { code: 'E_OTHER' });
  log('info', 'something else');
  assert.is(lines.length, 102);
  nowMs += 1_000;
  storm(1_000);
  assert.is(lines.length, 112);
  sayLeftOut();
  assert.is(lines.at(-1)?.leftOut, 4_900 + 990);
  sayLeftOut();
  assert.is(lines.length, 113, 'what was told is not told again');
});

test('5: kinds without end share one bucket', () => {
  let count = 0;
  const { log } = limitRepeats(
    () => {
      count += 1;
    },
    () => 0,
  );
  for (let n = 0; n < 10_000; n += 1) log('error', `kind ${n}`);
  assert.ok(count < 500, `${count} lines`);
});

test.run();
