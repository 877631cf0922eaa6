/** Each way a thread dies, met in each situation, each in a process of its own: runtime/SEMANTICS.md A, T, W, Y2. */
import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { faultScale } from '../support/scale.ts';
import { CELL_DEATHS, SITUATIONS } from './chaos-cell.ts';

const CELL = fileURLToPath(new URL(`./chaos-cell${extname(import.meta.url)}`, import.meta.url));
const CELL_DEADLINE_MS = 90_000;

const test = suite('the chaos matrix');

CELL_DEATHS.forEach((how, row) => {
  SITUATIONS.forEach((situation, column) => {
    // The small batch has each death once, and each situation twice or more.
    if (faultScale(1, 0) === 1 && row % SITUATIONS.length !== column) return;
    test(`A1 T1 T2 T3 W1 Y2 ${how} × ${situation}: asks end, downs come once, all are back, the process ends`, async () => {
      const { exit, errors } = await runCell([how, situation]);
      assert.is(exit, 0, errors);
    });
  });
});

function runCell(
  args: readonly string[],
): Promise<{ readonly exit: number | string; readonly errors: string }> {
  return new Promise((resolve, reject) => {
    const cell = spawn(process.execPath, ['--enable-source-maps', CELL, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const deadline = setTimeout(() => cell.kill('SIGKILL'), CELL_DEADLINE_MS);
    let errors = '';
    cell.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = `${errors}${text}`.slice(-8_000);
    });
    cell.once('error', reject);
    cell.once('close', (code, signal) => {
      clearTimeout(deadline);
      resolve({ exit: code ?? signal ?? 'unknown', errors });
    });
  });
}

test.run();
