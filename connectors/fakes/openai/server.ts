/** A local OpenAI-compatible chat endpoint for tests: echoes the last user message, or plays a scripted fault. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type CallParameters, createFaultScript, type FaultRule } from '../fault-script.ts';
import { answerJson, answerText, closeServer, listenOn, readBody } from '../http-exchange.ts';
import { createWatch } from '../watch.ts';

/**
 * `error`: the API's error object with that status. `drop`: the connection is cut without an answer. `hang`: silence.
 * `cut`: half an answer, then the connection is cut. `slow`: the usual answer, `ms` later. `empty`: an answer
 * without text that ended so, with nothing or with what the model thought. `endless`: an answer with that status that goes on until the connection is cut;
 * `declaredBytes` are its Content-Length.
 */
export type OpenAiFault =
  | {
      readonly type: 'error';
      readonly status: number;
      readonly message?: string;
      readonly code?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly type: 'endless'; readonly status: number; readonly declaredBytes?: number }
  | { readonly type: 'drop' }
  | { readonly type: 'cut' }
  | { readonly type: 'hang' }
  | {
      readonly type: 'empty';
      readonly finishReason: 'stop' | 'length' | 'tool_calls' | 'content_filter' | null;
      readonly thought?: string;
    }
  | { readonly type: 'garbage' }
  | { readonly type: 'slow'; readonly ms: number };

const ENDLESS_PART_BYTES = 65_536;

export interface OpenAiCall {
  readonly authorization: string;
  readonly body: CallParameters;
}

export interface OpenAiFakeOptions {
  readonly port?: number;
  /** What a request must carry as bearer token; '' = nothing. Default ''. */
  readonly apiKey?: string;
  /** Words of all messages that it has room for; more are refused as OpenAI refuses them. Default: any number. */
  readonly contextWords?: number;
  /** What is answered to the last user message. Default: the message itself. */
  reply?(text: string): string;
}

export interface OpenAiFake {
  /** What `base_url` is set to. */
  readonly url: string;
  readonly calls: readonly OpenAiCall[];
  /** What each endless answer had written when its connection was cut. */
  readonly cutAtBytes: readonly number[];
  script(...rules: readonly FaultRule<OpenAiFault>[]): void;
  until(fact: string, isTrue: (fake: OpenAiFake) => boolean, deadlineMs: number): Promise<void>;
  close(): Promise<void>;
}

export async function startOpenAiFake(options: OpenAiFakeOptions = {}): Promise<OpenAiFake> {
  const calls: OpenAiCall[] = [];
  const cutAtBytes: number[] = [];
  const watch = createWatch(() => `${calls.length} calls so far`);
  const faults = createFaultScript<OpenAiFault>();
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const text = (await readBody(request)).toString('utf8');
    if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
      answerError(response, 404, 'no such endpoint');
      return;
    }
    const body = JSON.parse(text) as CallParameters;
    const authorization = request.headers.authorization ?? '';
    calls.push({ authorization, body });
    watch.changed();
    const key = options.apiKey ?? '';
    if (key !== '' && authorization !== `Bearer ${key}`) {
      const given = authorization.slice('Bearer '.length);
      answerError(response, 401, `Incorrect API key provided: ${given}.`);
      return;
    }
    const words = countWords(textsOf(body).join(' '));
    if (words > (options.contextWords ?? Number.POSITIVE_INFINITY)) {
      answerTooLong(response, words, options.contextWords ?? 0);
      return;
    }
    const last = lastUserText(body);
    const fault = faults.take('chat.completions', { ...body, text: last });
    if (fault?.type === 'endless') {
      cutAtBytes.push(await writeOn(response, fault));
      watch.changed();
      return;
    }
    if (fault !== undefined && (await play(fault, response))) return;
    const choice =
      fault?.type === 'empty' ? toEmptyChoice(fault) : toChoice(options.reply?.(last) ?? last);
    answerJson(response, 200, completion(body, last, choice));
  };
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => answerError(response, 400, String(error)));
  });
  const url = await listenOn(server, '127.0.0.1', options.port ?? 0);
  const fake: OpenAiFake = {
    url: `${url}/v1`,
    calls,
    cutAtBytes,
    script: (...rules) => faults.add(...rules),
    until: (fact, isTrue, deadlineMs) => watch.until(fact, () => isTrue(fake), deadlineMs),
    close: () => closeServer(server),
  };
  return fake;
}

/** true: the fault was the whole answer. */
async function play(
  fault: Exclude<OpenAiFault, { readonly type: 'endless' }>,
  response: ServerResponse,
): Promise<boolean> {
  const gone = new Promise<void>((resolve) => response.once('close', () => resolve()));
  switch (fault.type) {
    case 'error':
      answerError(response, fault.status, fault.message ?? 'scripted', fault);
      return true;
    case 'drop':
      response.socket?.resetAndDestroy();
      return true;
    case 'cut':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"id":', () => response.socket?.resetAndDestroy());
      return true;
    case 'garbage':
      answerText(response, 200, 'welcome to the hotel network', { 'content-type': 'text/plain' });
      return true;
    case 'hang':
      await gone;
      return true;
    case 'slow': {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, fault.ms);
      });
      await Promise.race([late, gone]);
      clearTimeout(timer);
      return false;
    }
    case 'empty':
      return false;
  }
}

/** Settles with the bytes that were written once the connection is cut. */
async function writeOn(
  response: ServerResponse,
  { status, declaredBytes }: Extract<OpenAiFault, { readonly type: 'endless' }>,
): Promise<number> {
  const part = Buffer.alloc(ENDLESS_PART_BYTES, ' ');
  const length = declaredBytes === undefined ? {} : { 'content-length': declaredBytes };
  response.writeHead(status, { 'content-type': 'application/json', ...length });
  let bytes = 0;
  const gone = new Promise<void>((resolve) => response.once('close', () => resolve()));
  const write = () => {
    while (!response.destroyed) {
      bytes += part.length;
      if (!response.write(part)) return;
    }
  };
  response.on('drain', write);
  write();
  await gone;
  return bytes;
}

interface Choice {
  readonly message: { readonly content: string | null; readonly reasoning_content?: string };
  readonly finish_reason: string | null;
}

function toChoice(content: string): Choice {
  return { message: { content }, finish_reason: 'stop' };
}

function toEmptyChoice(fault: Extract<OpenAiFault, { readonly type: 'empty' }>): Choice {
  const { thought, finishReason } = fault;
  const message =
    thought === undefined ? { content: '' } : { content: null, reasoning_content: thought };
  return { message, finish_reason: finishReason };
}

function completion(body: CallParameters, prompt: string, { message, finish_reason }: Choice) {
  const promptTokens = countWords(prompt);
  const completionTokens = countWords(message.content ?? '');
  return {
    id: 'chatcmpl-fake',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: body.model,
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    },
  };
}

function answerError(
  response: ServerResponse,
  status: number,
  message: string,
  more: { readonly code?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): void {
  const error = { message, type: 'fake', code: more.code ?? null };
  answerJson(response, status, { error }, more.headers ?? {});
}

function answerTooLong(response: ServerResponse, words: number, room: number): void {
  const message =
    `This model's maximum context length is ${room} tokens. However, your messages resulted in ` +
    `${words} tokens. Please reduce the length of the messages.`;
  const code = 'context_length_exceeded';
  const error = { message, type: 'invalid_request_error', param: 'messages', code };
  answerJson(response, 400, { error });
}

function lastUserText(body: CallParameters): string {
  return textsOf(body, 'user').at(-1) ?? '';
}

/** Of all messages, or of those with this role. */
function textsOf(body: CallParameters, wanted?: string): readonly string[] {
  const messages: readonly unknown[] = Array.isArray(body.messages) ? body.messages : [];
  return messages.flatMap((message) => {
    const { role, content } = (message ?? {}) as {
      readonly role?: unknown;
      readonly content?: unknown;
    };
    return wanted === undefined || role === wanted ? [textIn(content)] : [];
  });
}

function textIn(content: unknown): string {
  if (typeof content === 'string') return content;
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  return parts.map((part) => String((part as { text?: unknown } | null)?.text ?? '')).join('');
}

function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => word !== '').length;
}
