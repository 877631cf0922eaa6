/** kill -9 of the process that writes: what was acknowledged is there, nothing is there in parts, the lock does not outlive its holder. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { faultScale } from '../support/scale.ts';
import { checkAfterwards, runWriter } from './store-rounds.ts';

const test = suite('a store whose process is killed');

const ROUNDS = faultScale(5, 100);
const SEED = 7;

test(`no acknowledged commit is missing after kill -9 (${ROUNDS} rounds, seed ${SEED})`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-kill-'));
  try {
    let next = 1;
    let acknowledged = 0;
    for (let round = 1; round <= ROUNDS; round += 1) {
      const killAfter = 1 + ((round * 48_271 * SEED) % 40);
      let seen = 0;
      const end = await runWriter({
        directory,
        firstBatch: next,
        rowBytes: 400,
        onLine(line, child) {
          if (line.startsWith('ack ')) seen += 1;
          if (seen >= killAfter) child.kill('SIGKILL');
        },
      });
      assert.is(end.exit, 'SIGKILL', end.errors);
      assert.ok(end.lastAcknowledged >= next, `round ${round} acknowledged nothing`);
      acknowledged += end.lastAcknowledged - next + 1;
      next = await checkAfterwards(directory, end.lastAcknowledged);
    }
    console.log(`${acknowledged} acknowledged batches in ${ROUNDS} rounds`);
    assert.equal(
      readdirSync(directory).filter((name) => name.endsWith('.lock')),
      [],
      'locks of dead holders are cleared away',
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
