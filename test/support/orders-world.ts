/** A gateway with ten webhooks that reply into ten Telegram conversations, and the fake platform beside it. */
import {
  DEFAULT_TOKEN,
  startTelegramFake,
  type TelegramFake,
} from '../../connectors/fakes/telegram/index.ts';
import { type GatewayProcess, startGateway, withStateRoot } from './gateway-process.ts';
import { type Posted, postWebhook, TEST_SECRET } from './webhook-sender.ts';

export const LANES = 10;
export const ENV = { TELEGRAM_TOKEN: DEFAULT_TOKEN, ORDERS_SECRET: TEST_SECRET };

export function configOf(fake: Pick<TelegramFake, 'url'>, tokenRef = 'env:TELEGRAM_TOKEN'): string {
  const webhooks = Array.from(
    { length: LANES },
    (_, n) => `
[[webhooks]]
integration_id = "orders-${n}"
provider = "generic"
secret_refs = ["env:ORDERS_SECRET"]
reply_to = { connector = "telegram:main", conversation = "${100 + n}" }
`,
  );
  return `
[model]
provider = "echo"
[[connectors]]
id = "echo:side"
kind = "echo"
[[connectors]]
id = "telegram:main"
kind = "telegram"
token_ref = "${tokenRef}"
api_root = "${fake.url}"
poll_timeout_s = 1
[channel_router]
enabled = true
[[channel_router.routing.channels]]
channel = "telegram:main"
enabled = true
allow_direct_messages = true
direct_message_policy = "allow"
[[channel_router.routing.channels]]
channel = "echo:side"
enabled = true
allow_direct_messages = true
direct_message_policy = "allow"
${webhooks.join('')}
[[webhooks]]
integration_id = "off"
secret_refs = ["env:ORDERS_SECRET"]
enabled = false
`;
}

export interface World {
  readonly fake: TelegramFake;
  readonly stateRoot: string;
  start(tokenRef?: string): Promise<GatewayProcess>;
}

export async function withWorld(work: (world: World) => Promise<void>): Promise<void> {
  const fake = await startTelegramFake();
  const started: GatewayProcess[] = [];
  try {
    await withStateRoot((stateRoot) =>
      work({
        fake,
        stateRoot,
        async start(tokenRef) {
          const gateway = await startGateway({
            config: configOf(fake, tokenRef),
            stateRoot,
            env: ENV,
          });
          started.push(gateway);
          return gateway;
        },
      }).finally(() => Promise.all(started.map((gateway) => gateway.kill()))),
    );
  } finally {
    await fake.close();
  }
}

/** The n-th order of a lane, posted as an outside sender does. */
export function postOrder(gateway: GatewayProcess, n: number, lane = 0): Promise<Posted> {
  const integrationId = `orders-${lane}`;
  const payload = { text: `order ${n}` };
  return postWebhook({ url: gateway.url, integrationId, webhookId: `msg-${n}`, payload });
}
