/** Each way a thread dies, met in each situation, each in a process of its own: runtime/SEMANTICS.md A, T, W, Y2. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runCell } from '../support/run-cell.ts';
import { faultScale } from '../support/scale.ts';
import { CELL_DEATHS, SITUATIONS } from './chaos-cell.ts';

const CELL = new URL('./chaos-cell', import.meta.url);
const CELL_DEADLINE_MS = 90_000;

const test = suite('the chaos matrix');

CELL_DEATHS.forEach((how, row) => {
  SITUATIONS.forEach((situation, column) => {
    // The small batch has each death once, and each situation twice or more.
    if (faultScale(1, 0) === 1 && row % SITUATIONS.length !== column) return;
    test(`A1 T1 T2 T3 W1 Y2 ${how} × ${situation}: asks end, downs come once, all are back, the process ends`, async () => {
      const { exit, errors } = await runCell({
        program: CELL,
        args: [how, situation],
        deadlineMs: CELL_DEADLINE_MS,
      });
      assert.is(exit, 0, errors);
    });
  });
});

test.run();
