/** A Telegram bot account as a connector: wires receiving, sending and the client library together. */
import { PalyraError } from '../../proto/errors.ts';
import type {
  Connector,
  ConnectorAccount,
  ConnectorDeps,
  ConnectorKind,
  ConnectorPorts,
  DeliveryAttempt,
} from '../connector.ts';
import { createHealthReporter, type HealthReporter } from '../health-reporter.ts';
import type { BotApi } from './bot-api.ts';
import { type Receiver, startReceiver } from './inbound.ts';
import { splitText } from './limits.ts';
import { checkTelegramOptions, parseTelegramOptions, type TelegramOptions } from './options.ts';
import { createSender, type Sender } from './outbound.ts';
import { botIdOf } from './updates.ts';

export const telegramKind: ConnectorKind = {
  kind: 'telegram',
  availability: 'supported',
  needsCredential: true,
  checkOptions: checkTelegramOptions,
  create: (account, deps) => createTelegram(account, deps),
};

export interface TelegramTiming {
  readonly connectTimeoutMs: number;
  readonly callDeadlineMs: number;
  /** What a long poll may take beyond its own timeout. */
  readonly pollGraceMs: number;
}

/** A call ends before who asked for a send gives up on it at 30 s: its own end says more. */
const TIMING: TelegramTiming = {
  connectTimeoutMs: 10_000,
  callDeadlineMs: 25_000,
  pollGraceMs: 10_000,
};
/** Letters, digits and marks that cannot lead out of the request's path. */
const TOKEN = /^[A-Za-z0-9:_.~-]{1,256}$/;

/** The same with other deadlines than the built-in ones. */
export function createTelegram(
  account: ConnectorAccount,
  deps: ConnectorDeps,
  timing: TelegramTiming = TIMING,
): Connector {
  return new TelegramConnector(account, deps, timing);
}

class TelegramConnector implements Connector {
  readonly minIntervalMs: number;
  readonly #account: ConnectorAccount;
  readonly #deps: ConnectorDeps;
  readonly #timing: TelegramTiming;
  readonly #options: TelegramOptions;
  readonly #sender: Sender;
  readonly #life = new AbortController();
  #health: HealthReporter | undefined;
  #receiver: Receiver | undefined;
  #api: Promise<BotApi> | undefined;
  #closing: Promise<void> | undefined;

  constructor(account: ConnectorAccount, deps: ConnectorDeps, timing: TelegramTiming) {
    this.#account = account;
    this.#deps = deps;
    this.#timing = timing;
    this.#options = parseTelegramOptions(account.options);
    this.minIntervalMs = this.#options.minIntervalMs;
    this.#sender = createSender({
      botId: botIdOf(deps.credential.trim()),
      api: () => this.#loadApi(),
      life: this.#life.signal,
      wallMs: () => deps.wallMs(),
      refused: (reason) => {
        this.#health?.report({ readiness: 'auth_failed', liveness: 'degraded', reason });
        this.#receiver?.doubt();
      },
    });
  }

  async open(ports: ConnectorPorts, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#health = createHealthReporter(ports, this.#deps.log);
    const health = this.#health;
    this.#checkCredential(health);
    await this.#receiver?.stop(signal);
    if (this.#life.signal.aborted) {
      throw new PalyraError('failed_precondition', 'the connector is closed');
    }
    health.report({ readiness: 'ready', liveness: 'starting', reason: 'connecting' });
    this.#receiver = startReceiver(
      {
        connectorId: this.#account.connectorId,
        options: this.#options,
        ports,
        health,
        deps: this.#deps,
        api: () => this.#loadApi(),
      },
      AbortSignal.any([signal, this.#life.signal]),
    );
    await this.#receiver.opened;
  }

  async stopReceiving(signal: AbortSignal): Promise<void> {
    await this.#receiver?.stop(signal);
  }

  async deliver(attempt: DeliveryAttempt, signal: AbortSignal) {
    return this.#sender.deliver(attempt, signal);
  }

  close(signal: AbortSignal): Promise<void> {
    this.#closing ??= this.#close(signal);
    return this.#closing;
  }

  split(text: string): readonly string[] {
    return splitText(text);
  }

  async #close(signal: AbortSignal): Promise<void> {
    this.#life.abort();
    await this.#receiver?.stop(signal);
    (await this.#api)?.close();
  }

  #checkCredential(health: HealthReporter): void {
    const token = this.#deps.credential.trim();
    if (token === '') {
      const reason = 'no bot token';
      health.report({ readiness: 'missing_credential', liveness: 'stopped', reason });
      throw new PalyraError('secret_unavailable', `${this.#account.connectorId}: ${reason}`);
    }
    if (TOKEN.test(token)) return;
    const reason = 'the credential is no bot token: it holds characters that no token has';
    health.report({ readiness: 'auth_failed', liveness: 'stopped', reason });
    throw new PalyraError('auth_failed', `${this.#account.connectorId}: ${reason}`);
  }

  /** Loads the client library with the first call that needs it. */
  #loadApi(): Promise<BotApi> {
    this.#api ??= import('./bot-api.ts').then(({ openBotApi }) =>
      openBotApi({
        token: this.#deps.credential.trim(),
        apiRoot: this.#options.apiRoot,
        connectTimeoutMs: this.#timing.connectTimeoutMs,
        callDeadlineMs: this.#timing.callDeadlineMs,
        pollDeadlineMs: this.#options.pollTimeoutS * 1_000 + this.#timing.pollGraceMs,
      }),
    );
    return this.#api;
  }
}
