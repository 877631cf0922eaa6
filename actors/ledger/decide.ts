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

export interface Room {
  /** On the file system. */
  readonly freeBytes: number;
  /** In the store's own file, which does not grow before they are written again. */
  readonly reusableBytes: number;
}

/**
 * Low space ends admission and gives up the ballast. Admission comes back when there is room for the ballast and twice the low
 * mark beside it: the space that giving up the ballast freed must not count as recovery. What the store can write again is
 * room as well, as its file never becomes smaller; but the ballast, and the low mark for all else, stand on the file system.
 */
export function watchSpace(space: Space, room: Room, limits: SpaceLimits): SpaceStep {
  const { lowFreeBytes, ballastBytes } = limits;
  const { freeBytes } = room;
  if (freeBytes < lowFreeBytes) {
    if (space.ballast !== 'there') {
      return { space: { ...space, admitting: false }, effect: 'none' };
    }
    return { space: { admitting: false, ballast: 'moving' }, effect: 'release_ballast' };
  }
  const reserve = space.ballast === 'there' ? 0 : ballastBytes;
  const admitting = mayAdmit(space, freeBytes + room.reusableBytes - reserve, lowFreeBytes);
  if (space.ballast !== 'gone' || freeBytes < 2 * lowFreeBytes + ballastBytes) {
    return { space: { ...space, admitting }, effect: 'none' };
  }
  return { space: { admitting, ballast: 'moving' }, effect: 'make_ballast' };
}

/** While the ballast moves, its room is nobody's for a moment: that ends no admission. */
function mayAdmit(space: Space, spareBytes: number, lowFreeBytes: number): boolean {
  if (spareBytes >= 2 * lowFreeBytes) return true;
  if (space.ballast === 'gone' && spareBytes < lowFreeBytes) return false;
  return space.admitting;
}
