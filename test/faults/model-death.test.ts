/** A model that fails in each way, for many conversations at once: each run ends once, as its tape says, and nothing is lost. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type OpenAiFake,
  type OpenAiFault,
  startOpenAiFake,
} from '../../connectors/fakes/openai/index.ts';
import { type GatewayProcess, startGateway, withStateRoot } from '../support/gateway-process.ts';
import { faultScale } from '../support/scale.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until } from '../support/within.ts';

export const deadlineMs = 300_000;

const ROUNDS = faultScale(1, 5);
/** As `actors/runs` has it: how often a model is asked before its run fails. */
const MAX_CALLS = 5;
/** Five calls with their pauses; a call without an answer is given up after two minutes. */
const ENDED_MS = faultScale(90_000, 280_000);

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
  { name: 'filter', fault: { type: 'filtered' }, times: 0, status: 'failed', calls: 1 },
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

type Fact = Readonly<Record<string, unknown>>;

/** The facts of one type that name the envelope. */
async function factsOf(
  gateway: GatewayProcess,
  envelopeId: string,
  type: string,
): Promise<readonly Fact[]> {
  const query = `tail=true&subject=${envelopeId}`;
  const { entries } = (await gateway.admin(`/admin/v1/journal?${query}`)) as {
    readonly entries: readonly { readonly facts: readonly Fact[] }[];
  };
  return entries.flatMap(({ facts }) => facts).filter((fact) => fact.type === type);
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

test.run();
