/** The Bot API methods that the fake knows, and what each refuses. Source: core.telegram.org/bots/api. */
import type { CallParameters } from '../fault-script.ts';
import { BotRefusal } from './bot-refusal.ts';
import type { AcceptedMessage, BotState } from './bot-state.ts';
import type { Chats } from './chats.ts';

export interface MethodCall {
  readonly bot: BotState;
  readonly parameters: CallParameters;
  readonly chats: Chats;
  readonly atMs: number;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  accept(message: Omit<AcceptedMessage, 'index'>): void;
}

export type Method = (call: MethodCall) => unknown;

const TEXT_LIMIT_UNITS = 4_096;
const DEFAULT_LIMIT = 100;

/** By name in lower case: the Bot API does not mind the case. */
export const METHODS: Readonly<Record<string, Method>> = {
  getme: ({ bot }) => ({
    id: bot.id,
    is_bot: true,
    first_name: 'Fake',
    username: `fake_${bot.id}_bot`,
    can_join_groups: true,
    can_read_all_group_messages: false,
    supports_inline_queries: false,
  }),
  getwebhookinfo: ({ bot }) => ({
    url: bot.webhookUrl,
    has_custom_certificate: false,
    pending_update_count: bot.unconfirmed,
  }),
  setwebhook({ bot, parameters }) {
    bot.webhookUrl = textOf(parameters, 'url');
    return true;
  },
  deletewebhook({ bot }) {
    bot.webhookUrl = '';
    return true;
  },
  getupdates: ({ bot, parameters, signal }) =>
    bot.getUpdates({
      offset: numberOf(parameters, 'offset'),
      limit: numberOf(parameters, 'limit') ?? DEFAULT_LIMIT,
      timeoutMs: Math.max(0, numberOf(parameters, 'timeout') ?? 0) * 1_000,
      signal,
    }),
  sendmessage: sendMessage,
};

function sendMessage(call: MethodCall): unknown {
  const { bot, parameters, chats, atMs } = call;
  const chatId = textOf(parameters, 'chat_id');
  if (chatId === '') throw new BotRefusal(400, 'Bad Request: chat_id is empty');
  bot.flood.take(atMs);
  chats.checkWritable(chatId);
  const text = textOf(parameters, 'text');
  if (text.trim() === '') throw new BotRefusal(400, 'Bad Request: message text is empty');
  if (text.length > TEXT_LIMIT_UNITS) throw new BotRefusal(400, 'Bad Request: message is too long');
  const replyToMessageId = replyTargetOf(parameters, bot, chatId);
  const threadId = textOf(parameters, 'message_thread_id');
  const messageId = bot.nextMessageId(chatId);
  call.accept({ token: bot.token, messageId, chatId, text, threadId, replyToMessageId, atMs });
  return {
    message_id: messageId,
    date: Math.floor(atMs / 1_000),
    chat: { id: Number(chatId), type: chatId.startsWith('-') ? 'supergroup' : 'private' },
    from: { id: bot.id, is_bot: true, first_name: 'Fake' },
    text,
  };
}

function replyTargetOf(parameters: CallParameters, bot: BotState, chatId: string): number {
  const reply = objectOf(parameters.reply_parameters);
  const messageId = numberOf(reply, 'message_id') ?? 0;
  if (messageId === 0 || bot.hasMessage(chatId, messageId)) return messageId;
  if (String(reply.allow_sending_without_reply) === 'true') return 0;
  throw new BotRefusal(400, 'Bad Request: message to be replied not found');
}

/** Form bodies carry objects as JSON text. */
function objectOf(value: unknown): CallParameters {
  const found: unknown = typeof value === 'string' && value !== '' ? JSON.parse(value) : value;
  return typeof found === 'object' && found !== null ? (found as CallParameters) : {};
}

function textOf(parameters: CallParameters, key: string): string {
  const value = parameters[key];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function numberOf(parameters: CallParameters, key: string): number | undefined {
  const text = textOf(parameters, key);
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}
