/** What time it is to retention: the wall clock, unless that one has jumped. Pure. */

/** One moment by both clocks. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export interface RetentionClock {
  /** Unix milliseconds, as of `monotonicMs`. */
  readonly atMs: number;
  readonly monotonicMs: number;
}

/**
 * A clock that is wrong for two hours takes less than a day from what is kept, which is what webhook ids are kept beyond
 * their promise; a machine that was off for a year is up to date after six weeks.
 */
const FASTEST = 10;
/** What a start believes of the time that passed since the clock was last kept. */
const START_STEP_MS = 3_600_000;

/** A process begins where the one before was; `keptMs` undefined: there was none, and the wall clock is all there is. */
export function startRetentionClock(keptMs: number | undefined, now: Moment): RetentionClock {
  const { wallMs, monotonicMs } = now;
  if (keptMs === undefined) return { atMs: wallMs, monotonicMs };
  return { atMs: towards(wallMs, keptMs, START_STEP_MS), monotonicMs };
}

/** Goes with the wall clock, and after a jump of it, in either direction, towards it at ten times the monotonic time that passes. */
export function followWall(clock: RetentionClock, { wallMs, monotonicMs }: Moment): RetentionClock {
  const stepMs = FASTEST * Math.max(0, monotonicMs - clock.monotonicMs);
  return { atMs: towards(wallMs, clock.atMs, stepMs), monotonicMs };
}

/** What a row's age is measured by: never later than the wall clock, so that a clock set back removes nothing. */
export function retentionTimeMs(clock: RetentionClock, { wallMs }: Moment): number {
  return Math.min(wallMs, clock.atMs);
}

function towards(goalMs: number, fromMs: number, stepMs: number): number {
  return Math.min(fromMs + stepMs, Math.max(fromMs - stepMs, goalMs));
}
