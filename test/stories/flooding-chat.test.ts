/** One Telegram chat floods while the model is silent: the other chats of the same bot are answered all the same. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startOpenAiFake } from '../../connectors/fakes/openai/index.ts';
import { DEFAULT_TOKEN, startTelegramFake } from '../../connectors/fakes/telegram/index.ts';
import { type GatewayProcess, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { until } from '../support/within.ts';

export const deadlineMs = 300_000;

const FLOODER = 42;
const NEIGHBOUR = 7;
/** As many as a conversation may have open, and more. */
const PLACES = 1_000;
const FLOOD = PLACES + 60;
const WAIT_MS = 60_000;

const story = suite('flooding chat');

story('a chat with a thousand open runs stops no other chat of its bot', async () => {
  const model = await startOpenAiFake();
  model.script({ textIncludes: 'flood', times: 0, fault: { type: 'hang' } });
  const fake = await startTelegramFake();
  const started: GatewayProcess[] = [];
  try {
    await withStateRoot(async (stateRoot) => {
      const env = { TELEGRAM_TOKEN: DEFAULT_TOKEN };
      const config = `
[model]
provider = "openai-compatible"
base_url = "${model.url}"
model = "test-model"
[[connectors]]
id = "telegram:main"
kind = "telegram"
token_ref = "env:TELEGRAM_TOKEN"
api_root = "${fake.url}"
poll_timeout_s = 1
[channel_router]
enabled = true
[[channel_router.routing.channels]]
channel = "telegram:main"
enabled = true
allow_direct_messages = true
direct_message_policy = "allow"
`;
      for (let n = 0; n < FLOOD; n += 1) fake.pushUpdate({ chatId: FLOODER, text: `flood ${n}` });
      const gateway = await startGateway({ stateRoot, config, env });
      started.push(gateway);
      await fake.until(
        'its places are taken and the rest waits',
        (seen) => seen.bot().unconfirmed === FLOOD - PLACES,
        WAIT_MS,
      );
      fake.pushUpdate({ chatId: NEIGHBOUR, text: 'hello' });
      const [reply] = await fake.waitForAccepted(1, WAIT_MS);
      assert.equal([reply?.chatId, reply?.text], [String(NEIGHBOUR), 'hello']);
      assert.is(
        fake.bot().unconfirmed,
        FLOOD - PLACES + 1,
        'nothing behind the waiting one is lost',
      );
      const said = await until(
        'the account says why',
        async () => {
          const { connector } = (await gateway.admin('/admin/v1/channels/telegram:main')) as {
            connector: { liveness: string; reason: string };
          };
          return connector.liveness === 'degraded' && connector.reason;
        },
        WAIT_MS,
      );
      assert.match(said, 'conversation_busy');
    });
  } finally {
    await Promise.all(started.map((gateway) => gateway.kill()));
    await fake.close();
    await model.close();
  }
});

story.run();
