/** What a Telegram update says in the gateway's words. Pure: it fetches and confirms nothing. */
import { type InboundOffer, LIMITS } from '../../proto/channel-messages.ts';

interface TelegramPerson {
  readonly id: number;
  readonly first_name?: string;
  readonly last_name?: string;
  readonly username?: string;
}

/** The part of an update that is read; everything else is left where it is. */
export interface TelegramUpdate {
  readonly update_id: number;
  readonly message?: {
    readonly message_id: number;
    readonly message_thread_id?: number;
    readonly is_topic_message?: boolean;
    readonly from?: TelegramPerson;
    readonly sender_chat?: { readonly id: number; readonly title?: string };
    readonly chat: { readonly id: number; readonly type: string };
    readonly text?: string;
    readonly caption?: string;
  };
}

export type ReadUpdate =
  | { readonly type: 'message'; readonly offer: InboundOffer }
  | { readonly type: 'ignored'; readonly reason: 'not_a_message' | 'no_text' | 'unreadable' };

/** Whose updates are read. */
export interface BotAccount {
  readonly connectorId: string;
  readonly botId: string;
}

/** The digits before a bot token's colon, which stay when the token is replaced; '0' for a token without them. */
export function botIdOf(token: string): string {
  return /^\d{1,20}(?=:)/.exec(token)?.[0] ?? '0';
}

/**
 * Every native id of this connector, `bot:chat:message`: a user's private chat has one id with every bot, each of which numbers
 * its messages anew, and an account may be given another bot's token.
 */
export function nativeIdOf(botId: string, chatId: number | string, messageId: number): string {
  return `${botId}:${chatId}:${messageId}`;
}

/** The message number of a native id, also of one stored without its bot's, or of a bare number; 0 where there is none. */
export function messageIdOf(nativeId: string): number {
  const digits = /^(?:[^:]*:){0,2}(\d{1,15})$/.exec(nativeId)?.[1];
  return digits === undefined ? 0 : Number(digits);
}

export function readUpdate(
  update: TelegramUpdate,
  { connectorId, botId }: BotAccount,
  receivedAtMs: number,
): ReadUpdate {
  const { message } = update;
  if (message === undefined) return { type: 'ignored', reason: 'not_a_message' };
  if (typeof message.message_id !== 'number' || typeof message.chat?.id !== 'number') {
    return { type: 'ignored', reason: 'unreadable' };
  }
  const body = message.text ?? message.caption ?? '';
  if (body.trim() === '') return { type: 'ignored', reason: 'no_text' };
  const nativeId = nativeIdOf(botId, message.chat.id, message.message_id);
  return {
    type: 'message',
    offer: {
      nativeId,
      connectorId,
      conversationId: String(message.chat.id),
      threadId: threadOf(message),
      ...senderOf(message),
      senderVerified: true,
      body,
      adapterMessageId: nativeId,
      receivedAtMs,
      isDirectMessage: message.chat.type === 'private',
      requestedBroadcast: false,
      attachments: [],
    },
  };
}

type Message = NonNullable<TelegramUpdate['message']>;

/** Outside of topics the field names a chain of replies, and sending with it is refused. */
function threadOf(message: Message): string {
  if (message.is_topic_message !== true || message.message_thread_id === undefined) return '';
  return String(message.message_thread_id);
}

/** A message sent in the name of a chat carries a stand-in as `from`. */
function senderOf(message: Message): { senderId: string; senderDisplay: string } {
  const { from, sender_chat: chat } = message;
  if (chat !== undefined || from === undefined) {
    const id = chat?.id ?? message.chat.id;
    return { senderId: `telegram:chat:${id}`, senderDisplay: shorten(chat?.title ?? '') };
  }
  const name = [from.first_name, from.last_name].filter((part) => part !== undefined).join(' ');
  const display = name.trim() === '' ? (from.username ?? '') : name;
  return { senderId: `telegram:user:${from.id}`, senderDisplay: shorten(display) };
}

/** Names are the sender's to choose: cut to the limit at a character. */
function shorten(name: string): string {
  let bytes = 0;
  let kept = '';
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > LIMITS.identityBytes) break;
    kept += character;
  }
  return kept;
}
