/** kill -9 of a process with reminders: each one that was set comes, in that life or in a later one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { faultScale } from '../support/scale.ts';
import { runLines } from './run-lines.ts';

const test = suite('reminders of a process that is killed');

const PROCESS = new URL('./reminders-process.js', import.meta.url);
const ROUNDS = faultScale(4, 60);
const SEED = 7;
const A_LIFE = 1_000;

test(`D1 D2 each one that was set is heard after kill -9 (${ROUNDS} rounds, seed ${SEED})`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-reminders-'));
  const set = new Set<string>();
  const heard = new Map<string, number>();
  const read = (line: string) => {
    const [what, name = ''] = line.split(' ');
    if (what === 'set') set.add(name);
    if (what === 'heard') heard.set(name, (heard.get(name) ?? 0) + 1);
  };
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const killAfter = 1 + ((round * 48_271 * SEED) % 120);
      let seen = 0;
      const end = await runLines(PROCESS, [directory, String(round * A_LIFE)], (line, child) => {
        read(line);
        seen += 1;
        if (seen > killAfter) child.kill('SIGKILL');
      });
      assert.is(end.exit, 'SIGKILL', end.errors);
    }
    // It ends when the store has none left.
    const end = await runLines(PROCESS, [directory, '-1'], read);
    assert.is(end.exit, 0, end.errors);
    assert.ok(set.size > ROUNDS * 3, `${set.size} were set`);
    for (const name of set) assert.ok(heard.has(name), `${name} is lost`);
    const times = [...heard.values()];
    console.log(
      `${set.size} set, ${times.length} heard, ${times.filter((n) => n > 1).length} more than once`,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
