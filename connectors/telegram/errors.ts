/** How a Bot API call can fail, and the one table that says what each failure means. Source: Bot API "Making requests". */

/** `answer`: the platform (or something before it) answered. `network`: no whole answer came. */
export type BotFailure =
  | {
      readonly type: 'answer';
      readonly status: number;
      readonly description: string;
      /** 0 where the answer named none. */
      readonly retryAfterMs: number;
      /** '' where the answer named none. */
      readonly migrateToChatId: string;
      /** false: not the Bot API's JSON, e.g. a front end's HTML page. */
      readonly isBotApi: boolean;
    }
  | {
      readonly type: 'network';
      /** A system code such as `ECONNRESET`, or `connect_timeout`, `deadline`, `aborted`. */
      readonly reason: string;
      /** false: certainly no byte of the request left this machine on an established connection. */
      readonly requestWritten: boolean;
    };

export class BotApiError extends Error {
  readonly code = 'telegram_call_failed';
  readonly failure: BotFailure;

  constructor(method: string, failure: BotFailure) {
    const what = failure.type === 'answer' ? String(failure.status) : failure.reason;
    super(`Telegram ${method}: ${what}`);
    this.name = 'BotApiError';
    this.failure = failure;
  }
}

export const FAILURE_CLASSES = [
  'rate_limited',
  'transient',
  'auth',
  'permanent',
  'unknown',
  'readdress',
  'webhook_active',
  'conflict',
] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

interface ErrorRule {
  readonly match: {
    /** An exact status, or its range. */
    readonly status: number | readonly [number, number];
    readonly description?: RegExp;
    readonly migrates?: true;
    readonly isBotApi?: false;
  };
  readonly class: FailureClass;
  readonly hint: string;
}

/** First match wins. A 5xx may come from a front end after the message was taken; Telegram's documents call it not sent. */
export const TELEGRAM_ERRORS: readonly ErrorRule[] = [
  rule(429, 'rate_limited', 'Telegram asks for a pause'),
  rule(420, 'rate_limited', 'Telegram asks for a pause'),
  {
    match: { status: [400, 499], isBotApi: false },
    class: 'transient',
    hint: 'a proxy or captive portal answered, not the Bot API',
  },
  rule(401, 'auth', 'Telegram refuses the bot token'),
  {
    match: { status: [400, 499], migrates: true },
    class: 'readdress',
    hint: 'the group has become a supergroup with another id',
  },
  rule(409, 'webhook_active', 'a webhook is set for this bot', /webhook/i),
  rule(409, 'conflict', 'another process polls with this bot token'),
  rule(403, 'permanent', 'the user has blocked the bot', /blocked by the user/i),
  rule(403, 'permanent', 'the bot was removed from the chat', /kicked|not a member/i),
  rule(403, 'permanent', 'the user has not started a chat with the bot', /initiate conversation/i),
  rule(403, 'permanent', 'the user account is gone', /deactivated/i),
  rule(403, 'permanent', 'the bot may not do this'),
  rule(400, 'permanent', 'no such chat, or the bot is not in it', /chat not found/i),
  rule(400, 'permanent', 'the text is longer than Telegram takes', /message is too long/i),
  rule(400, 'permanent', 'Telegram sends no empty text', /text (is|must be non-)empty/i),
  rule(400, 'permanent', 'no such topic in the chat', /thread not found/i),
  rule(400, 'permanent', 'the bot may not write in the chat', /not enough rights|have no rights/i),
  rule(400, 'permanent', 'Telegram refuses the request'),
  rule(404, 'auth', 'Telegram knows no such bot: is the token whole?', /^not found$/i),
  rule(404, 'permanent', 'no such method at api_root'),
  rule(413, 'permanent', 'the request is larger than Telegram takes'),
  rule([500, 599], 'transient', 'Telegram has trouble'),
  {
    match: { status: [200, 299], isBotApi: false },
    class: 'unknown',
    hint: 'the answer is not the Bot API’s',
  },
  rule([300, 399], 'transient', 'the server at api_root sends elsewhere'),
  rule([400, 499], 'permanent', 'Telegram refuses the request'),
];

/** By system code; the class follows from whether the request was written. */
const NETWORK_HINTS: readonly (readonly [RegExp, string])[] = [
  [/^ENOTFOUND|^EAI_/, 'the name of api_root cannot be resolved'],
  [/^ECONNREFUSED/, 'nothing listens at api_root'],
  [/^E(HOST|NET)UNREACH/, 'there is no way to api_root'],
  [/^connect_timeout|^ETIMEDOUT/, 'no connection in time'],
  [/^deadline/, 'no answer in time'],
  [/^aborted/, 'the call was cut short'],
  [/CERT|TLS|SSL|SELF_SIGNED/, 'the certificate of api_root is not accepted'],
];

export interface Verdict {
  readonly class: FailureClass;
  /** Safe to show: what happened, and what Telegram said of it. */
  readonly reason: string;
}

export function classify(failure: BotFailure): Verdict {
  if (failure.type === 'network') return classifyNetwork(failure.reason, failure.requestWritten);
  const found = TELEGRAM_ERRORS.find(({ match }) => matches(match, failure));
  const said = failure.description === '' ? '' : `: ${failure.description.slice(0, 200)}`;
  return {
    class: found?.class ?? 'unknown',
    reason: `${found?.hint ?? 'an answer that nobody foresaw'} (${failure.status}${said})`,
  };
}

function classifyNetwork(code: string, requestWritten: boolean): Verdict {
  const hint = NETWORK_HINTS.find(([pattern]) => pattern.test(code))?.[1] ?? 'the connection broke';
  const when = requestWritten ? 'after the request was written' : 'before it was written';
  return {
    class: requestWritten ? 'unknown' : 'transient',
    reason: `${hint} (${code}, ${when})`,
  };
}

function matches(match: ErrorRule['match'], failure: BotFailure & { type: 'answer' }): boolean {
  const [least, most] =
    typeof match.status === 'number' ? [match.status, match.status] : match.status;
  if (failure.status < least || failure.status > most) return false;
  if (match.description !== undefined && !match.description.test(failure.description)) return false;
  if (match.migrates !== undefined && failure.migrateToChatId === '') return false;
  return match.isBotApi === undefined || !failure.isBotApi;
}

function rule(
  status: ErrorRule['match']['status'],
  failureClass: FailureClass,
  hint: string,
  description?: RegExp,
): ErrorRule {
  const match = description === undefined ? { status } : { status, description };
  return { match, class: failureClass, hint };
}
