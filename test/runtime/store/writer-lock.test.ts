/** The writer's lock: one living holder, whoever else starts at the same moment, and none of the dead. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { acquireWriterLock } from '../../../runtime/store/lmdb/writer-lock.ts';
import { codeOfRejection } from '../../contracts/store-samples.ts';
import { within } from '../../support/within.ts';

const test = suite("the store's writer lock");

const MODULE = new URL('../../../runtime/store/lmdb/writer-lock.js', import.meta.url).href;

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-lock-'));
  try {
    await within('the test', work(directory), 30_000);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const acquiring = (directory: string) => `
  import { acquireWriterLock } from ${JSON.stringify(MODULE)};
  await acquireWriterLock(${JSON.stringify(directory)}).then(
    () => console.log('held'), (error) => console.log(error.code));
`;

/** Says `held` and stays, or says why not and stays. */
function startHolder(directory: string) {
  const script = `${acquiring(directory)} setInterval(() => undefined, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  return { child, said, gone };
}

test('a held lock refuses others until it is released', () =>
  inDirectory(async (directory) => {
    const lock = await acquireWriterLock(directory);
    const second = () => acquireWriterLock(directory);
    assert.is(await codeOfRejection(second), 'store_locked');
    lock.release();
    assert.equal(readdirSync(directory), []);
    (await acquireWriterLock(directory)).release();
  }));

test('the lock of a killed process is taken over', () =>
  inDirectory(async (directory) => {
    const holder = startHolder(directory);
    assert.is(await holder.said, 'held');
    assert.is(await codeOfRejection(() => acquireWriterLock(directory)), 'store_locked');
    holder.child.kill('SIGKILL');
    await holder.gone;
    const lock = await acquireWriterLock(directory);
    assert.is(readdirSync(directory).length, 1, 'the dead one is cleared away');
    lock.release();
  }));

test('of many that start at once at most one holds, and afterwards one can', () =>
  inDirectory(async (directory) => {
    const holders = Array.from({ length: 4 }, () => startHolder(directory));
    try {
      const said = await Promise.all(holders.map((holder) => holder.said));
      assert.ok(said.filter((word) => word === 'held').length <= 1, said.join(' '));
      assert.ok(
        said.every((word) => word === 'held' || word === 'store_locked'),
        said.join(' '),
      );
    } finally {
      for (const { child } of holders) child.kill('SIGKILL');
    }
    await Promise.all(holders.map((holder) => holder.gone));
    (await acquireWriterLock(directory)).release();
  }));

test('a terminated thread does not leave its lock behind', () =>
  inDirectory(async (directory) => {
    const script = `
      import { parentPort } from 'node:worker_threads';
      import { acquireWriterLock } from ${JSON.stringify(MODULE)};
      await acquireWriterLock(${JSON.stringify(directory)});
      parentPort.postMessage('held');
      setInterval(() => undefined, 1_000);
    `;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`));
    const held = new Promise((resolve) => {
      worker.once('message', resolve);
    });
    assert.is(await held, 'held');
    assert.is(await codeOfRejection(() => acquireWriterLock(directory)), 'store_locked');
    await worker.terminate();
    (await acquireWriterLock(directory)).release();
  }));

test('the lock of an earlier boot, or of an id that another process has now, is no lock', () =>
  inDirectory(async (directory) => {
    const { release } = await acquireWriterLock(directory);
    const [mine = ''] = readdirSync(directory);
    release();
    const [, pid, tid, started, space, boot] = mine.replace('.lock', '').split('-');
    const other = (parts: readonly (string | undefined)[]) => {
      const name = `writer-${parts.join('-')}.lock`;
      writeFileSync(join(directory, name), '');
      return join(directory, name);
    };
    other([pid, tid, `${Number(started) - 1}`, space, boot]);
    other([pid, tid, started, space, 'deadbeef'.slice(0, boot?.length)]);
    (await acquireWriterLock(directory)).release();
    assert.equal(readdirSync(directory), []);
  }));

test('a holder in another container counts as living as long as it touches its file', () =>
  inDirectory(async (directory) => {
    const { release } = await acquireWriterLock(directory);
    const [mine = ''] = readdirSync(directory);
    release();
    const [, pid, tid, started, , boot] = mine.replace('.lock', '').split('-');
    const foreign = join(directory, `writer-${pid}-${tid}-${started}-1-${boot}.lock`);
    writeFileSync(foreign, '');
    assert.is(await codeOfRejection(() => acquireWriterLock(directory)), 'store_locked');
    const longAgo = new Date(Date.now() - 120_000);
    utimesSync(foreign, longAgo, longAgo);
    (await acquireWriterLock(directory)).release();
  }));

test.run();
