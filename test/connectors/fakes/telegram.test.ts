/** The fake Bot API keeps Telegram's rules: raw requests, as any client would send them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  DEFAULT_TOKEN,
  startTelegramFake,
  type TelegramFake,
  type TelegramFakeOptions,
} from '../../../connectors/fakes/telegram/index.ts';
import { within } from '../within.ts';

const test = suite('telegram fake');

interface BotAnswer {
  readonly ok: boolean;
  readonly result: never;
  readonly error_code?: number;
  readonly description?: string;
  readonly parameters?: unknown;
}

async function withFake(
  work: (
    fake: TelegramFake,
    call: (method: string, parameters?: unknown) => Promise<BotAnswer>,
  ) => Promise<void>,
  options: TelegramFakeOptions = {},
): Promise<void> {
  const fake = await startTelegramFake(options);
  try {
    await work(fake, (method, parameters = {}) =>
      post(fake.url, DEFAULT_TOKEN, method, parameters),
    );
  } finally {
    await within('close', fake.close());
  }
}

async function post(url: string, token: string, method: string, parameters: unknown) {
  const response = await fetch(`${url}/bot${token}/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(parameters),
  });
  return (await response.json()) as BotAnswer;
}

test('a limit of the whole bot refuses every chat until its pause is over', () =>
  withFake(
    async (_fake, call) => {
      const send = async (chat_id: number) => call('sendMessage', { chat_id, text: 'x' });
      assert.ok((await send(1)).ok);
      assert.ok((await send(2)).ok);
      for (const chat of [1, 3]) {
        const { error_code, parameters } = await send(chat);
        assert.equal([error_code, parameters], [429, { retry_after: 60 }]);
      }
      assert.ok((await call('getUpdates')).ok);
    },
    { botLimit: { messages: 2, pauseS: 60 } },
  ));

test('updates wait until an offset after them confirms all earlier ones', () =>
  withFake(async (fake, call) => {
    for (const text of ['a', 'b', 'c']) fake.pushUpdate({ chatId: 1, text });
    const ids = async (parameters: object) =>
      ((await call('getUpdates', parameters)).result as { update_id: number }[]).map(
        (update) => update.update_id,
      );
    assert.equal(await ids({}), [1_000, 1_001, 1_002]);
    assert.equal(await ids({ limit: 2 }), [1_000, 1_001]);
    assert.equal(await ids({ offset: 1_002 }), [1_002]);
    assert.equal(await ids({ offset: 1 }), [1_002]);
    assert.is(fake.bot().confirmedBefore, 1_002);
    assert.equal(await ids({ offset: 1_003 }), []);
    for (const text of ['d', 'e']) fake.pushUpdate({ chatId: 1, text });
    assert.equal(await ids({ offset: -1 }), [1_004]);
  }));

test('a long poll is answered by the next update', () =>
  withFake(async (fake, call) => {
    const polling = call('getUpdates', { timeout: 20 });
    await fake.until('the poll', () => fake.bot().isPolling, 5_000);
    fake.pushUpdate({ chatId: 1, text: 'now' });
    assert.is(((await within('the update', polling)).result as []).length, 1);
  }));

test('a second poll ends the first one with 409', () =>
  withFake(async (fake, call) => {
    const first = call('getUpdates', { timeout: 20 });
    await fake.until('the poll', () => fake.bot().isPolling, 5_000);
    const second = call('getUpdates', { timeout: 20 });
    const refused = await within('the first poll', first);
    assert.is(refused.error_code, 409);
    assert.match(refused.description ?? '', 'terminated by other getUpdates request');
    fake.pushUpdate({ chatId: 1, text: 'now' });
    assert.ok((await within('the second poll', second)).ok);
  }));

test('a webhook and polling exclude each other', () =>
  withFake(async (_fake, call) => {
    await call('setWebhook', { url: 'https://example.org' });
    assert.is(
      ((await call('getWebhookInfo')).result as { url: string }).url,
      'https://example.org',
    );
    const refused = await call('getUpdates');
    assert.is(refused.error_code, 409);
    assert.match(refused.description ?? '', 'webhook is active');
    await call('deleteWebhook');
    assert.ok((await call('getUpdates')).ok);
  }));

test('tokens: unknown is 401, malformed is 404, two bots do not share anything', () =>
  withFake(
    async (fake, call) => {
      assert.is((await post(fake.url, '5:other', 'getMe', {})).error_code, 401);
      assert.is((await post(fake.url, 'nonsense', 'getMe', {})).error_code, 404);
      assert.is((await call('getMee')).error_code, 404);
      fake.pushUpdate({ chatId: 1, text: 'for the second' }, '77:b');
      assert.equal((await call('getUpdates')).result, []);
      const second = await post(fake.url, '77:b', 'getUpdates', {});
      assert.is((second.result as []).length, 1);
    },
    { tokens: [DEFAULT_TOKEN, '77:b'] },
  ));

test('sendMessage refuses what Telegram refuses, and numbers messages per chat', () =>
  withFake(
    async (fake, call) => {
      fake.chats.block('43');
      const refusals = [
        [{ text: 'x' }, 400, 'chat_id is empty'],
        [{ chat_id: 9, text: 'x' }, 400, 'chat not found'],
        [{ chat_id: 43, text: 'x' }, 403, 'blocked by the user'],
        [{ chat_id: 42, text: '' }, 400, 'text is empty'],
        [{ chat_id: 42, text: '😀'.repeat(2_049) }, 400, 'message is too long'],
        [{ chat_id: 42, text: 'x', reply_parameters: { message_id: 5 } }, 400, 'not found'],
      ] as const;
      for (const [parameters, status, words] of refusals) {
        const answer = await call('sendMessage', parameters);
        assert.is(answer.error_code, status);
        assert.match(answer.description ?? '', words);
      }
      assert.is(fake.accepted.length, 0);
      for (const chat_id of [42, '42', 44]) {
        const long = await call('sendMessage', { chat_id, text: '😀'.repeat(2_048) });
        assert.ok(long.ok, long.description);
      }
      assert.equal(
        fake.accepted.map(({ chatId, messageId, index }) => [chatId, messageId, index]),
        [
          ['42', 1, 0],
          ['42', 2, 1],
          ['44', 1, 2],
        ],
      );
    },
    { chats: [42, 43, 44] },
  ));

test('parameters come as JSON, query, url-encoded or multipart form; bad JSON is 400', () =>
  withFake(async (fake) => {
    const url = `${fake.url}/bot${DEFAULT_TOKEN}/sendMessage`;
    const form = new FormData();
    form.set('chat_id', '3');
    form.set('text', 'ж');
    await fetch(`${url}?chat_id=1&text=query`);
    await fetch(url, { method: 'POST', body: new URLSearchParams({ chat_id: '2', text: 'form' }) });
    await fetch(url, { method: 'POST', body: form });
    assert.equal(
      fake.accepted.map(({ chatId, text }) => [chatId, text]),
      [
        ['1', 'query'],
        ['2', 'form'],
        ['3', 'ж'],
      ],
    );
    const headers = { 'content-type': 'application/json' };
    const bad = await fetch(url, { method: 'POST', headers, body: '{' });
    assert.is(bad.status, 400);
  }));

test('faults hit the calls they name, as often as they say, and no others', () =>
  withFake(async (fake, call) => {
    fake.script(
      {
        method: 'sendMessage',
        where: { chat_id: 2 },
        times: 2,
        fault: { type: 'rate-limit', retryAfterS: 4 },
      },
      {
        method: 'sendMessage',
        textIncludes: 'boom',
        skip: 1,
        fault: { type: 'error', status: 500 },
      },
    );
    const status = async (chat_id: number, text: string) =>
      (await call('sendMessage', { chat_id, text })).error_code ?? 200;
    assert.is(await status(1, 'x'), 200);
    assert.is(await status(2, 'x'), 429);
    assert.is(await status(1, 'boom'), 200);
    assert.is(await status(1, 'boom'), 500);
    assert.is(await status(1, 'boom'), 200);
    const limited = await call('sendMessage', { chat_id: 2, text: 'x' });
    assert.equal(limited.parameters, { retry_after: 4 });
    assert.is(await status(2, 'x'), 200);
  }));

test('a dropped connection was accepted or not, as the script says', () =>
  withFake(async (fake, call) => {
    for (const accepted of [true, false]) {
      fake.script({ method: 'sendMessage', fault: { type: 'drop', accepted } });
      let isCut = false;
      await call('sendMessage', { chat_id: 1, text: String(accepted) }).catch(() => {
        isCut = true;
      });
      assert.ok(isCut);
    }
    assert.equal(
      fake.accepted.map((message) => message.text),
      ['true'],
    );
  }));

test('waitForAccepted names what it waited for in vain', () =>
  withFake(async (fake, call) => {
    const waiting = fake.waitForAccepted((log) => log.some(({ text }) => text === 'b'), 5_000);
    await call('sendMessage', { chat_id: 1, text: 'a' });
    await call('sendMessage', { chat_id: 1, text: 'b' });
    assert.is((await waiting).length, 2);
    let words = '';
    await fake.waitForAccepted(9, 20).catch((error: Error) => {
      words = error.message;
    });
    assert.is(words, 'not within 20 ms: 9 messages accepted (2 messages accepted so far)');
  }));

test('as a process of its own it prints its address, is scripted over HTTP and ends with its parent', async () => {
  const main = join(import.meta.dirname, '../../../connectors/fakes/telegram/main.js');
  const child = spawn(process.execPath, [main, '--token', '5:five', '--until-stdin-ends'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  try {
    const [line] = (await within('the first line', once(child.stdout, 'data'), 20_000)) as [Buffer];
    const { url, pid } = JSON.parse(line.toString()) as { url: string; pid: number };
    assert.is(pid, child.pid);
    const control = async (name: string, body?: unknown) => {
      const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
      return (await fetch(`${url}/__fake/${name}`, init)).json() as Promise<
        Record<string, unknown>
      >;
    };
    await control('push', { chatId: 42, text: 'hi' });
    await control('script', [
      { method: 'sendMessage', fault: { type: 'rate-limit', retryAfterS: 1 } },
    ]);
    assert.is(((await post(url, '5:five', 'getUpdates', {})).result as []).length, 1);
    assert.is(
      (await post(url, '5:five', 'sendMessage', { chat_id: 42, text: 'x' })).error_code,
      429,
    );
    assert.ok((await post(url, '5:five', 'sendMessage', { chat_id: 42, text: 'y' })).ok);
    const { total, next, messages } = await control('accepted?since=0');
    assert.equal([total, next, (messages as { text: string }[])[0]?.text], [1, 1, 'y']);
    assert.is((await control('state')).unconfirmed, 1);
    await control('token', { revoke: '5:five' });
    assert.is((await post(url, '5:five', 'getMe', {})).error_code, 401);
    assert.ok(String((await control('nonsense')).error).includes('no control'));
    child.stdin.end();
    const [code] = (await within('the exit', exit, 10_000)) as [number];
    assert.is(code, 0);
  } finally {
    child.kill('SIGKILL');
  }
});

test.run();
