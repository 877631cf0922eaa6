/** The Bot API calls that this connector makes, through grammY with its retries unused. Its errors never hold the token. */
import { Api, type ApiClientOptions, GrammyError, HttpError } from 'grammy';
import { createRedaction, type Redact } from '../redaction.ts';
import { createBotHttp, type HttpAnswer, HttpExchangeError } from './bot-http.ts';
import { BotApiError, type BotFailure } from './errors.ts';
import type { TelegramUpdate } from './updates.ts';

export interface SendRequest {
  readonly chatId: string;
  readonly text: string;
  /** 0 for none. */
  readonly threadId: number;
  /** Message of the same chat that this one answers; 0 for none. */
  readonly replyToMessageId: number;
}

/** Every method rejects with a `BotApiError` only. */
export interface BotApi {
  getMe(signal: AbortSignal): Promise<{ readonly username: string }>;
  /** '' when no webhook is set. */
  webhookUrl(signal: AbortSignal): Promise<string>;
  deleteWebhook(signal: AbortSignal): Promise<void>;
  /** Asking from `offset` on confirms every update before it. */
  getUpdates(
    poll: { readonly offset: number | undefined; readonly timeoutS: number },
    signal: AbortSignal,
  ): Promise<readonly TelegramUpdate[]>;
  sendMessage(
    request: SendRequest,
    signal: AbortSignal,
  ): Promise<{ readonly chatId: string; readonly messageId: number }>;
  /** Breaks off every call under way. */
  close(): void;
}

export interface BotApiSettings {
  readonly token: string;
  readonly apiRoot: string;
  readonly connectTimeoutMs: number;
  /** For every call but a long poll. */
  readonly callDeadlineMs: number;
  /** For a long poll: what the platform may take, and the way there and back. */
  readonly pollDeadlineMs: number;
}

const BATCH_UPDATES = 100;
const ALLOWED_UPDATES = ['message'] as const;

type GrammySignal = NonNullable<Parameters<Api['getMe']>[0]>;
type GrammyFetch = NonNullable<ApiClientOptions['fetch']>;

export function openBotApi(settings: BotApiSettings): BotApi {
  const calls = createClient(settings, settings.callDeadlineMs);
  const polls = createClient(settings, settings.pollDeadlineMs);
  const redact = createRedaction(settings.token);
  const checked = async <T>(method: string, call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      throw new BotApiError(method, toFailure(error, redact));
    }
  };
  return {
    async getMe(signal) {
      const me = await checked('getMe', () => calls.api.getMe(toGrammy(signal)));
      return { username: me.username ?? '' };
    },
    async webhookUrl(signal) {
      const info = await checked('getWebhookInfo', () =>
        calls.api.getWebhookInfo(toGrammy(signal)),
      );
      return info.url ?? '';
    },
    async deleteWebhook(signal) {
      await checked('deleteWebhook', () => calls.api.deleteWebhook({}, toGrammy(signal)));
    },
    async getUpdates({ offset, timeoutS }, signal) {
      const options = {
        ...(offset === undefined ? {} : { offset }),
        limit: BATCH_UPDATES,
        timeout: timeoutS,
        allowed_updates: ALLOWED_UPDATES,
      };
      return parseUpdates(
        await checked('getUpdates', () => polls.api.getUpdates(options, toGrammy(signal))),
      );
    },
    async sendMessage(request, signal) {
      const sent = await checked('sendMessage', () =>
        calls.api.sendMessage(
          toChatId(request.chatId),
          request.text,
          {
            ...(request.threadId === 0 ? {} : { message_thread_id: request.threadId }),
            ...(request.replyToMessageId === 0
              ? {}
              : {
                  reply_parameters: {
                    message_id: request.replyToMessageId,
                    allow_sending_without_reply: true,
                  },
                }),
          },
          toGrammy(signal),
        ),
      );
      return { chatId: String(sent.chat?.id ?? request.chatId), messageId: sent.message_id };
    },
    close() {
      calls.close();
      polls.close();
    },
  };
}

function createClient(settings: BotApiSettings, deadlineMs: number): { api: Api; close(): void } {
  const http = createBotHttp({ connectTimeoutMs: settings.connectTimeoutMs, deadlineMs });
  const fetchForBot = async (
    url: string | URL,
    init: {
      readonly method: string;
      readonly headers: Record<string, string>;
      readonly body: string;
      readonly signal?: AbortSignal;
    },
  ) => {
    const answer = await http.exchange(String(url), {
      method: init.method,
      headers: init.headers,
      body: init.body,
      signal: init.signal,
    });
    return { json: async () => parseAnswer(answer) };
  };
  const api = new Api(settings.token, {
    apiRoot: settings.apiRoot,
    // grammY's own timeout would hide whether the request was written: it only stands behind ours.
    timeoutSeconds: Math.ceil(deadlineMs / 1_000) + 5,
    fetch: fetchForBot as unknown as GrammyFetch,
  });
  return { api, close: () => http.close() };
}

/** What a thing thrown by grammY tells. Its own texts and causes may hold the address, and so the token; so may a server's words. */
function toFailure(error: unknown, redact: Redact): BotFailure {
  if (error instanceof GrammyError) {
    return {
      type: 'answer',
      status: error.error_code,
      description: redact(error.description),
      retryAfterMs: Math.max(0, Number(error.parameters.retry_after ?? 0) * 1_000),
      migrateToChatId: String(error.parameters.migrate_to_chat_id ?? ''),
      isBotApi: true,
    };
  }
  const cause = error instanceof HttpError ? error.error : error;
  if (cause instanceof BotApiError) return cause.failure;
  if (cause instanceof HttpExchangeError) {
    return { type: 'network', reason: cause.code, requestWritten: cause.requestWritten };
  }
  return { type: 'network', reason: 'no_usable_answer', requestWritten: true };
}

function parseUpdates(result: unknown): readonly TelegramUpdate[] {
  const updates: readonly unknown[] = Array.isArray(result) ? result : [];
  return updates.filter(
    (update): update is TelegramUpdate =>
      typeof update === 'object' &&
      update !== null &&
      'update_id' in update &&
      typeof update.update_id === 'number',
  );
}

function parseAnswer(answer: HttpAnswer): unknown {
  const parsed = parseJson(answer.body);
  if (typeof parsed === 'object' && parsed !== null && 'ok' in parsed) {
    if (parsed.ok === true && 'result' in parsed) return parsed;
    if (parsed.ok === false && 'error_code' in parsed && 'description' in parsed) return parsed;
  }
  throw new BotApiError('answer', {
    type: 'answer',
    status: answer.status,
    description: '',
    retryAfterMs: toSeconds(answer.retryAfter) * 1_000,
    migrateToChatId: '',
    isBotApi: false,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error instanceof SyntaxError ? undefined : String(error);
  }
}

function toSeconds(header: string): number {
  return /^\d{1,6}$/.test(header.trim()) ? Number(header) : 0;
}

/** Telegram takes ids as numbers and public names (`@name`) as text. */
function toChatId(conversationId: string): number | string {
  return /^-?\d{1,15}$/.test(conversationId) ? Number(conversationId) : conversationId;
}

/** grammY types its signals by a polyfill that the platform's own fits at run time. */
function toGrammy(signal: AbortSignal): GrammySignal {
  return signal as unknown as GrammySignal;
}
