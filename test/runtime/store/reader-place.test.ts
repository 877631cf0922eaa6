/** Where a reader of a store has its lock file: the first directory that takes one, or an error that names them all. */
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { EXIT, toCliError } from '../../../cli/exit-codes.ts';
import { createReaderPlace } from '../../../runtime/store/lmdb/reader-place.ts';

const test = suite('the place of a reader');
const root = mkdtempSync(join(tmpdir(), 'palyra-place-'));
const data = join(root, 'store', 'data.mdb');
test.after(() => rmSync(root, { recursive: true }));

test('the first directory that takes one has the data file and room for a lock file', () => {
  const parent = join(root, 'second');
  mkdirSync(parent);
  const place = createReaderPlace([join(root, 'absent'), parent, root], data);
  assert.is(dirname(place), parent);
  assert.is(readlinkSync(join(place, 'data.mdb')), data);
  assert.is(statSync(place).mode & 0o777, 0o700);
  const lock = statSync(join(place, 'lock.mdb'));
  assert.is(lock.mode & 0o777, 0o600);
  assert.ok(lock.size >= 8_272, 'as much as LMDB maps');
});

test('where none takes one the error names each with its reason, and nothing stays', () => {
  const absent = [join(root, 'a'), join(root, 'b')];
  const before = readdirSync(root);
  let thrown: unknown;
  try {
    createReaderPlace(absent, data);
  } catch (error) {
    thrown = error;
  }
  const { code, exitCode, message, next } = toCliError(thrown);
  assert.equal([code, exitCode], ['no_temp_directory', EXIT.refused]);
  for (const parent of absent) assert.ok(message.includes(`${parent} (ENOENT)`), message);
  assert.match(next, 'TMPDIR');
  assert.equal(readdirSync(root), before);
});

test.run();
