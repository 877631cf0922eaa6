/** Telegram limits a whole bot while hundreds of its chats are answered: the account rests, and each answer arrives once. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_TOKEN, startTelegramFake } from '../../connectors/fakes/telegram/index.ts';
import { type GatewayProcess, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { until } from '../support/within.ts';

export const deadlineMs = 300_000;

const CHATS = 200;
/** As many conversations as send at a time, and one for each of the two refusals that it takes to tell. */
const MOST_REFUSED = 64 + 2;
const WAIT_MS = 60_000;

interface Health {
  readonly readiness: string;
  readonly liveness: string;
  readonly reason: string;
}

const story = suite('bot limit');

story('a limit of the whole bot is met by a few sends, not by one of each chat', async () => {
  const fake = await startTelegramFake({ botLimit: { messages: CHATS / 2, pauseS: 8 } });
  const started: GatewayProcess[] = [];
  try {
    await withStateRoot(async (stateRoot) => {
      const config = `
[[connectors]]
id = "telegram:main"
kind = "telegram"
token_ref = "env:TELEGRAM_TOKEN"
api_root = "${fake.url}"
poll_timeout_s = 1
[[channel_router.routing.channels]]
channel = "telegram:main"
enabled = true
allow_direct_messages = true
direct_message_policy = "allow"
`;
      for (let n = 0; n < CHATS; n += 1) fake.pushUpdate({ chatId: 1_000 + n, text: `hi ${n}` });
      const gateway = await startGateway({
        stateRoot,
        config,
        env: { TELEGRAM_TOKEN: DEFAULT_TOKEN },
      });
      started.push(gateway);
      const health = (what: string, isIt: (connector: Health) => boolean) =>
        until(
          what,
          async () => {
            const shown = await gateway.admin('/admin/v1/channels/telegram:main');
            return isIt((shown as { connector: Health }).connector);
          },
          WAIT_MS,
        );
      await health(
        'the account says that it is limited',
        ({ readiness, liveness, reason }) =>
          readiness === 'ready' && liveness === 'degraded' && reason.includes('rate_limited'),
      );
      const replies = await fake.waitForAccepted(CHATS, WAIT_MS);
      assert.is(new Set(replies.map(({ chatId }) => chatId)).size, CHATS);
      await health(
        'the account is as before',
        ({ readiness, liveness, reason }) =>
          `${readiness} ${liveness} ${reason}` === 'ready running ',
      );
      const sends = fake.calls.filter(({ method }) => method === 'sendMessage').length;
      assert.is(fake.accepted.length, CHATS);
      assert.ok(sends - CHATS <= MOST_REFUSED, `${sends - CHATS} sends were refused`);
    });
  } finally {
    await Promise.all(started.map((gateway) => gateway.kill()));
    await fake.close();
  }
});

story.run();
