/** Webhooks with rules of their own, from the configuration to the answer: a rule takes nothing from them that it does not write. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createGateway } from '../../cli/gateway.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { within } from '../support/within.ts';

const RULES = [
  { channel: 'webhook:prefixed', response_prefix: '> ' },
  { channel: 'webhook:direct', allow_direct_messages: true, direct_message_policy: 'allow' },
  { channel: 'webhook:off', enabled: false },
] as const;
/** More than a chat message may have, less than a webhook. */
const LONG = 'x'.repeat(60_000);

const story = suite('webhooks with rules');

story(
  'a rule for a webhook changes what it writes: the others keep text, size and no mention',
  () =>
    withStateRoot(async (stateRoot) => {
      process.env.RULED_SECRET = TEST_SECRET;
      const gateway = createGateway({
        stateRoot,
        threads: 1,
        config: {
          http: { listen: '127.0.0.1:0' },
          connectors: [{ id: 'echo:default', kind: 'echo' }],
          channel_router: { routing: { channels: [...RULES] } },
          webhooks: ['prefixed', 'direct', 'off', 'unruled'].map((integration_id) => ({
            integration_id,
            secret_refs: ['env:RULED_SECRET'],
          })),
        },
      });
      try {
        const { http: url } = await within('ready', gateway.ready, 15_000);
        const statusOf = async (integrationId: string, text: string) => {
          const webhookId = `${integrationId}-${text.length}`;
          const { status } = await postWebhook({
            url,
            integrationId,
            webhookId,
            payload: { text },
          });
          return status;
        };
        for (const integrationId of ['prefixed', 'direct', 'unruled']) {
          for (const text of ['hi', '@everyone', LONG]) {
            assert.is(await statusOf(integrationId, text), 202, `${integrationId}: ${text.length}`);
          }
        }
        assert.is(await statusOf('off', 'hi'), 403);
      } finally {
        await within('the stop', gateway.stop({ deadlineMs: 8_000 }), 12_000);
      }
    }),
);

story.run();
