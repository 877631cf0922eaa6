/** What the log says of one account's health: a line for each change, at most one a second. */
import { type ConnectorState, statusOf } from './connector-state.ts';
import type { ConnectorSelf } from './lifecycle.ts';
import type { ConnectorStatus } from './protocol.ts';
import { isUp } from './views.ts';

/** A connector that says the opposite each millisecond must not fill the log. */
const LEAST_BETWEEN_MS = 1_000;

/** `status` is the account's now. What changes within a second of a line is one line at its end, with their number. */
export function noteHealth(
  state: ConnectorState,
  self: ConnectorSelf,
  status: ConnectorStatus,
): void {
  // A try that has begun is no news: how it ends is.
  if (state.phase === 'opening' && status.liveness === 'starting') return;
  const { told } = state;
  const health = `${status.readiness} ${status.liveness} ${status.reason}`;
  if (health === told.health) return;
  told.health = health;
  told.changes += 1;
  if (told.changes > 1) return;
  const waitMs = told.atMs + LEAST_BETWEEN_MS - self.clock.monotonicMs();
  if (waitMs > 0) self.after('health-line', waitMs, 'sayHealth', null);
  else sayHealth(state, self);
}

export function sayHealth(state: ConnectorState, self: ConnectorSelf): void {
  const { told, detail } = state;
  const { changes } = told;
  const nowMs = self.clock.monotonicMs();
  told.changes = 0;
  told.atMs = nowMs;
  // That an account goes is no trouble of it.
  if (!state.isReceiving) return;
  const status = statusOf(state);
  const { connectorId, readiness, liveness, reason } = status;
  const againAtMs = state.phase === 'resting' ? state.reopenAtMs : (state.limit?.untilMs ?? 0);
  state.deps.log(
    isUp(status) ? 'info' : 'warn',
    isUp(status) ? 'account is up' : 'account is not up',
    {
      connector: connectorId,
      readiness,
      liveness,
      reason,
      ...(detail === '' ? {} : { detail }),
      ...(againAtMs > nowMs ? { retryInMs: Math.ceil(againAtMs - nowMs) } : {}),
      ...(changes > 1 ? { changes } : {}),
    },
  );
}
