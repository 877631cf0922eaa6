/** The end of a process: with its code, also where a thread hangs in file work that nothing will end. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('cli: the end of the process');
const directory = mkdtempSync(join(tmpdir(), 'palyra-end-'));
test.after(() => rmSync(directory, { recursive: true }));

const GUARD = new URL('../../cli/process-guard.js', import.meta.url).href;

function run(script: string) {
  const text = `import { open } from 'node:fs/promises'; const { endProcess } = await import('${GUARD}'); ${script}`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', text], { timeout: 60_000 });
}

test('file work that ends is waited for, and the code is told', () => {
  const { status, signal } = run(`void open('${directory}', 'r'); await endProcess(74);`);
  assert.equal([status, signal], [74, null]);
});

test('file work that hangs ends with the process', () => {
  const path = join(directory, 'fifo');
  execFileSync('mkfifo', [path]);
  // Nobody ever writes: the thread that opens it hangs in the kernel, as one does on a disk that is gone.
  const { signal, error } = run(`void open('${path}', 'r'); await endProcess(74);`);
  assert.is(error, undefined);
  assert.is(signal, 'SIGKILL');
});

test.run();
