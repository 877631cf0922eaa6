/** Offers one message to the gateway until it is taken, or its conversation is full: nothing else is offered meanwhile. */
import type { InboundOffer } from '../../proto/channel-messages.ts';
import {
  type Accepted,
  CONVERSATION_BUSY,
  type ConnectorDeps,
  type ConnectorPorts,
  type Refused,
} from '../connector.ts';
import type { HealthReporter } from '../health-reporter.ts';

/** The gateway's side is gone; nobody would take another message. */
export class ReceiverGone extends Error {
  readonly code = 'receiver_gone';
}

/**
 * `taken`: durable, or never to be taken and counted. `full`: its conversation has no room, which is nobody else's affair.
 * `stopped`: receiving ended before it was taken.
 */
export type Offered =
  | { readonly type: 'taken' }
  | { readonly type: 'full'; readonly retryAfterMs: number }
  | { readonly type: 'stopped' };

export interface Offerer {
  /** Rejects with `ReceiverGone`. */
  offer(offer: InboundOffer): Promise<Offered>;
  ignore(reason: string): void;
}

export interface OffererDeps {
  readonly ports: ConnectorPorts;
  readonly health: HealthReporter;
  readonly deps: ConnectorDeps;
}

/** The gateway refuses these for what they are: offered again they would block the account for ever. */
const FINAL_CODES: readonly string[] = ['validation_error', 'malformed', 'payload_too_large'];
const FAILED_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/** `polling` ends the waits between offers, `offering` the offer under way. */
export function createOfferer(
  { ports, health, deps }: OffererDeps,
  polling: AbortSignal,
  offering: AbortSignal,
): Offerer {
  let ignored = 0;
  let isRefused = false;

  const ignore = (reason: string) => {
    ignored += 1;
    ports.ignored?.(reason);
    deps.log('debug', 'telegram update ignored', { reason, ignored });
  };

  const offerOnce = async (offer: InboundOffer): Promise<Accepted | Refused | 'never'> => {
    try {
      return await unlessAborted(ports.accept(offer, offering), offering);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'stale_incarnation') throw new ReceiverGone(code);
      if (FINAL_CODES.includes(code)) {
        deps.log('warn', 'a message was refused for ever', { nativeId: offer.nativeId, code });
        return 'never';
      }
      return { accepted: false, retryAfterMs: FAILED_RETRY_MS, reason: code };
    }
  };

  const taken = (): Offered => {
    if (isRefused) health.report({ readiness: 'ready', liveness: 'running', reason: '' });
    isRefused = false;
    return { type: 'taken' };
  };

  return {
    ignore,
    async offer(offer) {
      while (!polling.aborted) {
        const reply = await offerOnce(offer);
        if (reply === 'never') {
          ignore('refused');
          return taken();
        }
        if (reply.accepted) return taken();
        const retryAfterMs = Math.min(Math.max(reply.retryAfterMs, 1), MAX_RETRY_MS);
        if (reply.reason === CONVERSATION_BUSY) return { type: 'full', retryAfterMs };
        isRefused = true;
        const reason = `the gateway takes no messages now (${reply.reason})`;
        health.report({ readiness: 'ready', liveness: 'degraded', reason });
        await deps.sleep(retryAfterMs, polling).catch(() => undefined);
      }
      return { type: 'stopped' };
    },
  };
}

/** What comes after the abort is nobody's: the platform keeps the message and gives it again. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(Object.assign(new Error('aborted'), { code: 'aborted' }));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return 'uncoded';
  return typeof error.code === 'string' ? error.code : 'uncoded';
}
