/** The clock of retention under any wall clock: with it while that one goes evenly, never far from it nor far ahead of real time. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  followWall,
  retentionTimeMs,
  startRetentionClock,
} from '../../../actors/ledger/retention-clock.ts';

const test = suite('ledger: the clock of retention');
const NOON_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;

const step = fc.record({
  passedMs: fc.integer({ min: 0, max: DAY_MS }),
  jumpMs: fc.oneof(fc.constant(0), fc.integer({ min: -10 * YEAR_MS, max: 80 * YEAR_MS })),
});

test('it is never later than the wall clock, nor than ten times the real time since the start', () => {
  void fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      let now = { wallMs: NOON_MS, monotonicMs: 0 };
      let clock = startRetentionClock(NOON_MS, now);
      for (const { passedMs, jumpMs } of steps) {
        const monotonicMs = now.monotonicMs + passedMs;
        now = { wallMs: now.wallMs + passedMs + jumpMs, monotonicMs };
        const before = clock.atMs;
        clock = followWall(clock, now);
        assert.ok(Math.abs(clock.atMs - before) <= 10 * passedMs);
        const timeMs = retentionTimeMs(clock, now);
        assert.ok(timeMs <= now.wallMs);
        assert.ok(timeMs <= NOON_MS + 10 * monotonicMs);
      }
    }),
  );
});

test('it is the wall clock while that one does not jump, also where it is slewed', () => {
  void fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: DAY_MS }), { maxLength: 50 }),
      fc.double({ min: 0.5, max: 2, noNaN: true }),
      (steps, rate) => {
        let now = { wallMs: NOON_MS, monotonicMs: 0 };
        let clock = startRetentionClock(undefined, now);
        for (const passedMs of steps) {
          const monotonicMs = now.monotonicMs + passedMs;
          now = { wallMs: now.wallMs + passedMs * rate, monotonicMs };
          clock = followWall(clock, now);
          assert.is(retentionTimeMs(clock, now), now.wallMs);
        }
      },
    ),
  );
});

test('a start goes an hour at most from where the process before was', () => {
  const at = (wallMs: number) => startRetentionClock(NOON_MS, { wallMs, monotonicMs: 5 }).atMs;
  assert.is(at(NOON_MS + 60_000), NOON_MS + 60_000);
  assert.is(at(NOON_MS + 70 * YEAR_MS), NOON_MS + HOUR_MS);
  assert.is(at(NOON_MS - 70 * YEAR_MS), NOON_MS - HOUR_MS);
});

test('a machine that was off for a year is up to date after six weeks, and a clock that came back right at once', () => {
  let now = { wallMs: NOON_MS + YEAR_MS, monotonicMs: 0 };
  let clock = startRetentionClock(NOON_MS, now);
  now = { wallMs: now.wallMs + 42 * DAY_MS, monotonicMs: 42 * DAY_MS };
  clock = followWall(clock, now);
  assert.is(retentionTimeMs(clock, now), now.wallMs);
  now = { wallMs: now.wallMs - YEAR_MS, monotonicMs: now.monotonicMs + 1 };
  clock = followWall(clock, now);
  assert.is(retentionTimeMs(clock, now), now.wallMs);
});

test.run();
