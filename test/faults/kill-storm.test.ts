/** Thread after thread of one system ends under load, and all that is promised holds: runtime/SEMANTICS.md M, A, W, T. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { REST_FLAGS } from '../support/at-rest.ts';
import { runCell } from '../support/run-cell.ts';
import { faultScale } from '../support/scale.ts';
import { seedOf } from './seeded.ts';

const PROGRAM = new URL('./kill-storm', import.meta.url);
const KILLS = faultScale(20, 1_000);
const SEED = seedOf(23);
const DEADLINE_MS = faultScale(300_000, 1_800_000);

const test = suite('the kill storm');

test(`M1 M2 A1 W1 T1 T2 T3 Y2 ${KILLS} kills: order, at most once, one end, one down, all back, nothing stays (seed ${SEED})`, async () => {
  const { exit, errors } = await runCell({
    program: PROGRAM,
    args: [String(KILLS), String(SEED)],
    nodeFlags: REST_FLAGS,
    deadlineMs: DEADLINE_MS,
  });
  assert.is(exit, 0, errors);
});

test.run();
