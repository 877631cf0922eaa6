/** A damaged page of the data file: refused with a code where the engine would end the process or hide rows. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from '../../../runtime/errors.ts';
import { openLmdbStore } from '../../../runtime/store/index.ts';
import { readDataFile } from '../../../runtime/store/lmdb/data-file.ts';
import { checkDataFile } from '../../../runtime/store/lmdb/page-check.ts';
import { checkRows } from '../../../runtime/store/lmdb/row-check.ts';
import { codeOfRejection, commit, put } from '../../contracts/store-samples.ts';
import { seeded } from '../../faults/seeded.ts';
import { within } from '../../support/within.ts';

const test = suite('the pages of a data file');

const ROWS = 300;

function textOf(n: number): string {
  return n % 30 === 0 ? 'x'.repeat(9_000) : `text ${n} `.repeat(40);
}

interface Place {
  readonly directory: string;
  /** Of the whole data file. */
  readonly bytes: Buffer;
  readonly pageBytes: number;
  /** Puts these bytes in its place. */
  damage(change: (bytes: Buffer) => void): void;
}

/** A closed store of three levels of pages, with large rows and free pages. */
async function withStore(work: (place: Place) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'palyra-pages-'));
  const directory = join(root, 'store');
  try {
    const store = await openLmdbStore({ directory, logBytes: 8_192 });
    for (let n = 0; n < ROWS; n += 5) {
      const five = Array.from({ length: 5 }, (_, i) =>
        put(`k${n + i}`, { v: 1, text: textOf(n + i) }),
      );
      await commit(store, { put: five });
    }
    await store.close();
    const path = join(directory, 'data.mdb');
    const bytes = readFileSync(path);
    const pageBytes = readDataFile(path)?.pageBytes ?? 0;
    const damage = (change: (bytes: Buffer) => void) => {
      const changed = Buffer.from(bytes);
      change(changed);
      writeFileSync(path, changed);
    };
    await within('the test', work({ directory, bytes, pageBytes, damage }), 100_000);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Where they begin; pages that are free hold older copies. */
function pagesWith(bytes: Buffer, text: string, pageBytes: number): ReadonlySet<number> {
  const pages = new Set<number>();
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
    pages.add(at - (at % pageBytes));
  }
  return pages;
}

/** `whole`: it opened with every row; else the code of its refusal. */
async function outcomeOf(directory: string, readOnly: boolean): Promise<string> {
  // What is opened for writing changes, and may begin with another store's lock.
  const place = `${directory}-opened`;
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  cpSync(join(directory, 'data.mdb'), join(place, 'data.mdb'));
  try {
    const store = await openLmdbStore({ directory: place, readOnly });
    try {
      const isVerified = (await store.verify({ whole: true })).ok;
      for (let n = 0; n < ROWS; n += 1) {
        if (store.read('rows', `k${n}`) === undefined) return `k${n} is gone`;
      }
      if (!readOnly) await commit(store, { put: [put('k0', { v: 1 }), put('new', { v: 1 })] });
      return isVerified ? 'whole' : 'the journal is broken';
    } finally {
      await store.close();
    }
  } catch (error) {
    return codeOf(error);
  }
}

test('each page that is empty is refused for reading and for writing, but one that is free', () =>
  withStore(async ({ directory, bytes, pageBytes, damage }) => {
    const counts: Record<string, number> = {};
    for (let at = 2 * pageBytes; at < bytes.length; at += pageBytes) {
      damage((changed) => changed.fill(0, at, at + pageBytes));
      const isForReading = (at / pageBytes) % 2 === 0;
      const outcome = await outcomeOf(directory, isForReading);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    assert.equal(Object.keys(counts).sort(), ['store_corrupt', 'whole']);
    assert.ok((counts.store_corrupt ?? 0) > 30, JSON.stringify(counts));
  }));

test('a page of chance is refused as well, and a process that reads it lives on', () =>
  withStore(async ({ directory, bytes, pageBytes, damage }) => {
    const random = seeded(11);
    const tree = readDataFile(join(directory, 'data.mdb'))?.rows;
    for (let round = 0; round < 20; round += 1) {
      damage((changed) => {
        // Most of a page, and its root always: what is left of a header must not be believed.
        const root = (tree?.rootPage ?? 0) * pageBytes;
        for (let i = round; i < pageBytes; i += 1) changed[root + i] = Math.floor(random() * 256);
      });
      assert.is(await outcomeOf(directory, round % 2 === 0), 'store_corrupt', `round ${round}`);
    }
    damage((changed) => bytes.copy(changed));
    assert.is(await outcomeOf(directory, false), 'whole');
  }));

test('a page that has lost one of its rows is refused, though it is in order', () =>
  withStore(async ({ directory, pageBytes, damage }) => {
    damage((changed) => {
      // The list of its nodes ends one earlier.
      for (const page of pagesWith(changed, 'rows\0k77', pageBytes)) {
        changed.writeUInt16LE(changed.readUInt16LE(page + 20) - 2, page + 20);
      }
    });
    assert.is(await outcomeOf(directory, true), 'store_corrupt');
  }));

test('a row that cannot be read is found by a whole verification', () =>
  withStore(async ({ directory, damage }) => {
    const text = textOf(77);
    // As msgpack begins a text of this length; 0xc1 begins nothing.
    const stored = Buffer.concat([Buffer.from([0xda, 0, 0]), Buffer.from(text)]);
    stored.writeUInt16BE(text.length, 1);
    damage((changed) => {
      assert.ok(changed.includes(stored));
      for (let at = changed.indexOf(stored); at >= 0; at = changed.indexOf(stored)) {
        changed[at] = 0xc1;
      }
    });
    const reader = await openLmdbStore({ directory, readOnly: true });
    assert.is(await codeOfRejection(() => reader.verify({ whole: true })), 'store_corrupt');
    await reader.close();
  }));

test('rows out of order, as a page in the place of another has them, are found', async () => {
  // The journal's own chain tells of its values.
  const value = Buffer.alloc(0);
  const check = (...keys: readonly string[]) =>
    codeOfRejection(() =>
      checkRows(
        'nowhere',
        keys.map((key) => ({ key: Buffer.from(`journal\0${key}`), value })),
        new AbortController().signal,
      ),
    );
  assert.is(await check('a', 'b', 'ba'), 'nothing was thrown');
  assert.is(await check('a', 'c', 'b'), 'store_corrupt');
  assert.is(await check('a', 'b', 'b'), 'store_corrupt');
});

test('the leaves of a tree that is too large for a start are followed by a whole verification', () =>
  withStore(async ({ directory, pageBytes, damage }) => {
    damage((changed) => {
      for (const page of pagesWith(changed, 'rows\0k77', pageBytes)) {
        changed.fill(0, page, page + pageBytes);
      }
    });
    const check = (maxPages: number) => checkDataFile(directory, maxPages).then(String, codeOf);
    assert.is(await check(10), 'true');
    assert.is(await check(Number.POSITIVE_INFINITY), 'store_corrupt');
    rmSync(join(directory, 'data.mdb'));
    assert.is(await check(10), 'false');
  }));

test.run();
