/** What one fake bot holds: updates not yet confirmed, the poll in flight, chats, and the log of accepted messages. */
import { BotRefusal } from './bot-refusal.ts';
import type { FloodBucket } from './flood-bucket.ts';

/** One message that the fake took, as its log shows it. */
export interface AcceptedMessage {
  /** Place in the log, from 0. */
  readonly index: number;
  readonly token: string;
  readonly messageId: number;
  readonly chatId: string;
  readonly text: string;
  /** '' for none. */
  readonly threadId: string;
  /** 0 for none. */
  readonly replyToMessageId: number;
  readonly atMs: number;
}

export interface PushedMessage {
  readonly chatId: number | string;
  readonly text?: string;
  readonly caption?: string;
  readonly from?: { readonly id: number; readonly first_name?: string; readonly username?: string };
  readonly chatType?: 'private' | 'group' | 'supergroup';
  /** A topic of the chat. */
  readonly threadId?: number;
  /** Further fields of the message, e.g. `{ sticker: {} }`. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export interface FakeUpdate {
  readonly update_id: number;
  readonly [field: string]: unknown;
}

interface Poll {
  answer(updates: readonly FakeUpdate[]): void;
  refuse(refusal: BotRefusal): void;
  readonly limit: number;
}

const CONFLICT =
  'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running';
const WEBHOOK =
  "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
const MAX_LIMIT = 100;

export class BotState {
  readonly token: string;
  readonly id: number;
  readonly flood: FloodBucket;
  webhookUrl = '';
  /** Every update before this one is confirmed; 0 at first. */
  confirmedBefore = 0;
  #updates: FakeUpdate[] = [];
  #nextUpdateId = 1_000;
  #poll: Poll | undefined;
  readonly #lastMessageIds = new Map<string, number>();

  constructor(token: string, id: number, flood: FloodBucket) {
    this.token = token;
    this.id = id;
    this.flood = flood;
  }

  get unconfirmed(): number {
    return this.#updates.length;
  }

  get isPolling(): boolean {
    return this.#poll !== undefined;
  }

  nextMessageId(chatId: string): number {
    const next = (this.#lastMessageIds.get(chatId) ?? 0) + 1;
    this.#lastMessageIds.set(chatId, next);
    return next;
  }

  hasMessage(chatId: string, messageId: number): boolean {
    return messageId > 0 && messageId <= (this.#lastMessageIds.get(chatId) ?? 0);
  }

  pushMessage(pushed: PushedMessage, atMs: number): { updateId: number; messageId: number } {
    const chatId = String(pushed.chatId);
    const messageId = this.nextMessageId(chatId);
    const chatType = pushed.chatType ?? (chatId.startsWith('-') ? 'supergroup' : 'private');
    const updateId = this.pushUpdate({
      message: {
        message_id: messageId,
        date: Math.floor(atMs / 1_000),
        chat: { id: Number(pushed.chatId), type: chatType },
        from: {
          is_bot: false,
          first_name: 'Ada',
          ...(pushed.from ?? { id: Math.abs(Number(chatId)) }),
        },
        ...(pushed.text === undefined ? {} : { text: pushed.text }),
        ...(pushed.caption === undefined ? {} : { caption: pushed.caption }),
        ...(pushed.threadId === undefined
          ? {}
          : { message_thread_id: pushed.threadId, is_topic_message: true }),
        ...pushed.extra,
      },
    });
    return { updateId, messageId };
  }

  /** An update of any kind; its id is given to it here. */
  pushUpdate(fields: Readonly<Record<string, unknown>>): number {
    const updateId = this.#nextUpdateId;
    this.#nextUpdateId += 1;
    this.#updates.push({ ...fields, update_id: updateId });
    const poll = this.#poll;
    this.#poll = undefined;
    poll?.answer(this.#updates.slice(0, poll.limit));
    return updateId;
  }

  /** Confirms what lies before `offset`, then answers at once or holds the poll; a second poll ends the first one. */
  getUpdates(request: {
    readonly offset: number | undefined;
    readonly limit: number;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  }): Promise<readonly FakeUpdate[]> {
    if (this.webhookUrl !== '') throw new BotRefusal(409, WEBHOOK);
    this.interruptPoll(new BotRefusal(409, CONFLICT));
    this.#confirm(request.offset);
    const limit = Math.min(Math.max(request.limit, 1), MAX_LIMIT);
    if (this.#updates.length > 0 || request.timeoutMs === 0) {
      return Promise.resolve(this.#updates.slice(0, limit));
    }
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        request.signal.removeEventListener('abort', whenGone);
        if (this.#poll === poll) this.#poll = undefined;
        finish();
      };
      const poll: Poll = {
        limit,
        answer: (updates) => settle(() => resolve(updates)),
        refuse: (refusal) => settle(() => reject(refusal)),
      };
      const whenGone = () => poll.answer([]);
      const timer = setTimeout(() => poll.answer([]), request.timeoutMs);
      request.signal.addEventListener('abort', whenGone, { once: true });
      this.#poll = poll;
    });
  }

  /** The poll in flight is answered with nothing, before its time. */
  answerEmpty(): void {
    this.#poll?.answer([]);
  }

  interruptPoll(refusal: BotRefusal): void {
    this.#poll?.refuse(refusal);
  }

  #confirm(offset: number | undefined): void {
    if (offset === undefined || offset === 0) return;
    const from = offset > 0 ? offset : (this.#updates.at(offset)?.update_id ?? 0);
    this.#updates = this.#updates.filter((update) => update.update_id >= from);
    this.confirmedBefore = Math.max(this.confirmedBefore, from);
  }
}
