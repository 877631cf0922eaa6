/** Which chats the fake lets a bot write to. */
import { BotRefusal } from './bot-refusal.ts';

export interface Chats {
  /** Throws as Telegram refuses: unknown chat, blocked by the user, moved group. */
  checkWritable(chatId: string): void;
  add(chatId: string): void;
  forget(chatId: string): void;
  block(chatId: string): void;
  unblock(chatId: string): void;
  /** The group lives on under another id. */
  migrate(chatId: string, toChatId: string): void;
}

/** `any`: every number is a chat unless it was forgotten. A list: those, and whoever wrote to the bot. */
export function createChats(known: 'any' | readonly (string | number)[]): Chats {
  const listed = known === 'any' ? undefined : new Set(known.map(String));
  const forgotten = new Set<string>();
  const blocked = new Set<string>();
  const moved = new Map<string, string>();

  const isKnown = (chatId: string) => {
    if (forgotten.has(chatId) || !/^-?[1-9]\d*$/.test(chatId)) return false;
    return listed === undefined || listed.has(chatId);
  };

  return {
    checkWritable(chatId) {
      const toChatId = moved.get(chatId);
      if (toChatId !== undefined) {
        throw new BotRefusal(400, 'Bad Request: group chat was upgraded to a supergroup chat', {
          migrate_to_chat_id: Number(toChatId),
        });
      }
      if (blocked.has(chatId)) throw new BotRefusal(403, 'Forbidden: bot was blocked by the user');
      if (!isKnown(chatId)) throw new BotRefusal(400, 'Bad Request: chat not found');
    },
    add(chatId) {
      listed?.add(chatId);
      forgotten.delete(chatId);
    },
    forget: (chatId) => void forgotten.add(chatId),
    block: (chatId) => void blocked.add(chatId),
    unblock: (chatId) => void blocked.delete(chatId),
    migrate(chatId, toChatId) {
      moved.set(chatId, toChatId);
      listed?.add(toChatId);
    },
  };
}
