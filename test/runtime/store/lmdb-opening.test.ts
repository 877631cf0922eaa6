/** Opening the LMDB store: what it refuses, that a refusal changes nothing, and who may write. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { open } from 'lmdb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { openLmdbStore, type Store } from '../../../runtime/store/index.ts';
import { AT_MS, changes, codeOfRejection, commit, put } from '../../contracts/store-samples.ts';
import { within } from '../../support/within.ts';

const test = suite('opening the LMDB store');

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'palyra-open-'));
  try {
    await within('the test', work(join(root, 'store')), 30_000);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A store with one row in it, closed. */
async function fill(directory: string, formatVersion = 1): Promise<void> {
  const store = await openLmdbStore({ directory, formatVersion });
  await commit(store, { put: [put('a', { v: 1 })] });
  await store.close();
}

async function refusal(directory: string, options: { formatVersion?: number } = {}) {
  const before = digest(directory);
  try {
    await openLmdbStore({ directory, ...options });
  } catch (error) {
    assert.is(digest(directory), before, 'a refusal changes nothing');
    return { code: codeOf(error), message: messageOf(error) };
  }
  throw new Error('it was opened');
}

/** Of every file but the engine's table of its readers, which holds nothing that is kept. */
function digest(directory: string): string {
  const files = readdirSync(directory).filter((name) => name !== 'lock.mdb');
  const digests = files.map((name) => {
    const data = readFileSync(join(directory, name));
    return `${name} ${data.length} ${createHash('sha256').update(data).digest('hex')}`;
  });
  return digests.sort().join('\n');
}

function locksOf(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.lock'));
}

test('garbage in the place of the store is refused and left alone', () =>
  inDirectory(async (directory) => {
    mkdirSync(directory);
    for (const garbage of [
      Buffer.from('not a store'),
      Buffer.alloc(100_000, 0xa5),
      Buffer.alloc(8_192),
    ]) {
      writeFileSync(join(directory, 'data.mdb'), garbage);
      const { code, message } = await refusal(directory);
      assert.is(code, 'store_corrupt');
      assert.match(message, /Restore a backup|restore a backup/);
    }
  }));

test('half a store is refused and left alone', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory });
    for (let n = 0; n < 60; n += 1) {
      await commit(store, { put: [put(`k${n}`, { v: 1, text: 'x'.repeat(100_000) })] });
    }
    await store.close();
    truncateSync(join(directory, 'data.mdb'), 1_000_000);
    assert.is((await refusal(directory)).code, 'store_corrupt');
  }));

test('a journal with a changed byte is refused for writing before its log is moved, and can still be read', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory });
    await commit(store, { facts: [{ type: 'made', note: 'unchanged' }] });
    await store.close();
    const next = await openLmdbStore({ directory });
    for (let n = 0; n < 3; n += 1) await commit(next, { facts: [{ type: 'made', n }] });
    const copy = `${directory}-copy`;
    cpSync(directory, copy, { recursive: true, filter: (path) => !path.endsWith('.lock') });
    await next.close();
    const file = join(copy, 'data.mdb');
    const bytes = readFileSync(file);
    const meddled = bytes.toString('latin1').replaceAll('unchanged', 'uncHanged');
    writeFileSync(file, Buffer.from(meddled, 'latin1'));
    const { code, message } = await refusal(copy);
    assert.is(code, 'store_corrupt');
    assert.match(message, /entry 1: the facts do not match the hash.*Nothing was changed/);
    const reader = await openLmdbStore({ directory: copy, readOnly: true });
    assert.is(reader.health().journalSequence, 4);
    assert.is((await reader.verify({ whole: true })).ok, false);
    await reader.close();
  }));

test('an LMDB file of another program is refused and left alone', () =>
  inDirectory(async (directory) => {
    const database = open<string, string>({ path: directory, noSubdir: false });
    await database.put('theirs', 'data');
    await database.flushed;
    await database.close();
    assert.is((await refusal(directory)).code, 'store_corrupt');
  }));

test('a store of a newer format is refused, left alone, and still there for the newer program', () =>
  inDirectory(async (directory) => {
    await fill(directory, 7);
    const { code, message } = await refusal(directory, { formatVersion: 6 });
    assert.is(code, 'store_newer');
    assert.match(message, /format 7.*knows 6.*newer program/);
    const store = await openLmdbStore({ directory, formatVersion: 7 });
    assert.is(store.read('rows', 'a')?.revision, 1);
    await store.close();
  }));

test('a store of an older format is migrated after a backup, also when the first try died half way', () =>
  inDirectory(async (directory) => {
    await fill(directory, 1);
    assert.is((await refusal(directory, { formatVersion: 2 })).code, 'store_older');
    const migrate = async (store: Store, from: number) => {
      assert.is(from, 1);
      await commit(store, { put: [put('migrated', { v: 2 })] });
    };
    const dies = async (store: Store, from: number) => {
      await migrate(store, from);
      throw new Error('half way');
    };
    const half = () => openLmdbStore({ directory, formatVersion: 2, migrate: dies });
    assert.is(await codeOfRejection(half), 'store_failed');
    const store = await openLmdbStore({ directory, formatVersion: 2, migrate });
    assert.ok(store.read('rows', 'migrated'));
    await store.close();
    const copy = await openLmdbStore({ directory: `${directory}-format-1` });
    assert.is(copy.read('rows', 'migrated'), undefined);
    assert.ok(copy.read('rows', 'a'));
    await copy.close();
    const again = await openLmdbStore({ directory, formatVersion: 2 });
    await again.close();
  }));

test('reading alone makes nothing where there is no store', () =>
  inDirectory(async (directory) => {
    const opening = () => openLmdbStore({ directory, readOnly: true });
    assert.is(await codeOfRejection(opening), 'store_missing');
    assert.is(existsSync(directory), false);
  }));

test('a reader beside the writer sees its commits, takes no lock and writes nothing', () =>
  inDirectory(async (directory) => {
    const writer = await openLmdbStore({ directory });
    await commit(writer, { put: [put('a', { v: 1 })], facts: [{ type: 'made' }] });
    const script = `
      import { openLmdbStore } from ${JSON.stringify(moduleOf('index'))};
      const store = await openLmdbStore({ directory: ${JSON.stringify(directory)}, readOnly: true });
      const verdict = await store.verify({ whole: true });
      const refused = await store.commit([], 0).catch((error) => error.code);
      console.log(store.read('rows', 'a').revision, verdict.entries, refused);
      await store.close();
    `;
    assert.is(await runScript(script), '1 1 store_closed');
    assert.is(locksOf(directory).length, 1);
    await commit(writer, { put: [put('b', { v: 1 })] });
    await writer.close();
    assert.equal(locksOf(directory), []);
  }));

test('a second writer is refused, in this process and in another one', () =>
  inDirectory(async (directory) => {
    const writer = await openLmdbStore({ directory });
    const second = () => openLmdbStore({ directory });
    assert.is(await codeOfRejection(second), 'store_locked');
    const script = `
      import { openLmdbStore } from ${JSON.stringify(moduleOf('index'))};
      await openLmdbStore({ directory: ${JSON.stringify(directory)} }).then(
        () => console.log('opened'), (error) => console.log(error.code, error.message));
    `;
    assert.match(await runScript(script), new RegExp(`^store_locked .*process ${process.pid}`));
    await commit(writer, { put: [put('a', { v: 1 })] });
    await writer.close();
    const next = await openLmdbStore({ directory });
    assert.ok(next.read('rows', 'a'));
    await next.close();
  }));

test('importing the store loads no engine', async () => {
  const script = `
    await import(${JSON.stringify(moduleOf('index'))});
    console.log(process.report.getReport().sharedObjects.some((name) => /lmdb/.test(name)));
  `;
  assert.is(await runScript(script), 'false');
});

test('closing waits for the commit on its way', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory });
    const committed = store.commit([changes({ put: [put('a', { v: 1 })] })], AT_MS);
    await store.close();
    assert.equal(await committed, [{ ok: true, revision: 1 }]);
    const again = await openLmdbStore({ directory });
    assert.ok(again.read('rows', 'a'));
    await again.close();
  }));

test('a backup is a store of its own, whole or not there', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory });
    for (let n = 0; n < 20; n += 1) {
      await commit(store, { put: [put(`k${n}`, { v: n })], facts: [{ type: 'made', n }] });
    }
    const target = `${directory}-copy`;
    const busy = commit(store, { put: [put('during', { v: 1 })] });
    await store.backup(target);
    await busy;
    assert.is(await codeOfRejection(() => store.backup(target)), 'bad_option');
    const nowhere = () => store.backup(join(target, 'data.mdb', 'below-a-file'));
    assert.is(await codeOfRejection(nowhere), 'store_failed');
    await commit(store, { put: [put('after', { v: 1 })] });
    await store.close();
    assert.equal(readdirSync(target), ['data.mdb']);
    const copy = await openLmdbStore({ directory: target });
    assert.is(copy.scan({ table: 'rows', prefix: 'k', limit: 60 }).rows.length, 20);
    assert.is(copy.read('rows', 'after'), undefined);
    assert.is((await copy.verify({ whole: true })).ok, true);
    const [outcome] = await commit(copy, {});
    assert.ok(outcome?.ok && outcome.revision > 20, 'revisions go on');
    await copy.close();
  }));

function moduleOf(name: string): string {
  return new URL(`../../../runtime/store/${name}.js`, import.meta.url).href;
}

/** This thread goes on meanwhile: the script may ask it for something. */
async function runScript(script: string): Promise<string> {
  const args = ['--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
  return stdout.trim();
}

test.run();
