/** A model that cannot work is seen in the log: its key is not there, it refuses it, nothing listens; and then it works. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createGateway } from '../../cli/gateway.ts';
import { startOpenAiFake } from '../../connectors/fakes/openai/index.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until, within } from '../support/within.ts';

const API_KEY = 'sk-a-key-that-must-not-leak';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface World {
  readonly lines: readonly Line[];
  ask(): Promise<void>;
  said(level: string, message: string): Promise<Line>;
}

/** A gateway whose model is at `baseUrl`, with the key that `keyRef` names. */
async function withGateway(
  model: { readonly baseUrl: string; readonly keyRef: string },
  work: (world: World) => Promise<void>,
): Promise<void> {
  await withStateRoot(async (stateRoot) => {
    const inRoot = (name: string, text: string) => {
      const path = join(stateRoot, name);
      writeFileSync(path, text, { mode: 0o600 });
      return `file:${path}`;
    };
    const lines: Line[] = [];
    const gateway = createGateway({
      stateRoot,
      threads: 1,
      log: (level, message, fields = {}) => lines.push({ level, message, fields }),
      config: {
        http: { listen: '127.0.0.1:0' },
        model: {
          provider: 'openai-compatible',
          base_url: model.baseUrl,
          model: 'm',
          api_key_ref: model.keyRef === '' ? inRoot('key', API_KEY) : model.keyRef,
        },
        webhooks: [{ integration_id: 'ask', secret_refs: [inRoot('secret', TEST_SECRET)] }],
      },
    });
    try {
      const { http: url } = await within('ready', gateway.ready, 30_000);
      await work({
        lines,
        async ask() {
          const post = { url, integrationId: 'ask', webhookId: 'msg_1', payload: { text: 'hi' } };
          assert.is((await postWebhook(post)).status, 202);
        },
        said: (level, message) =>
          until(
            `${level}: ${message}`,
            () => lines.find((line) => line.level === level && line.message === message),
            30_000,
          ),
      });
      assert.not.match(JSON.stringify(lines), API_KEY);
    } finally {
      await within('the stop', gateway.stop({ deadlineMs: 2_000 }), 15_000);
    }
  });
}

const test = suite('story: a model that fails');

test('a key that is not there is said at the start, and by the first call that needs it', () =>
  withGateway(
    { baseUrl: 'http://127.0.0.1:1/v1', keyRef: 'env:PALYRA_TEST_NO_SUCH_KEY' },
    async ({ ask, said }) => {
      const { fields } = await said('warn', 'the key of the model cannot be read');
      assert.is(fields.ref, 'env:PALYRA_TEST_NO_SUCH_KEY');
      await ask();
      const { reason } = (await said('warn', 'the model gives no answer')).fields;
      assert.match(String(reason), 'env:PALYRA_TEST_NO_SUCH_KEY');
    },
  ));

test('a refused key is said, without the key, and so is the answer that follows', async () => {
  const model = await startOpenAiFake({ apiKey: API_KEY });
  const message = `Incorrect API key provided: ${API_KEY}`;
  model.script({ fault: { type: 'error', status: 401, message } });
  try {
    await withGateway({ baseUrl: model.url, keyRef: '' }, async ({ ask, said }) => {
      await ask();
      const { reason } = (await said('warn', 'the model gives no answer')).fields;
      assert.match(String(reason), '401');
      assert.equal((await said('info', 'the model answers again')).fields.failedCalls, 1);
    });
  } finally {
    await model.close();
  }
});

test('nothing that listens at base_url is said', () =>
  withGateway({ baseUrl: 'http://127.0.0.1:1/v1', keyRef: '' }, async ({ lines, ask, said }) => {
    await ask();
    const { reason } = (await said('warn', 'the model gives no answer')).fields;
    assert.match(String(reason), 'no answer');
    assert.not.ok(lines.some(({ message }) => message === 'the key of the model cannot be read'));
  }));

test.run();
