/** A model behind an API: its key by reference, its answer to the conversation, and the process killed while it thinks. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type OpenAiFake, startOpenAiFake } from '../../connectors/fakes/openai/index.ts';
import { type GatewayProcess, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { type JournalFact, readFacts } from '../support/read-facts.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until } from '../support/within.ts';

const API_KEY = 'sk-a-key-that-must-not-leak';

function configOf(model: OpenAiFake): string {
  return `
[model]
provider = "openai-compatible"
base_url = "${model.url}"
model = "test-model"
api_key_ref = "env:MODEL_KEY"
[[connectors]]
id = "echo:out"
kind = "echo"
[[webhooks]]
integration_id = "ask"
secret_refs = ["env:ASK_SECRET"]
reply_to = { connector = "echo:out", conversation = "c" }
`;
}

async function withModel(
  work: (model: OpenAiFake, start: () => Promise<GatewayProcess>) => Promise<void>,
): Promise<void> {
  const model = await startOpenAiFake({ apiKey: API_KEY, reply: (text) => `answer to ${text}` });
  const started: GatewayProcess[] = [];
  try {
    await withStateRoot((stateRoot) =>
      work(model, async () => {
        const gateway = await startGateway({
          stateRoot,
          config: configOf(model),
          env: { MODEL_KEY: API_KEY, ASK_SECRET: TEST_SECRET },
        });
        started.push(gateway);
        return gateway;
      }),
    );
  } finally {
    await Promise.all(started.map((gateway) => gateway.kill()));
    await model.close();
  }
}

const ask = (gateway: GatewayProcess, id: string, text = id) =>
  postWebhook({
    url: gateway.url,
    integrationId: 'ask',
    webhookId: `msg_${id}`,
    payload: { text },
  });

/** The journal's facts of one type. */
async function facts(gateway: GatewayProcess, type: string): Promise<readonly JournalFact[]> {
  return (await readFacts(gateway)).filter((fact) => fact.type === type);
}

interface Run {
  readonly status: string;
  readonly attempts: number;
  readonly tape: readonly { readonly type: string; readonly text: string }[];
}

async function endedRun(gateway: GatewayProcess): Promise<Run> {
  const finished = await until(
    'the run has finished',
    async () => (await facts(gateway, 'run.finished'))[0],
    20_000,
  );
  return (await gateway.admin(
    `/admin/v1/runs/${String(finished.run_id ?? finished.runId)}`,
  )) as Run;
}

const story = suite('model call');

story(
  'the answer of a model behind an API reaches the conversation; the next one sees the turns before',
  () =>
    withModel(async (model, start) => {
      const gateway = await start();
      assert.is((await ask(gateway, 'one')).status, 202);
      const run = await endedRun(gateway);
      assert.is(run.status, 'done');
      assert.ok(run.tape.some(({ text }) => text === 'answer to one'));
      assert.is((await ask(gateway, 'two')).status, 202);
      await model.until('the second call', ({ calls }) => calls.length === 2, 10_000);
      const messages = model.calls[1]?.body.messages as readonly {
        readonly role: string;
        readonly content: unknown;
      }[];
      assert.equal(
        messages.map(({ role }) => role),
        ['user', 'assistant', 'user'],
      );
      assert.is(
        gateway.log.some((line) => line.includes(API_KEY)),
        false,
        'the key is in no log line',
      );
      await gateway.stop();
    }),
);

story(
  'a call that a kill cut is made again after the restart and counts an attempt; the run finishes once',
  () =>
    withModel(async (model, start) => {
      model.script({ times: 1, fault: { type: 'hang' } });
      const first = await start();
      assert.is((await ask(first, 'cut')).status, 202);
      await model.until('the call under way', ({ calls }) => calls.length === 1, 10_000);
      await first.kill();
      const second = await start();
      const run = await endedRun(second);
      assert.equal([run.status, run.attempts], ['done', 1]);
      assert.is(model.calls.length, 2);
      assert.is((await facts(second, 'run.finished')).length, 1);
      assert.equal((await ask(second, 'cut')).body.duplicate, true);
      await second.stop();
    }),
);

story(
  'a conversation that outgrows its model goes on with fewer earlier turns, and says so',
  async () => {
    const model = await startOpenAiFake({ apiKey: API_KEY, contextWords: 40 });
    try {
      await withStateRoot(async (stateRoot) => {
        const gateway = await startGateway({
          stateRoot,
          config: configOf(model),
          env: { MODEL_KEY: API_KEY, ASK_SECRET: TEST_SECRET },
        });
        try {
          const words = 'word '.repeat(9);
          for (let n = 1; n <= 4; n += 1) {
            assert.is((await ask(gateway, `${n}`, `${words}${n}`)).status, 202);
            await until(
              `run ${n} has finished`,
              async () => (await facts(gateway, 'run.finished')).length === n,
              20_000,
            );
          }
          const finished = await facts(gateway, 'run.finished');
          assert.equal(
            finished.map(({ status }) => status),
            Array(4).fill('done'),
          );
          const last = (await gateway.admin(`/admin/v1/runs/${finished[3]?.runId}`)) as Run;
          assert.match(last.tape.at(-1)?.text ?? '', 'no room for 2 earlier turns');
          assert.is((await ask(gateway, 'endless', 'word '.repeat(41))).status, 202);
          const tooLong = await until(
            'the fifth run has finished',
            async () => (await facts(gateway, 'run.finished'))[4],
            20_000,
          );
          assert.equal([tooLong.status, tooLong.reason], ['failed', 'context_too_long']);
        } finally {
          await gateway.kill();
        }
      });
    } finally {
      await model.close();
    }
  },
);

story('a model hears that the answer before was not delivered', () =>
  withModel(async (model, start) => {
    const gateway = await start();
    // The echo connector refuses a text with this marker.
    assert.is((await ask(gateway, 'one', '[permanent]')).status, 202);
    await until(
      'the answer is a dead letter',
      async () => (await facts(gateway, 'delivery.dead')).length === 1,
      20_000,
    );
    // The session hears of it behind the fact: a message may be faster.
    const heard = async (n: number) => {
      assert.is((await ask(gateway, `two-${n}`)).status, 202);
      await model.until('the next call', ({ calls }) => calls.length === n + 2, 20_000);
      return JSON.stringify(model.calls[n + 1]?.body.messages);
    };
    let messages = '';
    for (let n = 0; n < 50 && !messages.includes('not delivered'); n += 1) {
      messages = await heard(n);
    }
    assert.match(messages, 'This answer was not delivered (permanent).');
    await gateway.stop();
  }),
);

story('a rotated key is read again: the next message is answered without a restart', () =>
  withModel(async (model) => {
    await withStateRoot(async (stateRoot) => {
      const keyFile = join(stateRoot, 'model.key');
      writeFileSync(keyFile, 'sk-the-key-of-before', { mode: 0o600 });
      const gateway = await startGateway({
        stateRoot,
        config: configOf(model).replace('env:MODEL_KEY', `file:${keyFile}`),
        env: { ASK_SECRET: TEST_SECRET },
      });
      try {
        assert.is((await ask(gateway, 'before')).status, 202);
        assert.is((await endedRun(gateway)).status, 'failed');
        writeFileSync(keyFile, API_KEY);
        assert.is((await ask(gateway, 'after')).status, 202);
        await until(
          'the second run has finished',
          async () => (await facts(gateway, 'run.finished'))[1],
          20_000,
        );
        const finished = await facts(gateway, 'run.finished');
        assert.is(finished[1]?.status, 'done');
      } finally {
        await gateway.kill();
      }
    });
  }),
);

story.run();
