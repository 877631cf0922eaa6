/** Receives by long polling: one batch at a time, each message confirmed only after the gateway took it. */
import { PalyraError } from '../../proto/errors.ts';
import { createDeferred } from '../../runtime/deferred.ts';
import type { ConnectorDeps, ConnectorPorts } from '../connector.ts';
import type { HealthReporter } from '../health-reporter.ts';
import { createRedaction } from '../redaction.ts';
import type { BotApi } from './bot-api.ts';
import { BotApiError } from './errors.ts';
import { Intake } from './intake.ts';
import { createOfferer, ReceiverGone } from './offerer.ts';
import type { TelegramOptions } from './options.ts';
import { createRecovery, type Recovery, WebhookInTheWay } from './recovery.ts';
import { botIdOf, type TelegramUpdate } from './updates.ts';

export interface ReceiverDeps {
  readonly connectorId: string;
  readonly options: TelegramOptions;
  readonly ports: ConnectorPorts;
  readonly health: HealthReporter;
  readonly deps: ConnectorDeps;
  api(): Promise<BotApi>;
}

export interface Receiver {
  /** Settles with the platform's first verdict on the credential; receiving goes on in the background either way. */
  readonly opened: Promise<void>;
  /** A send met a refused credential: the poll in flight is broken off, and after a wait the credential is tried again. */
  doubt(): void;
  /** Settles once no poll is in flight and no offer open; an abort of `signal` breaks an open offer off. */
  stop(signal: AbortSignal): Promise<void>;
}

/** A server that does not hold the poll, because it has nothing to or what waits is refused, is not asked more often than this. */
const LEAST_POLL_MS = 250;
/** Between a send's refused credential and its next trial. */
const DOUBTED_WAIT_MS = 2_000;
const RUNNING = { readiness: 'ready', liveness: 'running', reason: '' } as const;
const HOLDING = {
  readiness: 'ready',
  liveness: 'degraded',
  reason: 'messages of a full conversation wait at the platform (conversation_busy)',
} as const;

export function startReceiver(receiver: ReceiverDeps, life: AbortSignal): Receiver {
  const loop = new PollLoop(receiver);
  const endNow = () => loop.endNow();
  life.addEventListener('abort', endNow, { once: true });
  const ended = loop.run().finally(() => life.removeEventListener('abort', endNow));
  if (life.aborted) endNow();
  return {
    opened: loop.opened,
    doubt: () => loop.doubt(),
    async stop(signal) {
      loop.endPolling();
      signal.addEventListener('abort', endNow, { once: true });
      if (signal.aborted) endNow();
      await ended;
      signal.removeEventListener('abort', endNow);
    },
  };
}

class PollLoop {
  readonly opened: Promise<void>;
  readonly #receiver: ReceiverDeps;
  /** Ends polls and waits; an offer under way is finished. */
  readonly #polling = new AbortController();
  /** Ends the offer under way too. */
  readonly #offering = new AbortController();
  #poll: AbortController | undefined;
  #isDoubted = false;
  readonly #intake: Intake;
  readonly #recovery: Recovery;
  readonly #firstVerdict = createDeferred<void>();
  #provesFirst = true;

  constructor(receiver: ReceiverDeps) {
    this.#receiver = receiver;
    this.opened = this.#firstVerdict.promise;
    const { connectorId, deps } = receiver;
    this.#intake = new Intake({
      account: { connectorId, botId: botIdOf(deps.credential.trim()) },
      offerer: createOfferer(receiver, this.#polling.signal, this.#offering.signal),
      wallMs: () => deps.wallMs(),
      sleep: (ms) => deps.sleep(ms, this.#polling.signal),
    });
    this.#recovery = createRecovery(receiver, this.#polling.signal);
  }

  /** Never rejects. */
  async run(): Promise<void> {
    while (!this.#polling.signal.aborted) {
      try {
        await this.#connect();
        while (!this.#polling.signal.aborted) await this.#pollOnce();
      } catch (error) {
        if (error instanceof ReceiverGone) break;
        if (!this.#polling.signal.aborted) await this.#recover(error);
      }
    }
    this.#firstVerdict.reject(new PalyraError('stopping', 'the connector was stopped'));
    this.#receiver.health.report({
      readiness: this.#receiver.health.last?.readiness ?? 'ready',
      liveness: 'stopped',
      reason: 'stopped receiving',
    });
  }

  doubt(): void {
    if (this.#poll === undefined) return;
    this.#isDoubted = true;
    this.#poll.abort();
  }

  endPolling(): void {
    this.#polling.abort();
    this.#poll?.abort();
  }

  endNow(): void {
    this.endPolling();
    this.#offering.abort();
  }

  async #connect(): Promise<void> {
    const { signal } = this.#polling;
    const api = await this.#receiver.api();
    const { username } = await api.getMe(signal);
    this.#receiver.deps.log('info', 'telegram account open', { username });
    this.#firstVerdict.resolve();
    await this.#recovery.clearWebhook(api);
    this.#provesFirst = true;
  }

  /** The first poll after a connect returns at once: it shows that polling works, and fetches what waits. */
  async #pollOnce(): Promise<void> {
    const { deps, options } = this.#receiver;
    const startedAtMs = deps.wallMs();
    const timeoutS = this.#provesFirst ? 0 : options.pollTimeoutS;
    const api = await this.#receiver.api();
    const offset = this.#intake.offsetAt(startedAtMs);
    const updates = await this.#getUpdates(api, { offset, timeoutS });
    this.#recovery.succeeded();
    this.#reportPolled();
    await this.#intake.take(updates);
    if (this.#polling.signal.aborted) return;
    this.#reportTaken();
    const isIdle = updates.length === 0 || this.#intake.isHolding;
    const isUnheld = isIdle && deps.wallMs() - startedAtMs < LEAST_POLL_MS;
    if (isUnheld && !this.#provesFirst) await deps.sleep(LEAST_POLL_MS, this.#polling.signal);
    this.#provesFirst = false;
  }

  async #getUpdates(
    api: BotApi,
    poll: Parameters<BotApi['getUpdates']>[0],
  ): Promise<readonly TelegramUpdate[]> {
    this.#polling.signal.throwIfAborted();
    this.#poll = new AbortController();
    try {
      return await api.getUpdates(poll, this.#poll.signal);
    } finally {
      this.#poll = undefined;
    }
  }

  /** Plain `running` ends any trouble; held messages, which are degraded, would leave an account at rest. */
  #reportPolled(): void {
    const { health } = this.#receiver;
    if (health.last?.reason !== HOLDING.reason) health.report(RUNNING);
  }

  /** A send whose credential was refused meanwhile is answered by the next poll, not by this one. */
  #reportTaken(): void {
    const { health } = this.#receiver;
    if (health.last?.readiness === 'ready')
      health.report(this.#intake.isHolding ? HOLDING : RUNNING);
  }

  async #recover(error: unknown): Promise<void> {
    const wasDoubted = this.#isDoubted;
    this.#isDoubted = false;
    const { waitMs, refused } = wasDoubted
      ? { waitMs: DOUBTED_WAIT_MS, refused: undefined }
      : this.#recovery.failed(error);
    if (refused !== undefined) this.#firstVerdict.reject(refused);
    const { deps } = this.#receiver;
    if (!(error instanceof BotApiError) && !(error instanceof WebhookInTheWay)) {
      const text = createRedaction(deps.credential.trim())(String(error));
      deps.log('error', 'receiving met a defect', { error: text });
    }
    await deps.sleep(waitMs, this.#polling.signal).catch(() => undefined);
  }
}
