/** The options of a Telegram account: their rules and defaults. */
import { checkOptionRules, httpRoot, integerBetween, onUnknown, trueOrFalse } from '../options.ts';

export interface TelegramOptions {
  /** Without a slash at its end. */
  readonly apiRoot: string;
  /** How long the platform may hold a `getUpdates` that has nothing to say. */
  readonly pollTimeoutS: number;
  /** Whether a webhook that is set for this bot is deleted, so that polling works. */
  readonly takeOverWebhook: boolean;
  /** Least time between two sends of this account; 0 = no pacing but the platform's. */
  readonly minIntervalMs: number;
}

/** Telegram itself ends a poll after 50 s. */
const MAX_POLL_TIMEOUT_S = 50;

const RULES = {
  api_root: httpRoot,
  on_unknown: onUnknown,
  poll_timeout_s: integerBetween(1, MAX_POLL_TIMEOUT_S),
  take_over_webhook: trueOrFalse,
  min_interval_ms: integerBetween(0, 60_000),
};

export function checkTelegramOptions(options: Readonly<Record<string, unknown>>): void {
  checkOptionRules('telegram', RULES, options);
}

/** Throws `invalid_options` as `checkTelegramOptions` does. */
export function parseTelegramOptions(options: Readonly<Record<string, unknown>>): TelegramOptions {
  checkTelegramOptions(options);
  const apiRoot = options.api_root ?? 'https://api.telegram.org';
  return {
    apiRoot: String(apiRoot).replace(/\/+$/, ''),
    pollTimeoutS: Number(options.poll_timeout_s ?? 30),
    takeOverWebhook: options.take_over_webhook === true,
    minIntervalMs: Number(options.min_interval_ms ?? 0),
  };
}
