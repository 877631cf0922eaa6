/** A model that fails in each way, for many conversations at once: each run ends once, as its tape says, and nothing is lost. */
import { writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ConfigTable, createGateway, type GatewayHandle } from '../../cli/gateway.ts';
import {
  type OpenAiFake,
  type OpenAiFault,
  startOpenAiFake,
} from '../../connectors/fakes/openai/index.ts';
import { type GatewayProcess, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { type JournalFact, readFacts } from '../support/read-facts.ts';
import { faultScale } from '../support/scale.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until, within } from '../support/within.ts';

export const deadlineMs = 300_000;

const ROUNDS = faultScale(1, 5);
/** As `actors/runs` has it: how often a model is asked before its run fails. */
const MAX_CALLS = 5;
/** Five calls with their pauses; a call without an answer is given up after two minutes. */
const ENDED_MS = faultScale(90_000, 280_000);

const DEADLY_KIND = {
  module: new URL(`./deadly-kind${extname(import.meta.url)}`, import.meta.url).href,
  export: 'deadlyKind',
};

interface Cell {
  readonly name: string;
  readonly fault: OpenAiFault;
  /** How many calls it hits; 0 = all. */
  readonly times: number;
  readonly status: 'done' | 'failed';
  readonly calls: number;
}

const TRANSIENT: readonly (readonly [name: string, fault: OpenAiFault])[] = [
  ['drop', { type: 'drop' }],
  ['cut', { type: 'cut' }],
  ['garbage', { type: 'garbage' }],
  ['trouble', { type: 'error', status: 503 }],
  ['pause', { type: 'error', status: 429, headers: { 'retry-after': '1' } }],
];

const CELLS: readonly Cell[] = [
  ...TRANSIENT.flatMap(([name, fault]): Cell[] => [
    { name: `${name}-once`, fault, times: 1, status: 'done', calls: 2 },
    { name: `${name}-always`, fault, times: 0, status: 'failed', calls: MAX_CALLS },
  ]),
  { name: 'slow', fault: { type: 'slow', ms: 3_000 }, times: 1, status: 'done', calls: 1 },
  { name: 'refusal', fault: { type: 'error', status: 400 }, times: 0, status: 'failed', calls: 1 },
  {
    name: 'filter',
    fault: { type: 'empty', finishReason: 'content_filter' },
    times: 0,
    status: 'failed',
    calls: 1,
  },
  ...(faultScale(0, 1) === 1
    ? [{ name: 'hang', fault: { type: 'hang' }, times: 1, status: 'done', calls: 2 } as const]
    : []),
];

function configOf(model: OpenAiFake): string {
  const webhooks = CELLS.map(
    ({ name }) => `
[[webhooks]]
integration_id = "${name}"
secret_refs = ["env:HOOK_SECRET"]
reply_to = { connector = "echo:out", conversation = "${name}" }
`,
  );
  return `
[model]
provider = "openai-compatible"
base_url = "${model.url}"
model = "test-model"
[[connectors]]
id = "echo:out"
kind = "echo"
${webhooks.join('')}`;
}

/** The facts of one type that name the envelope. */
async function factsOf(
  gateway: GatewayProcess,
  envelopeId: string,
  type: string,
): Promise<readonly JournalFact[]> {
  const facts = await readFacts(gateway, envelopeId);
  return facts.filter((fact) => fact.type === type);
}

interface Run {
  readonly status: string;
  readonly reason: string;
  readonly tape: readonly { readonly type: string; readonly text: string }[];
}

interface Sent {
  readonly cell: Cell;
  readonly text: string;
  readonly envelopeId: string;
}

async function send(gateway: GatewayProcess, cell: Cell, round: number): Promise<Sent> {
  const text = `<${cell.name} ${round}>`;
  const { status, body } = await postWebhook({
    url: gateway.url,
    integrationId: cell.name,
    webhookId: `msg-${cell.name}-${round}`,
    payload: { text },
  });
  assert.is(status, 202, JSON.stringify(body));
  return { cell, text, envelopeId: String(body.envelope_id) };
}

async function checkEnd(gateway: GatewayProcess, model: OpenAiFake, sent: Sent): Promise<void> {
  const { cell, text, envelopeId } = sent;
  const finished = await until(
    `${text} has ended`,
    async () => (await factsOf(gateway, envelopeId, 'run.finished'))[0],
    ENDED_MS,
  );
  const runId = String(finished.runId);
  const run = (await gateway.admin(`/admin/v1/runs/${runId}`)) as Run;
  assert.is(run.status, cell.status, text);
  assert.is(run.reason, cell.status === 'failed' ? 'model_failed' : '', text);
  const answers = run.tape.filter(({ type }) => type === 'message.replied');
  if (cell.status === 'done') {
    assert.equal(
      answers.map((entry) => entry.text),
      [`answer to ${text}`],
    );
  }
  assert.is(callsOf(model, text), cell.calls, `calls for ${text}`);
}

/** The calls whose last message is the text: later ones of the conversation repeat it before their own. */
function callsOf({ calls }: OpenAiFake, text: string): number {
  return calls.filter(({ body }) => {
    const messages = body.messages as readonly { readonly content: unknown }[];
    return JSON.stringify(messages.at(-1)?.content).includes(text);
  }).length;
}

const test = suite('models that die');

test(`${CELLS.length} ways of a model to fail: each run ends once with its code, is asked again as often as it should, and its conversation goes on`, async () => {
  const model = await startOpenAiFake({ reply: (text) => `answer to ${text}` });
  try {
    await withStateRoot(async (stateRoot) => {
      const env = { HOOK_SECRET: TEST_SECRET };
      const gateway = await startGateway({ stateRoot, config: configOf(model), env });
      const runs: Sent[] = [];
      for (let round = 1; round <= ROUNDS; round += 1) {
        for (const { name, fault, times } of CELLS) {
          model.script({ textIncludes: `<${name} ${round}>`, times, fault });
        }
        const sent = await Promise.all(CELLS.map((cell) => send(gateway, cell, round)));
        await Promise.all(sent.map((one) => checkEnd(gateway, model, one)));
        runs.push(...sent);
      }
      // Each conversation takes the next message, whatever became of the last.
      const healthy = (cell: Cell) => ({ ...cell, status: 'done', calls: 1 }) as const;
      const next = await Promise.all(CELLS.map((cell) => send(gateway, healthy(cell), 0)));
      await Promise.all(next.map((one) => checkEnd(gateway, model, one)));
      for (const { envelopeId, text } of [...runs, ...next]) {
        for (const type of ['message.accepted', 'run.finished']) {
          assert.is((await factsOf(gateway, envelopeId, type)).length, 1, `${text}: ${type}`);
        }
      }
      assert.is((await gateway.stop()).code, 0);
      console.log(
        `${runs.length} runs of ${CELLS.length} ways, ${model.calls.length} calls, each ended once`,
      );
    });
  } finally {
    await model.close();
  }
});

const ACCOUNTS = Array.from({ length: 6 }, (_, n) => `deadly:${n}`);

/** Accounts of a kind that dies by its text, each with a webhook that replies to it. */
function deadlyConfig(model: OpenAiFake, files: { readonly log: string; readonly secret: string }) {
  return {
    http: { listen: '127.0.0.1:0' },
    model: { provider: 'openai-compatible', base_url: model.url, model: 'test-model' },
    connectors: ACCOUNTS.map((id) => ({ id, kind: 'deadly', log_file: files.log })),
    webhooks: ACCOUNTS.map((connector, n) => ({
      integration_id: `hook-${n}`,
      secret_refs: [`file:${files.secret}`],
      reply_to: { connector, conversation: 'main' },
    })),
  } satisfies ConfigTable;
}

/** The webhook whose account has the thread of the sessions, and one whose account has not. */
async function hooksByThread(gateway: GatewayHandle) {
  const threads = await until(
    'all accounts run',
    async () => {
      const { components } = await gateway.call('status.get', {});
      const threadOf = (end: string) => components.find(({ path }) => path.endsWith(end))?.thread;
      const accounts = ACCOUNTS.map((id) => threadOf(`/channels/${id}`));
      const webhooks = threadOf('/webhooks/hook:hook-0');
      return webhooks !== undefined && !accounts.includes(undefined) && { accounts, webhooks };
    },
    20_000,
  );
  const { accounts, webhooks } = threads;
  const hookWhere = (isThere: boolean) =>
    `hook-${accounts.findIndex((thread) => (thread === webhooks) !== isThere)}`;
  return { onSessions: hookWhere(true), elsewhere: hookWhere(false) };
}

test('a thread that dies while its runs wait for the model: each is asked again and ends once', async () => {
  const model = await startOpenAiFake();
  try {
    await withStateRoot(async (stateRoot) => {
      const files = { log: join(stateRoot, 'sent.log'), secret: join(stateRoot, 'hook.secret') };
      writeFileSync(files.secret, TEST_SECRET, { mode: 0o600 });
      const gateway = createGateway({
        config: deadlyConfig(model, files),
        stateRoot,
        connectors: { deadly: DEADLY_KIND },
        threads: 2,
      });
      try {
        const { http: url } = await within('ready', gateway.ready, 30_000);
        const { onSessions, elsewhere } = await hooksByThread(gateway);
        const post = (integrationId: string, webhookId: string, text: string) =>
          postWebhook({ url, integrationId, webhookId, payload: { text } });
        model.script({ textIncludes: 'think', times: 1, fault: { type: 'hang' } });
        const { body } = await post(elsewhere, 'think', 'think of this');
        await model.until('the call under way', () => callsOf(model, 'think') === 1, 20_000);
        assert.is((await post(onSessions, 'kill', 'once exit now')).status, 202);
        const ends = async () => {
          const input = { subject: String(body.envelope_id), tail: true };
          const { entries } = await gateway.call('journal.read', input);
          return entries
            .flatMap(({ facts }) => facts)
            .filter(({ type }) => type === 'run.finished');
        };
        const isOver = async () => (await ends()).length > 0;
        await until('the run that was cut has ended', isOver, 60_000);
        assert.equal(
          (await ends()).map(({ status, attempts }) => [status, attempts]),
          [['done', 1]],
        );
        assert.is(callsOf(model, 'think'), 2);
      } finally {
        await within('stop', gateway.stop({ deadlineMs: 15_000 }), 25_000);
      }
    });
  } finally {
    await model.close();
  }
});

test.run();
