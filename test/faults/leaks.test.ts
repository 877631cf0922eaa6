/** What came and went leaves nothing behind: no handle, no thread, no memory. runtime/SEMANTICS.md Y2. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { REST_FLAGS } from '../support/at-rest.ts';
import { runCell } from '../support/run-cell.ts';
import { faultScale } from '../support/scale.ts';
import type { LeakCheck } from './leak-check.ts';

const PROGRAM = new URL('./leak-check', import.meta.url);
const DEADLINE_MS = 1_800_000;
const CHECKS: readonly (readonly [LeakCheck, number])[] = [
  ['systems', faultScale(5, 200)],
  ['actors', faultScale(1_000, 10_000)],
  ['restarts', faultScale(10, 500)],
];

const test = suite('leaks');

for (const [what, count] of CHECKS) {
  test(`Y2 ${count} ${what} later the handles are the same, and the memory within 2 %`, async () => {
    const { exit, errors } = await runCell({
      program: PROGRAM,
      args: [what, String(count)],
      nodeFlags: REST_FLAGS,
      deadlineMs: DEADLINE_MS,
    });
    assert.is(exit, 0, errors);
  });
}

test.run();
