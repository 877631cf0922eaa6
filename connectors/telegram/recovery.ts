/** What receiving does after trouble: what it reports, how long it waits, and when a credential counts as refused. */
import { PalyraError } from '../../proto/errors.ts';
import type { ConnectorDeps } from '../connector.ts';
import type { HealthReporter } from '../health-reporter.ts';
import type { BotApi } from './bot-api.ts';
import { BotApiError, type BotFailure, classify, type FailureClass } from './errors.ts';
import type { TelegramOptions } from './options.ts';

export interface Recovery {
  /** The next failure is the first again. */
  succeeded(): void;
  /** `refused` is there when the platform refused the credential. */
  failed(error: unknown): { readonly waitMs: number; readonly refused?: PalyraError };
  /** Deletes a webhook where the account allows it; throws where it stands in the way. */
  clearWebhook(api: BotApi): Promise<void>;
}

export interface RecoveryDeps {
  readonly options: TelegramOptions;
  readonly health: HealthReporter;
  readonly deps: ConnectorDeps;
}

export class WebhookInTheWay extends Error {
  readonly code = 'webhook_active';
}

/** Doubled with each failure, up to the second number; 50 to 100 % of it is waited. */
const TROUBLE_WAIT_MS = [1_000, 30_000] as const;
const REFUSED_WAIT_MS = [10_000, 300_000] as const;
const WEBHOOK_WAIT_MS = 60_000;
const WEBHOOK_REASON =
  'a webhook is set for this bot, so it cannot be polled: delete it, or set take_over_webhook = true';
const CONFLICT_REASON =
  'another process polls with this bot token: each account needs its own bot, and one gateway';

export function createRecovery(
  { options, health, deps }: RecoveryDeps,
  signal: AbortSignal,
): Recovery {
  let failures = 0;

  const wait = ([firstMs, mostMs]: readonly [number, number]) => {
    const fullMs = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 20));
    return fullMs * (0.5 + deps.random() / 2);
  };

  const degraded = (reason: string) =>
    health.report({ readiness: 'ready', liveness: 'degraded', reason });

  const react = (failureClass: FailureClass, reason: string, retryAfterMs: number) => {
    switch (failureClass) {
      case 'auth': {
        health.report({ readiness: 'auth_failed', liveness: 'degraded', reason });
        return { waitMs: wait(REFUSED_WAIT_MS), refused: new PalyraError('auth_failed', reason) };
      }
      case 'webhook_active':
        // The credential works and so does sending: only receiving waits.
        degraded(WEBHOOK_REASON);
        return { waitMs: WEBHOOK_WAIT_MS };
      case 'conflict':
        degraded(CONFLICT_REASON);
        // Not sooner than the other's poll can have ended: two that take turns would both starve.
        return { waitMs: options.pollTimeoutS * 1_000 + wait(TROUBLE_WAIT_MS) };
      case 'rate_limited':
        degraded(reason);
        return { waitMs: Math.max(retryAfterMs, wait(TROUBLE_WAIT_MS)) };
      default:
        degraded(reason);
        return { waitMs: wait(TROUBLE_WAIT_MS) };
    }
  };

  return {
    succeeded() {
      failures = 0;
    },
    failed(error) {
      failures += 1;
      if (error instanceof WebhookInTheWay) return react('webhook_active', '', 0);
      if (!(error instanceof BotApiError)) return react('transient', 'receiving met a defect', 0);
      const { failure } = error;
      const verdict = classify(failure);
      const retryAfterMs = failure.type === 'answer' ? failure.retryAfterMs : 0;
      return react(verdict.class, verdict.reason, retryAfterMs);
    },
    async clearWebhook(api) {
      const url = await api.webhookUrl(signal).catch((error: unknown) => {
        if (error instanceof BotApiError && isMissing(error.failure)) return '';
        throw error;
      });
      if (url === '') return;
      if (!options.takeOverWebhook) throw new WebhookInTheWay(WEBHOOK_REASON);
      await api.deleteWebhook(signal);
      deps.log('warn', 'telegram webhook deleted, as take_over_webhook asks');
    },
  };
}

/** A server without a call, which is no reason to stay away: `getMe` has shown that the token is good, and polling will tell. */
function isMissing(failure: BotFailure): boolean {
  if (classify(failure).class === 'permanent') return true;
  return failure.type === 'answer' && failure.isBotApi && failure.status === 404;
}
