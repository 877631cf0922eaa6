/** The writer's lock: one living holder, whoever else starts at the same moment, and none of the dead. */
import { spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { acquireWriterLock, holdsWriterLock } from '../../../runtime/store/lmdb/writer-lock.ts';
import { codeOfRejection } from '../../contracts/store-samples.ts';
import { skipTest } from '../../support/skip.ts';
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
function startHolder(directory: string, prefix: readonly string[] = []) {
  const script = `${acquiring(directory)} setInterval(() => undefined, 1_000);`;
  const node = [process.execPath, '--input-type=module', '-e', script];
  const [program = '', ...args] = [...prefix, ...node];
  const child = spawn(program, args, {
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
    const [, pid, tid, started, space, boot, machine] = mine.replace('.lock', '').split('-');
    const other = (parts: readonly (string | undefined)[]) => {
      const name = `writer-${parts.join('-')}.lock`;
      writeFileSync(join(directory, name), '');
      return join(directory, name);
    };
    const otherBoot = 'deadbeef'.slice(0, boot?.length);
    other([pid, tid, `${Number(started) - 1}`, space, boot, machine]);
    other([pid, tid, started, space, otherBoot, machine]);
    // Without the machine, as earlier versions named it.
    other([pid, tid, `${Number(started) - 1}`, space, boot]);
    other([pid, tid, started, space, otherBoot]);
    (await acquireWriterLock(directory)).release();
    assert.equal(readdirSync(directory), []);
  }));

test('a holder of another process space is never robbed while it lives, also stopped, and its lock is free with its end', () =>
  inDirectory(async (directory) => {
    const holder = startHolder(directory);
    assert.is(await holder.said, 'held');
    const [mine = ''] = readdirSync(directory);
    // Under this name nobody here can look its process up.
    renameSync(join(directory, mine), join(directory, inSpace(mine, '1')));
    assert.is(holdsWriterLock(directory, holder.child.pid ?? 0), false, 'its path is another now');
    holder.child.kill('SIGSTOP');
    const longAgo = new Date(0);
    utimesSync(join(directory, inSpace(mine, '1')), longAgo, longAgo);
    assert.is(await codeOfRejection(() => acquireWriterLock(directory)), 'store_locked');
    holder.child.kill('SIGKILL');
    await holder.gone;
    const lock = await acquireWriterLock(directory);
    assert.is(readdirSync(directory).length, 1, 'the dead one is cleared away');
    lock.release();
  }));

test('a lock that nobody can judge is kept, and its end tells which file to delete', () =>
  inDirectory(async (directory) => {
    const { release } = await acquireWriterLock(directory);
    const [mine = ''] = readdirSync(directory);
    release();
    const name = inSpace(mine, '1');
    writeFileSync(join(directory, name), '');
    const error = await acquireWriterLock(directory).catch((refusal: unknown) => refusal);
    assert.is(codeOf(error), 'store_locked');
    assert.ok(messageOf(error).includes(name));
    assert.equal(readdirSync(directory), [name]);
    rmSync(join(directory, name));
    (await acquireWriterLock(directory)).release();
  }));

test('a holder on another machine that shares the volume is never robbed, and the refusal tells which file to delete', () =>
  inDirectory(async (directory) => {
    const { release } = await acquireWriterLock(directory);
    const [mine = ''] = readdirSync(directory);
    release();
    const parts = mine.replace('.lock', '').split('-');
    const name = `${[...parts.slice(0, 5), 'deadbeef', 'deadbeef'].join('-')}.lock`;
    // A socket that refuses everybody, as any does whose listener is under another kernel.
    const elsewhere = startHolder(directory);
    assert.is(await elsewhere.said, 'held');
    const [theirs = ''] = readdirSync(directory);
    elsewhere.child.kill('SIGKILL');
    await elsewhere.gone;
    renameSync(join(directory, theirs), join(directory, name));
    const shared = () => acquireWriterLock(directory, undefined, () => true);
    const error = await shared().catch((refusal: unknown) => refusal);
    assert.is(codeOf(error), 'store_locked');
    assert.match(messageOf(error), /of another machine.*delete that file/);
    assert.ok(messageOf(error).includes(name));
    assert.equal(readdirSync(directory), [name]);
    // Where no other machine can see it, it is one of an earlier boot that had another name.
    (await acquireWriterLock(directory)).release();
    assert.equal(readdirSync(directory), []);
    (await shared()).release();
  }));

const ISOLATED = ['-Urpf', '--mount-proc', '--kill-child'];
const REAL_SPACE =
  'the lock of another real process space is kept while its holder lives, and free afterwards';
if (spawnSync('unshare', [...ISOLATED, 'true']).status !== 0) {
  skipTest(test, REAL_SPACE, 'no process space can be made here; it runs where unshare -Urpf does');
} else {
  test(REAL_SPACE, () =>
    inDirectory(async (directory) => {
      const holder = startHolder(directory, ['unshare', ...ISOLATED]);
      assert.is(await holder.said, 'held');
      assert.is(holdsWriterLock(directory, 1), true);
      assert.is(await codeOfRejection(() => acquireWriterLock(directory)), 'store_locked');
      holder.child.kill('SIGKILL');
      for (;;) {
        const lock = await acquireWriterLock(directory).catch(codeOf);
        if (typeof lock !== 'string') return lock.release();
        assert.is(lock, 'store_locked');
      }
    }),
  );
}

test('a directory whose path is too long for a socket is held all the same', () =>
  inDirectory(async (parent) => {
    const directory = join(parent, 'd'.repeat(120));
    mkdirSync(directory);
    const lock = await acquireWriterLock(directory);
    const [mine = ''] = readdirSync(directory);
    renameSync(join(directory, mine), join(directory, inSpace(mine, '1')));
    assert.is(await codeOfRejection(() => acquireWriterLock(directory)), 'store_locked');
    renameSync(join(directory, inSpace(mine, '1')), join(directory, mine));
    lock.release();
    assert.equal(readdirSync(directory), []);
  }));

function inSpace(name: string, space: string): string {
  const parts = name.split('-');
  parts[4] = space;
  return parts.join('-');
}

test.run();
