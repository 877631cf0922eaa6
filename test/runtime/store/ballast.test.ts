/** The ballast file: it takes real room, it is whole or not there, it can be made again. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createBallast } from '../../../runtime/store/index.ts';
import { codeOfRejection } from '../../contracts/store-samples.ts';

const test = suite('the ballast file');

const BYTES = 3 * 1_024 * 1_024 + 17;

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'palyra-ballast-'));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('it takes the room that it stands for, and gives it back', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'below', 'ballast');
    const ballast = createBallast({ path, bytes: BYTES });
    assert.is(ballast.exists(), false);
    await ballast.ensure();
    const { size, blocks } = statSync(path);
    assert.is(size, BYTES);
    assert.ok(blocks * 512 >= BYTES, 'no holes');
    assert.is(await ballast.release(), true);
    assert.is(ballast.exists(), false);
    assert.is(await ballast.release(), false);
    await ballast.ensure();
    assert.is(ballast.exists(), true);
    assert.equal(readdirSync(join(directory, 'below')), ['ballast']);
  }));

test('a whole one is left as it is, a part of one is made whole', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'ballast');
    const ballast = createBallast({ path, bytes: BYTES });
    await ballast.ensure();
    const { ino } = statSync(path);
    await ballast.ensure();
    assert.is(statSync(path).ino, ino);
    writeFileSync(path, 'short');
    await ballast.ensure();
    assert.is(statSync(path).size, BYTES);
  }));

test('where it cannot be made the refusal has a code', () =>
  inDirectory(async (directory) => {
    writeFileSync(join(directory, 'file'), '');
    const ballast = createBallast({ path: join(directory, 'file', 'ballast'), bytes: BYTES });
    assert.is(await codeOfRejection(() => ballast.ensure()), 'store_failed');
  }));

test.run();
