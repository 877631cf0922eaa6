/** The commit log: what is durable in it is there after a crash at any moment, and what was torn is there in full or not at all. */
import { spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf, messageOf } from '../../../runtime/errors.ts';
import { FIRST_LINK, type Link } from '../../../runtime/store/head.ts';
import { openLmdbStore, type Store } from '../../../runtime/store/index.ts';
import { LOG_FILES } from '../../../runtime/store/lmdb/commit-log.ts';
import { LogFile } from '../../../runtime/store/lmdb/log-file.ts';
import { BLOCK_BYTES, readRecord } from '../../../runtime/store/lmdb/log-record.ts';
import { readLog, Unmoved } from '../../../runtime/store/lmdb/log-recovery.ts';
import { codeOfRejection, commit, expected, put } from '../../contracts/store-samples.ts';
import { within } from '../../support/within.ts';

const test = suite('the commit log');

const LOG_BYTES = 32_768;
const SECTOR_BYTES = 512;

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'palyra-log-'));
  try {
    await within('the test', work(join(root, 'store')), 60_000);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** As a process leaves them that ends here: without its lock. */
function copyFiles(from: string, to: string): void {
  mkdirSync(to);
  for (const name of ['data.mdb', ...LOG_FILES]) cpSync(join(from, name), join(to, name));
}

/**
 * Commit `n`: a row of its own, a counter that every commit writes, and the end of an earlier row. Of these rows, and of one
 * that is never to be seen, its record has an earlier write too.
 */
async function commitOne(store: Store, n: number, text: string): Promise<void> {
  const earlier = n > 3 && n % 3 === 0 ? keyOf(n - 3) : 'k';
  const stale = { v: 0, text: 'stale' };
  const outcomes = await commit(
    store,
    {
      put: [put('count', stale), put(earlier, stale)],
      remove: [keyOf(n), earlier].map((key) => ({ table: 'rows', key })),
    },
    {
      expect: [expected(keyOf(n), 0), expected(earlier, 0)],
      put: [put(keyOf(n), { v: n, text }), put('count', { v: n })],
      facts: [{ type: 'made', n }],
    },
  );
  assert.ok(
    outcomes.every(({ ok }) => ok),
    JSON.stringify(outcomes),
  );
}

function keyOf(n: number): string {
  return `k${String(n).padStart(5, '0')}`;
}

/** Commits 1 to the counter and nothing else, in full. Gives the counter. */
async function checkWhole(store: Store): Promise<number> {
  const last = store.read('rows', 'count')?.row.v ?? 0;
  const left: string[] = [];
  for (let n = 1; n <= last; n += 1) {
    const isRemoved = n % 3 === 0 && n + 3 <= last;
    if (!isRemoved) left.push(keyOf(n));
  }
  assert.equal(
    readAll((after) => {
      const { keys, next } = store.keys({ table: 'rows', prefix: 'k', limit: 100, after });
      return { found: keys, next };
    }),
    left,
  );
  assert.equal(
    readAll((after) => {
      const query = { table: 'rows', prefix: 'k', limit: 50, after, reverse: true };
      const { rows, next } = store.scan(query);
      return { found: rows.map(({ row }) => keyOf(row.v)), next };
    }),
    [...left].reverse(),
  );
  const verdict = await store.verify({ whole: true });
  assert.ok(verdict.ok, JSON.stringify(verdict));
  assert.is(verdict.ok && verdict.entries, last);
  return last;
}

/** Page after page: one ends also where its slice of time does. */
function readAll(
  page: (after: string) => { readonly found: readonly string[]; readonly next: string },
): readonly string[] {
  const all: string[] = [];
  for (let after = ''; ; ) {
    const { found, next } = page(after);
    all.push(...found);
    if (next === '') return all;
    after = next;
  }
}

test('the files of a process that was killed at any moment have every commit that was answered', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    let answered = 0;
    for (let n = 1; n <= 240; n += 1) {
      const done = commitOne(store, n, 'x'.repeat((n * 7_919) % 9_000));
      const copy = `${directory}-${n}`;
      // Before, while and after the commit is on its way; a move to the database may be too.
      if (n % 2 === 0) await done;
      if (n % 8 < 2) copyFiles(directory, copy);
      await done;
      const least = n % 2 === 0 ? n : answered;
      answered = n;
      if (!existsSync(copy)) continue;
      for (const name of ['reader', 'writer']) {
        const found = await openLmdbStore({ directory: copy, readOnly: name === 'reader' });
        const last = await checkWhole(found);
        assert.ok(last >= least && last <= n, `${name}: ${last} of ${least} to ${n}`);
        await found.close();
      }
      rmSync(copy, { recursive: true });
    }
    await store.close();
    const again = await openLmdbStore({ directory });
    assert.is(await checkWhole(again), 240);
    await again.close();
  }));

test('a power cut in an append leaves all of it or nothing, whichever sectors were written', () =>
  inDirectory(async (directory) => {
    const random = (seed: number) => (Math.imul(seed, 2_654_435_761) >>> 0) / 2 ** 32;
    const ends = { before: 0, after: 0 };
    const store = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    for (let n = 1; n <= 60; n += 1) {
      const before = readLog(directory);
      const copy = `${directory}-${n}`;
      copyFiles(directory, copy);
      await commitOne(store, n, 'y'.repeat((n * 104_729) % 7_000));
      const after = readLog(directory);
      for (let seed = 0; seed < 4; seed += 1) {
        const crash = `${copy}-${seed}`;
        copyFiles(copy, crash);
        // An append goes over old records only once the database has them.
        cpSync(join(directory, 'data.mdb'), join(crash, 'data.mdb'));
        LOG_FILES.forEach((name, file) => {
          const torn = Buffer.alloc(after[file]?.length ?? 0);
          before[file]?.copy(torn);
          for (let at = 0; at < torn.length; at += SECTOR_BYTES) {
            const isWritten = seed === 0 || random(n * 1_000 + seed * 97 + at) < 0.7;
            if (isWritten) after[file]?.copy(torn, at, at, at + SECTOR_BYTES);
          }
          writeFileSync(join(crash, name), torn);
        });
        const found = await openLmdbStore({ directory: crash });
        const last = await checkWhole(found);
        assert.ok(last === n - 1 || last === n, `${last} after a cut in commit ${n}`);
        ends[last === n ? 'after' : 'before'] += 1;
        await commitOne(found, last + 1, 'goes on');
        assert.is(await checkWhole(found), last + 1);
        await found.close();
        rmSync(crash, { recursive: true });
      }
      rmSync(copy, { recursive: true });
    }
    await store.close();
    assert.ok(ends.before > 60 && ends.after >= 60, JSON.stringify(ends));
  }));

test('a commit that is missing among later ones is no torn one: refused, and nothing is changed', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory });
    for (let n = 1; n <= 9; n += 1) await commitOne(store, n, 'z'.repeat(5_000));
    const copy = `${directory}-copy`;
    copyFiles(directory, copy);
    await store.close();
    const path = join(copy, LOG_FILES[0]);
    const whole = readFileSync(path);
    const ends: number[] = [];
    for (let record = readRecord(whole, 0); record; record = readRecord(whole, record.end)) {
      ends.push(record.end);
    }
    assert.is(ends.length, 9);
    for (const at of [0, ends[0] ?? 0, (ends[3] ?? 0) + 300]) {
      const damaged = Buffer.from(whole);
      damaged.fill(0x55, at, at + SECTOR_BYTES);
      writeFileSync(path, damaged);
      for (const readOnly of [false, true]) {
        const error = await openLmdbStore({ directory: copy, readOnly }).catch((reason) => reason);
        assert.is(codeOf(error), 'store_corrupt');
        assert.match(messageOf(error), /Nothing was changed\. Restore a backup/);
      }
      assert.ok(readFileSync(path).equals(damaged));
    }
    writeFileSync(path, whole);
    const again = await openLmdbStore({ directory: copy });
    assert.is(await checkWhole(again), 9);
    await again.close();
  }));

test('the log of another time than the database is refused', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    await commitOne(store, 1, 'first');
    const backup = `${directory}-backup`;
    await store.backup(backup);
    for (let n = 2; n <= 60; n += 1) await commitOne(store, n, 'w'.repeat(4_000));
    copyFiles(directory, `${directory}-killed`);
    await store.close();
    // As a backup laid into the directory of the store that it is to replace.
    cpSync(join(backup, 'data.mdb'), join(`${directory}-killed`, 'data.mdb'));
    const opening = openLmdbStore({ directory: `${directory}-killed` });
    const error = await opening.catch((reason: unknown) => reason);
    assert.is(codeOf(error), 'store_corrupt');
    assert.match(messageOf(error), /commits-0\.log/);
    for (const name of LOG_FILES) rmSync(join(`${directory}-killed`, name));
    const restored = await openLmdbStore({ directory: `${directory}-killed` });
    assert.is(await checkWhole(restored), 1);
    await restored.close();
  }));

test('the log of another store is refused, though its numbers fit', () =>
  inDirectory(async (directory) => {
    const [a, b] = [`${directory}-a`, `${directory}-b`];
    const ours = await openLmdbStore({ directory: a });
    const theirs = await openLmdbStore({ directory: b });
    for (let n = 1; n <= 3; n += 1) await commitOne(ours, n, 'ours');
    await ours.close();
    for (let n = 1; n <= 6; n += 1) await commitOne(theirs, n, `theirs ${n}`);
    // One of a time when the databases differ: the journals are over other facts.
    await commit(theirs, { facts: [{ type: 'made elsewhere' }] });
    for (const name of LOG_FILES) cpSync(join(b, name), join(a, name));
    await theirs.close();
    const again = await openLmdbStore({ directory: `${directory}-c` });
    await commit(again, { facts: [{ type: 'another beginning' }] });
    await again.close();
    for (const name of LOG_FILES) cpSync(join(a, name), join(`${directory}-c`, name));
    const opening = () => openLmdbStore({ directory: `${directory}-c` });
    assert.is(await codeOfRejection(opening), 'store_corrupt');
  }));

test('a write that hung in a dead process does not reach the log of its successor', () =>
  inDirectory(async (directory) => {
    const first = await openLmdbStore({ directory });
    await commitOne(first, 1, 'first');
    const hung = openSync(join(directory, LOG_FILES[0]), 'r+');
    await first.close();
    const second = await openLmdbStore({ directory });
    await commitOne(second, 2, 'second');
    const copy = `${directory}-copy`;
    writeSync(hung, Buffer.alloc(8_192, 0x5a), 0, 8_192, 0);
    closeSync(hung);
    copyFiles(directory, copy);
    await second.close();
    const found = await openLmdbStore({ directory: copy });
    assert.is(await checkWhole(found), 2);
    await found.close();
  }));

test('a commit larger than a file, and one of the longest key, are taken and found again', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    const long = 'ž'.repeat(950);
    const text = 'v'.repeat(200_000);
    for (let n = 1; n <= 4; n += 1) {
      await commit(store, { put: [put(`big${n}`, { v: n, text }), put(long, { v: n })] });
    }
    const copy = `${directory}-copy`;
    copyFiles(directory, copy);
    await store.close();
    const found = await openLmdbStore({ directory: copy });
    for (let n = 1; n <= 4; n += 1) assert.is(found.read('rows', `big${n}`)?.row.text, text);
    await commitOne(found, 1, 'small');
    assert.is(found.read('rows', long)?.row.v, 4);
    await found.close();
  }));

test('a row that one commit writes many times is in the log once', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory });
    const rowOf = (n: number) => put('a', { v: 1, text: String(n).padStart(15_000, '.') });
    const sets = Array.from({ length: 512 }, (_, n) => ({
      expect: [expected('a', n)],
      put: [rowOf(n)],
    }));
    assert.is((await commit(store, ...sets)).filter(({ ok }) => ok).length, 512);
    assert.ok((readLog(directory)[0]?.length ?? 0) < 2 * 15_000 + BLOCK_BYTES);
    const copy = `${directory}-copy`;
    copyFiles(directory, copy);
    await store.close();
    for (const place of [directory, copy]) {
      const found = await openLmdbStore({ directory: place });
      assert.equal(found.read('rows', 'a'), { revision: 512, row: rowOf(511).row });
      await found.close();
    }
  }));

test('who reads beside a writer sees a whole store at every moment', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    await commitOne(store, 1, 'first');
    let isOver = false;
    const writing = (async () => {
      for (let n = 2; !isOver; n += 1) await commitOne(store, n, 'u'.repeat(3_000));
    })();
    const module = new URL('../../../runtime/store/index.js', import.meta.url).href;
    const script = `
      import { openLmdbStore } from ${JSON.stringify(module)};
      const seen = [];
      for (let n = 0; n < 40; n += 1) {
        const store = await openLmdbStore({ directory: ${JSON.stringify(directory)}, readOnly: true });
        const least = store.read('rows', 'count').row.v;
        const verdict = await store.verify({ whole: true });
        if (!verdict.ok || verdict.entries < least) throw new Error(JSON.stringify([least, verdict]));
        if (verdict.entries < (seen.at(-1) ?? 0)) throw new Error('it went back');
        seen.push(verdict.entries);
        await store.close();
      }
      console.log(new Set(seen).size);
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const code = await new Promise((resolve) => child.once('close', resolve));
    isOver = true;
    await writing;
    assert.is(code, 0, output);
    assert.ok(Number(output) > 10, `it saw ${output} states`);
    await store.close();
  }));

test('a row is in the log when its write is over, not before', () =>
  inDirectory(async (directory) => {
    mkdirSync(directory);
    const file = await LogFile.create(join(directory, 'a.log'), LOG_BYTES);
    const record = file.begin(BLOCK_BYTES);
    record.write('rows', 'a', Buffer.from('b'));
    assert.is(file.get('rows', 'a'), undefined);
    const done = file.append(record, 1);
    assert.is(file.get('rows', 'a'), undefined);
    await done;
    assert.is(String(file.get('rows', 'a')), 'b');
    await file.close();
  }));

test('the log alone tells what the database lacks', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory });
    for (let n = 1; n <= 5; n += 1) await commitOne(store, n, 't');
    const images = readLog(directory);
    const links = store.journal(0, 5).map(({ sequence, hash }): Link => {
      return { sequence, hash: Buffer.from(hash, 'hex') };
    });
    const [, , third = FIRST_LINK, , fifth = FIRST_LINK] = links;
    assert.is(new Unmoved(images, FIRST_LINK).lastSequence, 5);
    assert.is(new Unmoved(images, third).lastSequence, 5);
    assert.is(new Unmoved(images, third).get('rows', 'k00003'), undefined, 'the database has it');
    assert.equal([...new Unmoved(images, fifth).keys('rows')], []);
    assert.is(new Unmoved(images, { ...fifth, sequence: 9 }).lastSequence, 9);
    const other = { ...third, hash: fifth.hash };
    assert.is(await codeOfRejection(() => new Unmoved(images, other)), 'store_corrupt');
    await store.close();
  }));

test.run();
