/** A model behind an OpenAI-compatible chat endpoint, through Vercel's `ai` with its retries off. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, type FinishReason, generateText } from 'ai';
import { AnswerTooLargeError, boundedFetch } from './bounded-fetch.ts';
import type { Model, ModelOutcome, ModelRequest } from './model.ts';

export interface OpenAiCompatibleConfig {
  readonly baseUrl: string;
  readonly model: string;
  readonly apiKey: string;
  readonly timeoutMs?: number;
}

/** A run gives a call up after 120 s: this ends it before, as one that the model did not answer. */
const DEFAULT_TIMEOUT_MS = 119_000;
const LONGEST_REASON_UNITS = 200;
/** 408 Request Timeout, 409 Conflict, 425 Too Early, 429 Too Many Requests. */
const RETRYABLE_STATUS: readonly number[] = [408, 409, 425, 429];
/** 400 Bad Request and 422 Unprocessable Content say in words what was wrong; 413 Content Too Large says it itself. */
const WORDED_STATUS: readonly number[] = [400, 422];
/** No standard has a word for it. Read in the answer's code, type and message alike. */
const CONTEXT_TOO_LONG = new RegExp(
  [
    'context_length_exceeded', // OpenAI, Azure, Groq, Cerebras
    'maximum (context|prompt|model) length', // OpenAI, vLLM, OpenRouter, DeepSeek, Mistral, xAI
    'exceeds? (the )?((model|available)\\S* )?context', // OpenAI, Anthropic, llama.cpp, Ollama
    '(prompt|input) (is )?too long', // Anthropic, Bedrock, Fireworks, Ollama
    'greater than the context length', // LM Studio
    'token count .*exceeds the maximum', // Gemini
    'exceeded model token limit', // Moonshot
    'reduce the length of the (messages|prompt)', // Groq, vLLM
    '`inputs` (tokens|must have less)', // text-generation-inference
  ].join('|'),
  'i',
);
/** Of an answer's body: an error stands at its beginning, what was asked may be repeated behind it. */
const LONGEST_ERROR_UNITS = 2_000;
const HINTS: Readonly<Record<number, string>> = {
  400: 'the provider refuses the request',
  401: 'the provider refuses the credential',
  402: 'the provider asks for payment',
  403: 'the provider refuses the credential',
  404: 'no such model or endpoint',
  413: 'the request is too large',
  429: 'the provider asks for a pause',
};

export function createOpenAiCompatibleModel(config: OpenAiCompatibleConfig): Model {
  silenceLibrary();
  const provider = createOpenAICompatible({
    name: 'openai-compatible',
    baseURL: config.baseUrl,
    fetch: boundedFetch,
    ...(config.apiKey === '' ? {} : { apiKey: config.apiKey }),
  });
  const model = provider.chatModel(config.model);
  return {
    async answer(request, { signal }) {
      const deadline = AbortSignal.timeout(config.timeoutMs ?? DEFAULT_TIMEOUT_MS);
      try {
        const result = await generateText({
          model,
          ...toPrompt(request),
          maxRetries: 0,
          abortSignal: AbortSignal.any([signal, deadline]),
        });
        const isMissing = result.text.trim() === '';
        if (isMissing && !(result.finishReason === 'stop' && result.reasoning.length === 0)) {
          return { type: 'permanent', reason: whyNoText(result.finishReason) };
        }
        return {
          type: 'answer',
          text: result.text,
          promptTokens: result.usage.inputTokens ?? 0,
          completionTokens: result.usage.outputTokens ?? 0,
        };
      } catch (error) {
        if (signal.aborted) return { type: 'transient', reason: 'aborted', isAborted: true };
        if (deadline.aborted) return { type: 'transient', reason: 'no answer in time' };
        return toOutcome(error, config.apiKey);
      }
    },
  };
}

/** Why an answer has no text, where the model did not just choose to say nothing. */
function whyNoText(finishReason: FinishReason): string {
  switch (finishReason) {
    case 'content-filter':
      return 'the provider’s filter withheld the answer';
    case 'length':
      return 'the model’s limit of tokens ended the answer before its text: raise the limit, or let it think less';
    case 'tool-calls':
      return 'the model called a tool instead of answering, and has none: use one that answers without';
    case 'stop':
      return 'the model only thought and gave no text: turn its thinking off, or use another';
    default:
      return 'the answer ended without text and without a usual reason: see the model server’s log';
  }
}

function toPrompt({ turns }: ModelRequest) {
  const system = turns.filter((turn) => turn.role === 'system').map((turn) => turn.text);
  const messages = turns.flatMap(({ role, text }) =>
    role === 'system' ? [] : [{ role, content: text }],
  );
  return { ...(system.length === 0 ? {} : { system: system.join('\n\n') }), messages };
}

function toOutcome(error: unknown, apiKey: string): ModelOutcome {
  const tooLarge = causesOf(error).find((cause) => cause instanceof AnswerTooLargeError);
  if (tooLarge !== undefined) return { type: 'permanent', reason: tooLarge.message };
  if (!APICallError.isInstance(error)) {
    const name = error instanceof Error ? error.name : 'unknown error';
    // What the library refuses before it asks anybody stays refused.
    if (/InvalidPrompt|InvalidArgument|LoadSetting|Unsupported/.test(name)) {
      return { type: 'permanent', reason: `the request cannot be made (${name})` };
    }
    return { type: 'transient', reason: `no usable answer (${name})` };
  }
  const { statusCode: status } = error;
  if (status === undefined) {
    return { type: 'transient', reason: `no answer (${causeCode(error.cause)})` };
  }
  const said = redact(error.message, apiKey);
  if (status < 400) return { type: 'transient', reason: `no usable answer (${status})` };
  const reason = `${HINTS[status] ?? 'the provider has trouble'} (${status}: ${said})`;
  if (isContextTooLong(status, error)) return { type: 'context_too_long', reason };
  if (status < 500 && !RETRYABLE_STATUS.includes(status)) {
    const isKeyRefused = apiKey !== '' && (status === 401 || status === 403);
    return { type: 'permanent', reason, ...(isKeyRefused ? { isKeyRefused } : {}) };
  }
  const retryAfterMs = retryAfterOf(error.responseHeaders ?? {});
  return retryAfterMs === undefined
    ? { type: 'transient', reason }
    : { type: 'transient', reason, retryAfterMs };
}

function isContextTooLong(status: number, { responseBody, message }: APICallError): boolean {
  if (!WORDED_STATUS.includes(status)) return status === 413;
  return CONTEXT_TOO_LONG.test((responseBody ?? message).slice(0, LONGEST_ERROR_UNITS));
}

/** `retry-after-ms`, or `retry-after` in seconds or as a date, which is read against the answer's own `date`. */
function retryAfterOf(headers: Readonly<Record<string, string>>): number | undefined {
  const exactMs = Number(headers['retry-after-ms'] ?? Number.NaN);
  if (exactMs >= 0) return exactMs;
  const header = headers['retry-after']?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(header)) return Number(header) * 1_000;
  const waitMs = Date.parse(header) - Date.parse(headers.date ?? '');
  return waitMs >= 0 ? waitMs : undefined;
}

function causeCode(error: unknown): string {
  for (const cause of causesOf(error)) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
  }
  return 'network';
}

/** The error itself first. */
function causesOf(error: unknown): readonly object[] {
  const causes: object[] = [];
  for (let at = error; causes.length < 4; at = 'cause' in at ? at.cause : undefined) {
    if (typeof at !== 'object' || at === null) break;
    causes.push(at);
  }
  return causes;
}

/** Providers repeat the key they refuse. */
function redact(text: string, apiKey: string): string {
  const clean = apiKey === '' ? text : text.replaceAll(apiKey, '<key>');
  return clean.replace(/\b(sk|key|api)[-_][\w*-]{6,}/gi, '<key>').slice(0, LONGEST_REASON_UNITS);
}

/** The library's warnings go to stdout, which belongs to the program that runs the gateway. */
function silenceLibrary(): void {
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
}
