/** What the ledger decides without doing it: whether a request may wait, and what low disk space asks for. */

export interface IntakeLimits {
  /** Requests that may wait; a quarter of it is kept for what does not admit, so that work in progress can end. */
  readonly maxPending: number;
  readonly maxPendingBytes: number;
}

/** Whether one more request may wait. Settle and finish find room where accept no longer does. */
export function mayWait(
  waiting: { readonly requests: number; readonly bytes: number },
  admits: boolean,
  limits: IntakeLimits,
): boolean {
  const share = admits ? 0.75 : 1;
  return (
    waiting.requests < limits.maxPending * share && waiting.bytes < limits.maxPendingBytes * share
  );
}

/** About how long the queue needs to be worth another try: the batches before it, each as long as the last one took. */
export function retryAfterMs(waiting: number, batchSize: number, lastBatchMs: number): number {
  const estimateMs = Math.ceil(waiting / batchSize) * lastBatchMs;
  return Math.min(5_000, Math.max(100, Math.round(estimateMs)));
}

export interface Space {
  readonly admitting: boolean;
  /** `moving` while the file is being made or deleted. */
  readonly ballast: 'there' | 'gone' | 'moving';
}

export interface SpaceLimits {
  readonly lowFreeBytes: number;
  readonly ballastBytes: number;
}

export interface SpaceStep {
  readonly space: Space;
  readonly effect: 'none' | 'release_ballast' | 'make_ballast';
}

/**
 * Low space ends admission and gives up the ballast. It comes back only when there is room for the ballast and twice
 * the low mark beside it: the space that giving up the ballast freed must not count as recovery.
 */
export function watchSpace(space: Space, freeBytes: number, limits: SpaceLimits): SpaceStep {
  const { lowFreeBytes, ballastBytes } = limits;
  if (freeBytes < lowFreeBytes) {
    if (space.ballast !== 'there') {
      return { space: { ...space, admitting: false }, effect: 'none' };
    }
    return { space: { admitting: false, ballast: 'moving' }, effect: 'release_ballast' };
  }
  const needed = 2 * lowFreeBytes + (space.ballast === 'there' ? 0 : ballastBytes);
  if (freeBytes < needed) return { space, effect: 'none' };
  if (space.ballast !== 'gone') return { space: { ...space, admitting: true }, effect: 'none' };
  return { space: { admitting: true, ballast: 'moving' }, effect: 'make_ballast' };
}
