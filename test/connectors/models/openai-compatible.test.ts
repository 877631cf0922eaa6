/** How each answer of an OpenAI-compatible server, and each silence, becomes a model outcome. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type OpenAiFake,
  type OpenAiFault,
  startOpenAiFake,
} from '../../../connectors/fakes/openai/index.ts';
import { openModel } from '../../../connectors/index.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { within } from '../within.ts';

const test = suite('openai-compatible model');

const KEY = 'sk-test-0123456789abcdef';
const never = () => new AbortController();
const request = { runId: 'r1', turns: [{ role: 'user', text: 'hello' }] } as const;

async function withFake(
  work: (fake: OpenAiFake, ask: () => Promise<unknown>) => Promise<void>,
  config: { apiKey?: string; timeoutMs?: number } = {},
  reply: (text: string) => string = (text) => text,
): Promise<void> {
  const fake = await startOpenAiFake({ apiKey: KEY, reply });
  const model = await openModel({
    provider: 'openai-compatible',
    baseUrl: fake.url,
    model: 'fake-1',
    apiKey: KEY,
    ...config,
  });
  try {
    await work(fake, () => within('an outcome', model.answer(request, never())));
  } finally {
    await fake.close();
  }
}

test('the request carries model, key and turns; tokens are the server’s', () =>
  withFake(async (fake, ask) => {
    assert.equal(await ask(), {
      type: 'answer',
      text: 'hello',
      promptTokens: 1,
      completionTokens: 1,
    });
    const { authorization, body } = fake.calls[0] ?? { authorization: '', body: {} };
    assert.is(authorization, `Bearer ${KEY}`);
    assert.is(body.model, 'fake-1');
    assert.equal(body.messages, [{ role: 'user', content: 'hello' }]);
  }));

const CASES: readonly (readonly [OpenAiFault, Readonly<Record<string, unknown>>])[] = [
  [
    { type: 'error', status: 429, headers: { 'retry-after': '7' } },
    { type: 'transient', retryAfterMs: 7_000 },
  ],
  [
    { type: 'error', status: 429, headers: { 'retry-after-ms': '250' } },
    { type: 'transient', retryAfterMs: 250 },
  ],
  [{ type: 'error', status: 429 }, { type: 'transient' }],
  [{ type: 'error', status: 429, headers: { 'retry-after': 'soon' } }, { type: 'transient' }],
  [
    {
      type: 'error',
      status: 503,
      headers: {
        date: 'Wed, 21 Oct 2026 07:28:00 GMT',
        'retry-after': 'Wed, 21 Oct 2026 07:28:30 GMT',
      },
    },
    { type: 'transient', retryAfterMs: 30_000 },
  ],
  [{ type: 'error', status: 500 }, { type: 'transient' }],
  [{ type: 'error', status: 408 }, { type: 'transient' }],
  [
    { type: 'error', status: 401 },
    { type: 'permanent', isKeyRefused: true },
  ],
  [
    { type: 'error', status: 403 },
    { type: 'permanent', isKeyRefused: true },
  ],
  [{ type: 'error', status: 404 }, { type: 'permanent' }],
  [{ type: 'error', status: 400 }, { type: 'permanent' }],
  [{ type: 'error', status: 413 }, { type: 'context_too_long' }],
  [{ type: 'error', status: 422 }, { type: 'permanent' }],
  [
    { type: 'empty', finishReason: 'stop' },
    { type: 'answer', text: '', promptTokens: 1, completionTokens: 0 },
  ],
  [{ type: 'garbage' }, { type: 'transient' }],
  [{ type: 'drop' }, { type: 'transient' }],
  [{ type: 'cut' }, { type: 'transient' }],
  [
    { type: 'slow', ms: 30 },
    { type: 'answer', text: 'hello', promptTokens: 1, completionTokens: 1 },
  ],
];

for (const [fault, expected] of CASES) {
  test(`${JSON.stringify(fault)} is ${JSON.stringify(expected)}, after one call`, () =>
    withFake(async (fake, ask) => {
      fake.script({ fault });
      const { reason, ...outcome } = (await ask()) as { reason?: string };
      assert.equal(outcome, expected);
      if (!('text' in expected)) assert.ok((reason ?? '') !== '');
      assert.is(fake.calls.length, 1);
    }));
}

const NO_TEXT: readonly (readonly [OpenAiFault, RegExp])[] = [
  [{ type: 'empty', finishReason: 'content_filter' }, /filter withheld/],
  [{ type: 'empty', finishReason: 'length' }, /raise the limit/],
  [{ type: 'empty', finishReason: 'length', thought: 'hm' }, /raise the limit/],
  [{ type: 'empty', finishReason: 'tool_calls' }, /called a tool/],
  [{ type: 'empty', finishReason: 'stop', thought: 'hm' }, /only thought/],
  [{ type: 'empty', finishReason: null }, /without a usual reason/],
];

for (const [fault, reason] of NO_TEXT) {
  test(`${JSON.stringify(fault)} is no answer but permanent, and says ${reason}`, () =>
    withFake(async (fake, ask) => {
      fake.script({ fault });
      const outcome = (await ask()) as { type: string; reason: string };
      assert.is(outcome.type, 'permanent');
      assert.match(outcome.reason, reason);
      assert.is(fake.calls.length, 1);
    }));
}

// As OpenAI, Anthropic, vLLM (two), llama.cpp, Ollama (two), LM Studio, Mistral, xAI, Gemini, Groq and Bedrock say it.
const TOO_LONG = [
  "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
  'Your input exceeds the context window of this model. Please adjust your input and try again.',
  'prompt is too long: 203456 tokens > 200000 maximum',
  'input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000',
  "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).",
  'The decoder prompt (length 5000) is longer than the maximum model length of 4096.',
  'the request exceeds the available context size, try increasing it',
  'prompt too long; exceeded max context length by 12 tokens',
  'the input length exceeds the context length',
  'The number of tokens to keep from the initial prompt is greater than the context length.',
  'Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length',
  "This model's maximum prompt length is 131072 but the request contains 180000 tokens.",
  'The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).',
  'Please reduce the length of the messages or completion.',
  'Input is too long for requested model.',
];

for (const message of TOO_LONG) {
  test(`"${message}" is context_too_long`, () =>
    withFake(async (fake, ask) => {
      fake.script({ fault: { type: 'error', status: 400, message } });
      assert.is(((await ask()) as { type: string }).type, 'context_too_long');
    }));
}

test('a provider that says it by its code alone is understood too', () =>
  withFake(async (fake, ask) => {
    const code = 'context_length_exceeded';
    fake.script({ fault: { type: 'error', status: 400, message: 'bad request', code } });
    assert.is(((await ask()) as { type: string }).type, 'context_too_long');
  }));

test('what a credential is refused with is not read for a length', () =>
  withFake(async (fake, ask) => {
    fake.script({ fault: { type: 'error', status: 401, message: 'prompt is too long' } });
    assert.is(((await ask()) as { type: string }).type, 'permanent');
  }));

test('a refused key is permanent and not repeated, although the provider repeats it', () =>
  withFake(
    async (_fake, ask) => {
      const outcome = (await ask()) as { type: string; reason: string };
      assert.is(outcome.type, 'permanent');
      assert.match(outcome.reason, 'credential');
      assert.not.match(outcome.reason, 'wrong-key');
    },
    { apiKey: 'my-wrong-key-0123' },
  ));

test('an answer that does not come in time is transient', () =>
  withFake(
    async (fake, ask) => {
      fake.script({ fault: { type: 'hang' } });
      assert.equal(await ask(), { type: 'transient', reason: 'no answer in time' });
    },
    { timeoutMs: 50 },
  ));

const ENDLESS: readonly OpenAiFault[] = [
  { type: 'endless', status: 200 },
  { type: 'endless', status: 500 },
  { type: 'endless', status: 200, declaredBytes: 1e12 },
];

for (const fault of ENDLESS) {
  test(`${JSON.stringify(fault)} is broken off and permanent, whatever its status`, () =>
    withFake(async (fake, ask) => {
      fake.script({ fault });
      assert.equal(await ask(), { type: 'permanent', reason: 'the answer is larger than 8 MiB' });
      const deadlineMs = 5_000;
      await fake.until('the answer is cut', ({ cutAtBytes }) => cutAtBytes.length > 0, deadlineMs);
      // Beyond what was read, the buffers of both ends.
      assert.ok((fake.cutAtBytes[0] ?? 0) < 32 * 1_024 * 1_024, `${fake.cutAtBytes[0]} bytes`);
    }));
}

test('an answer of 7 MiB is taken', () => {
  const text = 'x'.repeat(7 * 1_024 * 1_024);
  return withFake(
    async (_fake, ask) => {
      assert.is(((await ask()) as { text?: string }).text?.length, text.length);
    },
    {},
    () => text,
  );
});

test('nothing at base_url is transient, with the system’s code', async () => {
  const fake = await startOpenAiFake();
  await fake.close();
  const model = await openModel({
    provider: 'openai-compatible',
    baseUrl: fake.url,
    model: 'm',
    apiKey: '',
  });
  const outcome = await within('an outcome', model.answer(request, never()));
  assert.equal(outcome, { type: 'transient', reason: 'no answer (ECONNREFUSED)' });
});

test('a request without turns is permanent: it would fail again', () =>
  withFake(async (fake) => {
    const model = await openModel({
      provider: 'openai-compatible',
      baseUrl: fake.url,
      model: 'm',
      apiKey: KEY,
    });
    const outcome = await within('an outcome', model.answer({ runId: 'r1', turns: [] }, never()));
    assert.is(outcome.type, 'permanent');
    assert.is(fake.calls.length, 0);
  }));

test('an unknown provider is refused', async () => {
  let code = '';
  await openModel({ provider: 'oracle' } as never).catch((error: unknown) => {
    code = codeOf(error);
  });
  assert.is(code, 'invalid_options');
});

test.run();
