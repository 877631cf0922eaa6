/** The decisions of a supervisor as pure functions: who restarts, who goes along, how often, how late. */
import type { ExitCause } from '../actor.ts';
import type { Backoff, Restart, RestartLimit, Strategy, Supervision } from '../child-spec.ts';

export const DEFAULT_BACKOFF: Backoff = {
  minMs: 100,
  maxMs: 30_000,
  factor: 2,
  jitter: 0.2,
  resetAfterMs: 60_000,
};

/** Of an actor that spawns children and says nothing about them. */
export const DEFAULT_SUPERVISION: Supervision = {
  strategy: 'one_for_one',
  intensity: 5,
  periodMs: 30_000,
};

/** permanent: always · transient: unless it stopped in order · temporary: never. */
export function isRestarted(restart: Restart, cause: ExitCause): boolean {
  switch (restart) {
    case 'permanent':
      return true;
    case 'transient':
      return cause.kind !== 'stopped';
    case 'temporary':
      return false;
  }
}

/** A lost thread is charged to the actor that was running in it; its neighbours restart for nothing. */
export function isCharged(cause: ExitCause): boolean {
  return cause.kind !== 'thread-lost' || cause.culprit === true;
}

/** Of all children in start order, those that restart when `failed` has ended. */
export function affectedBy<T>(strategy: Strategy, children: readonly T[], failed: T): readonly T[] {
  const index = children.indexOf(failed);
  switch (strategy) {
    case 'one_for_one':
      return [failed];
    case 'rest_for_one':
      return index === -1 ? [] : children.slice(index);
    case 'one_for_all':
      return children;
  }
}

/** OTP's rule: the restart that makes more than `intensity` within `periodMs` is one too many. */
export function chargeRestart(
  history: readonly number[],
  nowMs: number,
  limits: RestartLimit,
): { readonly history: readonly number[]; readonly isExhausted: boolean } {
  const recent = history.filter((atMs) => nowMs - atMs < limits.periodMs);
  recent.push(nowMs);
  return { history: recent, isExhausted: recent.length > limits.intensity };
}

/** minMs, minMs·factor, … up to maxMs; up to `jitter` of it is taken away at random. `step` counts from 0. */
export function backoffDelayMs(backoff: Backoff, step: number, random: () => number): number {
  const full = Math.min(backoff.maxMs, backoff.minMs * backoff.factor ** step);
  return full * (1 - backoff.jitter * random());
}
