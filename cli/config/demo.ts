/** The configuration that runs where no file is given: one echo account and one webhook that replies through it. */
import { CheckedConfig } from './checked-config.ts';
import { placing } from './parse.ts';
import { configFileSchema, toGatewayConfig } from './schema.ts';

export const DEMO_WEBHOOK = 'demo';

/** `echo:default` may be written to directly; the webhook `demo` replies to it, with a secret that the vault makes. */
export function demoConfig(): CheckedConfig {
  const config = toGatewayConfig(
    configFileSchema.parse({
      connectors: [{ id: 'echo:default', kind: 'echo' }],
      channel_router: {
        routing: {
          channels: [
            {
              channel: 'echo:default',
              enabled: true,
              allow_direct_messages: true,
              direct_message_policy: 'allow',
            },
          ],
        },
      },
      webhooks: [
        {
          integration_id: DEMO_WEBHOOK,
          secret_refs: [`vault:webhook/${DEMO_WEBHOOK}`],
          reply_to: { connector: 'echo:default', conversation: DEMO_WEBHOOK },
        },
      ],
    }),
  );
  const webhooks = config.webhooks.map((webhook) => ({ ...webhook, generateSecret: true }));
  return new CheckedConfig(
    { ...config, webhooks },
    [],
    placing('demo', () => 0),
  );
}
