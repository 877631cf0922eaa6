/**
 * Sends one piece as a Telegram message and says how it ended. It retries nothing but a moved group's new address, and sends
 * nothing into a chat's pause.
 */
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';
import { assertNever } from '../../proto/errors.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { DeliveryAttempt } from '../connector.ts';
import type { BotApi, SendRequest } from './bot-api.ts';
import { BotApiError, type BotFailure, classify, type Verdict } from './errors.ts';
import { type FloodPause, FloodScope } from './flood-scope.ts';
import { messageIdOf, nativeIdOf } from './updates.ts';

export interface Sender {
  deliver(attempt: DeliveryAttempt, signal: AbortSignal): Promise<DeliveryOutcome>;
}

export interface SenderDeps {
  readonly botId: string;
  api(): Promise<BotApi>;
  /** Aborts when the connector closes. */
  readonly life: AbortSignal;
  wallMs(): number;
  /** The platform refused the credential of a send. */
  refused(reason: string): void;
}

const MOVED_GROUPS = 1_000;
/** For a 429 that names no time. */
const DEFAULT_PAUSE_MS = 5_000;
const PAUSED = 'the pause that Telegram asked for in this chat is not over';

export function createSender(deps: SenderDeps): Sender {
  const moved = new BoundedMap<string, string>(MOVED_GROUPS);
  const flood = new FloodScope();

  const send = async (request: SendRequest, signal: AbortSignal): Promise<Sent> => {
    try {
      const api = await deps.api();
      const pause = flood.left(request.chatId, deps.wallMs());
      if (pause !== undefined) return { type: 'rate_limited', ...pause, reason: PAUSED };
      const begun = flood.begin();
      const sent = await api.sendMessage(request, signal);
      flood.taken(begun);
      return {
        type: 'delivered',
        nativeMessageId: nativeIdOf(deps.botId, sent.chatId, sent.messageId),
      };
    } catch (error) {
      if (!(error instanceof BotApiError)) throw error;
      const sent = toSent(classify(error.failure), error.failure, (askedMs) =>
        flood.refused(request.chatId, askedMs, deps.wallMs()),
      );
      if (sent.type === 'auth') deps.refused(sent.reason);
      return sent;
    }
  };

  return {
    async deliver(attempt, signal) {
      if (signal.aborted || deps.life.aborted) {
        return { type: 'transient', reason: 'aborted before sending' };
      }
      const { conversationId } = attempt;
      const request = toRequest(attempt, moved.get(conversationId) ?? conversationId);
      const first = await send(request, signal);
      if (first.type !== 'moved') return first;
      moved.set(conversationId, first.chatId);
      const second = await send({ ...request, chatId: first.chatId }, signal);
      return second.type === 'moved'
        ? { type: 'permanent', reason: `${second.reason}, twice` }
        : second;
    },
  };
}

/** `moved`: not sent; the chat has another id now. */
type Sent =
  | DeliveryOutcome
  | { readonly type: 'moved'; readonly chatId: string; readonly reason: string };

function toRequest(attempt: DeliveryAttempt, chatId: string): SendRequest {
  return {
    chatId,
    text: attempt.text,
    threadId: messageIdOf(attempt.threadId),
    replyToMessageId: messageIdOf(attempt.inReplyTo),
  };
}

function toSent(
  { class: failureClass, reason }: Verdict,
  failure: BotFailure,
  refusedFor: (askedMs: number) => FloodPause,
): Sent {
  const { retryAfterMs, migrateToChatId, isBotApi } =
    failure.type === 'answer' ? failure : { retryAfterMs: 0, migrateToChatId: '', isBotApi: true };
  switch (failureClass) {
    case 'rate_limited': {
      const askedMs = retryAfterMs || DEFAULT_PAUSE_MS;
      // A front end's page is not about the one chat; of the Bot API's own word nobody knows.
      const pause: FloodPause = isBotApi
        ? refusedFor(askedMs)
        : { scope: 'account', retryAfterMs: askedMs };
      return { type: 'rate_limited', ...pause, reason };
    }
    case 'readdress':
      return { type: 'moved', chatId: migrateToChatId, reason };
    case 'auth':
    case 'permanent':
    case 'unknown':
      return { type: failureClass, reason };
    case 'transient':
    case 'webhook_active':
    case 'conflict':
      return { type: 'transient', reason, ...(retryAfterMs === 0 ? {} : { retryAfterMs }) };
    default:
      return assertNever(failureClass);
  }
}
