/** How the echo connector "sends": a deterministic native id, or the fault that a marker in the text asks for. */
import { createHash } from 'node:crypto';
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';
import { PalyraError } from '../../proto/errors.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { DeliveryAttempt, HealthObservation } from '../connector.ts';
import { ECHO_MARKERS, type EchoMarker } from './markers.ts';

export interface EchoOutbound {
  /** The same delivery and chunk get the same native id, whatever the attempt. */
  deliver(attempt: DeliveryAttempt, signal: AbortSignal): Promise<DeliveryOutcome>;
}

export interface EchoOutboundDeps {
  readonly connectorId: string;
  /** Aborts when the connector closes. */
  readonly life: AbortSignal;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  health(observation: HealthObservation): void;
}

/** Pieces whose faults and ids are remembered; older ones may fail once more. */
const REMEMBERED_PIECES = 10_000;
const AUTH_RECOVERS_MS = 50;

export function createEchoOutbound(deps: EchoOutboundDeps): EchoOutbound {
  const delivered = new BoundedMap<string, string>(REMEMBERED_PIECES);
  const played = new BoundedMap<string, true>(REMEMBERED_PIECES);

  const play = async (found: EchoMarker, signal: AbortSignal): Promise<DeliveryOutcome> => {
    if (found.waits) await whenAborted(AbortSignal.any([signal, deps.life]));
    if (found.outcome === undefined) {
      throw new PalyraError('internal_error', `the text asked for a throw: ${found.marker}`);
    }
    if (found.outcome.type === 'auth') {
      deps.health({
        readiness: 'auth_failed',
        liveness: 'degraded',
        reason: found.outcome.reason,
      });
      if (found.once) recover(deps);
    }
    return found.outcome;
  };

  return {
    async deliver(attempt, signal) {
      const piece = `${attempt.deliveryId}\0${attempt.chunk}`;
      const known = delivered.get(piece);
      if (known !== undefined) return { type: 'delivered', nativeMessageId: known };
      if (signal.aborted || deps.life.aborted) return { type: 'transient', reason: 'aborted' };
      for (const found of ECHO_MARKERS) {
        if (!attempt.text.includes(found.marker)) continue;
        const key = `${found.marker}\0${piece}`;
        if (found.once && played.has(key)) continue;
        played.set(key, true);
        return play(found, signal);
      }
      const nativeMessageId = nativeIdOf(deps.connectorId, attempt);
      delivered.set(piece, nativeMessageId);
      return { type: 'delivered', nativeMessageId };
    },
  };
}

/** `echo-` and 32 hex digits of SHA-256 over the request's fields, the attempt's number left out. */
export function nativeIdOf(connectorId: string, attempt: DeliveryAttempt): string {
  const fields = [
    connectorId,
    attempt.deliveryId,
    String(attempt.chunk),
    attempt.conversationId,
    attempt.threadId,
    attempt.inReplyTo,
    attempt.text,
  ];
  const hash = createHash('sha256');
  for (const field of fields) hash.update(`${Buffer.byteLength(field)}:`).update(field);
  return `echo-${hash.digest('hex').slice(0, 32)}`;
}

function recover(deps: EchoOutboundDeps): void {
  const ready = () => deps.health({ readiness: 'ready', liveness: 'running', reason: '' });
  void deps.sleep(AUTH_RECOVERS_MS, deps.life).then(ready, ready);
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
