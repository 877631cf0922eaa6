/** Reading a store beside its writer: one moment of it, kept by the writer, who loses nothing by it. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openLmdbStore, type Store } from '../../../runtime/store/index.ts';
import { PinDesk } from '../../../runtime/store/lmdb/pins.ts';
import { codeOfRejection, commit, put } from '../../contracts/store-samples.ts';
import { within } from '../../support/within.ts';

const test = suite('a store read beside its writer');

// Nearly every other commit then moves rows to the database.
const LOG_BYTES = 8_192;
const MODULE = new URL('../../../runtime/store/index.js', import.meta.url).href;

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'palyra-beside-'));
  try {
    await within('the test', work(join(root, 'store')), 100_000);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function commitOne(store: Store, n: number): Promise<void> {
  await commit(store, {
    put: [put(keyOf(n), { v: n, text: 't'.repeat(3_000) }), put('count', { v: n })],
    facts: [{ type: 'made', n }],
  });
}

const keyOf = (n: number) => `k${String(n).padStart(6, '0')}`;

/** Runs the script until it ends; settles with what it printed, or rejects with its errors. */
async function run(script: string, expectedCode: number | null = 0): Promise<string> {
  const args = ['--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', errors: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.errors += text;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== expectedCode) throw new Error(`it ended with ${code}: ${said.errors}`);
  return said.out.trim();
}

test('readers that open while it commits take no commit back', () =>
  inDirectory(async (directory) => {
    const store = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    await commitOne(store, 1);
    let last = 1;
    let isOver = false;
    const writing = (async () => {
      for (; !isOver; last += 1) await commitOne(store, last + 1);
    })();
    const script = `
      import { openLmdbStore } from ${JSON.stringify(MODULE)};
      for (let n = 0; n < 500; n += 1) {
        const store = await openLmdbStore({ directory: ${JSON.stringify(directory)}, readOnly: true });
        await store.close();
      }
    `;
    try {
      await Promise.all([run(script), run(script)]);
    } finally {
      isOver = true;
      await writing;
      await store.close();
    }
    const again = await openLmdbStore({ directory });
    const lost: number[] = [];
    for (let n = 1; n <= last; n += 1) if (again.read('rows', keyOf(n)) === undefined) lost.push(n);
    assert.equal(lost, []);
    const verdict = await again.verify({ whole: true });
    assert.is(verdict.ok && verdict.entries, last);
    await again.close();
  }));

test('what is read is one moment, also when all of it is written over meanwhile', () =>
  inDirectory(async (directory) => {
    const writer = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    for (let n = 1; n <= 10; n += 1) await commitOne(writer, n);
    const reader = await openLmdbStore({ directory, readOnly: true });
    for (let n = 11; n <= 60; n += 1) await commitOne(writer, n);
    assert.is(reader.read('rows', 'count')?.row.v, 10);
    const verdict = await reader.verify({ whole: true });
    assert.is(verdict.ok && verdict.entries, 10);
    assert.is(reader.keys({ table: 'rows', limit: 100 }).keys.length, 11);
    await reader.close();
    const later = await openLmdbStore({ directory, readOnly: true });
    assert.is(later.read('rows', 'count')?.row.v, 60);
    await later.close();
    await writer.close();
  }));

test('a reader outlives the writer that kept its moment', () =>
  inDirectory(async (directory) => {
    const writer = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    for (let n = 1; n <= 10; n += 1) await commitOne(writer, n);
    const reader = await openLmdbStore({ directory, readOnly: true });
    await writer.close();
    assert.is(reader.read('rows', keyOf(10))?.row.v, 10);
    await reader.close();
  }));

test('a reader whom nobody keeps anything for says so once it is written over', () =>
  inDirectory(async (directory) => {
    const first = await openLmdbStore({ directory, logBytes: LOG_BYTES });
    await commitOne(first, 1);
    await first.close();
    // The engine opens a file once for a process, so the writer is in another one.
    const script = `
      import { openLmdbStore } from ${JSON.stringify(MODULE)};
      const store = await openLmdbStore({ directory: ${JSON.stringify(directory)}, logBytes: ${LOG_BYTES} });
      const row = (n) => ({ table: 'rows', key: 'w' + n, row: { v: n, text: 'w'.repeat(3_000) } });
      for (let n = 2; n <= 20; n += 1) {
        await store.commit([{ expect: [], put: [row(n)], remove: [], facts: [] }], 0);
      }
      await store.close();
    `;
    const reader = await openLmdbStore({ directory, readOnly: true });
    assert.is(reader.read('rows', 'count')?.row.v, 1);
    await run(script);
    assert.is(await codeOfRejection(() => reader.read('rows', 'count')), 'store_busy');
    assert.is(await codeOfRejection(() => reader.verify({ whole: true })), 'store_busy');
    await reader.close();
  }));

test('a writer keeps moments for sixteen, and ends with visitors that stay', () =>
  inDirectory(async (directory) => {
    const writer = await openLmdbStore({ directory });
    await commitOne(writer, 1);
    const [lock = ''] = readdirSync(directory).filter((name) => name.endsWith('.lock'));
    const ends: Promise<void>[] = [];
    let answered = 0;
    let ended = 0;
    for (let n = 0; n < 20; n += 1) {
      const visitor = connect(join(directory, lock));
      visitor.once('data', () => {
        answered += 1;
      });
      visitor.on('error', () => undefined);
      ends.push(
        new Promise((resolve) =>
          visitor.once('close', () => {
            ended += 1;
            resolve();
          }),
        ),
      );
    }
    while (answered < 16 || ended < 4) await new Promise((resolve) => setImmediate(resolve));
    assert.is(answered, 16);
    assert.is(ended, 4);
    await writer.close();
    await Promise.all(ends);
  }));

test('one whose database keeps nothing any more, or is closed, sends its visitors away', () =>
  inDirectory(async (directory) => {
    mkdirSync(directory);
    const desk = new PinDesk();
    const server = createServer((visitor) => desk.visit(visitor));
    const path = join(directory, 'desk.sock');
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const visit = () =>
      new Promise<string>((resolve) => {
        let heard = '';
        const visitor = connect(path);
        visitor.on('data', (data) => {
          heard += String(data);
        });
        visitor.on('error', () => undefined);
        visitor.once('close', () => resolve(heard));
      });
    desk.open(() => {
      throw new Error('it has failed');
    });
    assert.is(await visit(), '');
    desk.close();
    assert.is(await visit(), '');
    server.close();
  }));

test("a reader leaves nothing behind, not even a killed one, and does not touch the engine's lock file", () =>
  inDirectory(async (directory) => {
    const writer = await openLmdbStore({ directory });
    await commitOne(writer, 1);
    await writer.close();
    const before = readdirSync(directory);
    const script = `
      import { openLmdbStore } from ${JSON.stringify(MODULE)};
      import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
      mkdirSync(${JSON.stringify(`${directory}-tmp`)});
      process.env.TMPDIR = ${JSON.stringify(`${directory}-tmp`)};
      const lock = () => readFileSync(${JSON.stringify(join(directory, 'lock.mdb'))});
      const before = lock();
      const store = await openLmdbStore({ directory: ${JSON.stringify(directory)}, readOnly: true });
      console.log(store.read('rows', 'count').row.v, before.equals(lock()), readdirSync(process.env.TMPDIR).length);
      process.kill(process.pid, 'SIGKILL');
    `;
    assert.is(await run(script, null), '1 true 0');
    assert.equal(readdirSync(directory), before);
  }));

test.run();
