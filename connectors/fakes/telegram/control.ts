/**
 * The fake's own endpoint, for a test in another process:
 * `POST /__fake/script` (a rule or an array) · `POST /__fake/clear` · `POST /__fake/push` (a message, `token` optional) ·
 * `GET /__fake/accepted?since=INDEX` · `GET /__fake/state` · `POST /__fake/chats` `{ add|forget|block|unblock: id }` ·
 * `POST /__fake/token` `{ revoke|restore: token }`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CallParameters, FaultRule } from '../fault-script.ts';
import { answerJson, readBody } from '../http-exchange.ts';
import type { PushedMessage } from './bot-state.ts';
import type { TelegramFault } from './faults.ts';
import type { TelegramFake } from './server.ts';

const MOST_PER_ANSWER = 10_000;

type Control = (fake: TelegramFake, body: CallParameters | readonly unknown[], url: URL) => unknown;

const CONTROLS: Readonly<Record<string, Control>> = {
  'POST script'(fake, body) {
    const rules = (Array.isArray(body) ? body : [body]) as FaultRule<TelegramFault>[];
    fake.script(...rules);
    return { armed: rules.length };
  },
  'POST clear'(fake) {
    fake.clearScript();
    return { cleared: true };
  },
  'POST push'(fake, body) {
    const { token, ...message } = body as unknown as PushedMessage & { token?: string };
    return fake.pushUpdate(message, token);
  },
  'GET accepted'(fake, _body, url) {
    const since = Number(url.searchParams.get('since') ?? 0);
    const messages = fake.accepted.slice(since, since + MOST_PER_ANSWER);
    return { total: fake.accepted.length, next: since + messages.length, messages };
  },
  'GET state'(fake) {
    const bot = fake.bot();
    return {
      accepted: fake.accepted.length,
      calls: fake.calls.length,
      unconfirmed: bot.unconfirmed,
      confirmedBefore: bot.confirmedBefore,
      isPolling: bot.isPolling,
    };
  },
  'POST chats'(fake, body) {
    const { add, forget, block, unblock } = body as CallParameters;
    if (add !== undefined) fake.chats.add(String(add));
    if (forget !== undefined) fake.chats.forget(String(forget));
    if (block !== undefined) fake.chats.block(String(block));
    if (unblock !== undefined) fake.chats.unblock(String(unblock));
    return { done: true };
  },
  'POST token'(fake, body) {
    const { revoke, restore } = body as CallParameters;
    if (revoke !== undefined) fake.revoke(String(revoke));
    if (restore !== undefined) fake.restore(String(restore));
    return { done: true };
  },
};

export async function answerControl(
  fake: TelegramFake,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const name = `${request.method} ${url.pathname.slice('/__fake/'.length)}`;
  const control = CONTROLS[name];
  if (control === undefined) {
    answerJson(response, 404, { error: `no control "${name}"`, known: Object.keys(CONTROLS) });
    return;
  }
  try {
    const body = (await readBody(request)).toString('utf8');
    answerJson(response, 200, control(fake, body === '' ? {} : JSON.parse(body), url));
  } catch (error) {
    answerJson(response, 400, { error: String(error) });
  }
}
