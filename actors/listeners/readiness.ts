/** Whether the gateway may be sent traffic, from what the last pings said. Pure. */
import type { Readiness } from '../../transports/http/gateway-ports.ts';

export interface Pulse {
  readonly name: string;
  /** Without it nothing can be accepted. */
  readonly isVital: boolean;
  lastAnswerAtMs: number;
}

export interface Vitals {
  readonly isUnready: boolean;
  readonly isStopping: boolean;
  readonly isTokenKnown: boolean;
  readonly isDirectoryKnown: boolean;
  /** False while the disk is nearly full. */
  readonly isAdmitting: boolean;
  /** For how long the disk has had a commit without an answer, as the ledger last said. */
  readonly commitAgeMs: number;
  /** True while an account is not up, as the channels last saw it. */
  readonly hasConnectorTrouble: boolean;
  readonly pulses: readonly Pulse[];
}

// Three pings: one late answer under load is no reason to take the gateway out of service.
const SILENT_AFTER_MS = 4_000;

/** A disk that takes so long takes nothing in a sender's time. */
const STALLED_AFTER_MS = 5_000;

export function readinessOf(vitals: Vitals, nowMs: number): Readiness {
  const silent = vitals.pulses.filter(
    ({ lastAnswerAtMs }) => nowMs - lastAnswerAtMs > SILENT_AFTER_MS,
  );
  const failing = silent.filter(({ isVital }) => isVital).map(({ name }) => name);
  if (vitals.commitAgeMs >= STALLED_AFTER_MS) failing.push('store_stalled');
  if (vitals.isUnready || vitals.isStopping) failing.push('stopping');
  const degraded = silent.filter(({ isVital }) => !isVital).map(({ name }) => name);
  if (!vitals.isTokenKnown) degraded.push('admin_token');
  if (!vitals.isDirectoryKnown) degraded.push('webhooks');
  if (!vitals.isAdmitting) degraded.push('storage_low');
  // Which ones is for those who may read the channels.
  if (vitals.hasConnectorTrouble) degraded.push('connectors');
  return { ready: failing.length === 0, failing, degraded };
}
