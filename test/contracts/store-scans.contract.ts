/** What every store keeps about scans of rows and of keys: order, bounds, pages. Part of the store contract. */
import * as assert from 'uvu/assert';
import type { KeyPage, ScanQuery, Store } from '../../runtime/store/store.ts';
import { codeOfRejection, commit, type Promises, put } from './store-samples.ts';

/** Each way through a table, as the keys that it gives. */
const WAYS: readonly (readonly [string, (store: Store, query: ScanQuery) => KeyPage])[] = [
  [
    'a scan',
    (store, query) => {
      const { rows, next } = store.scan(query);
      return { keys: rows.map(({ key }) => key), next };
    },
  ],
  ['a scan of keys', (store, query) => store.keys(query)],
];

export function scanPromises(promises: Promises): void {
  for (const [name, look] of WAYS) wayPromises(promises, name, look);

  promises('a scan gives each row with its revision', async (store) => {
    await commit(store, { put: [put('a', { v: 1 })] }, { put: [put('b', { v: 2, text: 'é' })] });
    const rows = [
      { key: 'a', revision: 1, row: { v: 1 } },
      { key: 'b', revision: 2, row: { v: 2, text: 'é' } },
    ];
    assert.equal(store.scan({ table: 'rows', limit: 5 }), { rows, next: '' });
  });
}

function wayPromises(promises: Promises, name: string, look: (typeof WAYS)[number][1]): void {
  promises(`${name} goes through keys by their UTF-8 bytes, forth and back`, async (store) => {
    const keys = ['Z', 'a', 'a\0b', 'a b', 'ab', 'é', 'ｚ', '￿', '😀', '😀a', '𐀀', '日本'];
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.not.equal(sorted, [...keys].sort(), 'the sample must tell bytes from UTF-16 units');
    await commit(store, { put: keys.map((key) => put(key, { v: 1 })) });
    assert.equal(look(store, { table: 'rows', limit: 100 }), { keys: sorted, next: '' });
    assert.equal(look(store, { table: 'rows', limit: 100, reverse: true }), {
      keys: sorted.reverse(),
      next: '',
    });
  });

  promises(`a prefix and a cursor bound ${name} in both directions`, async (store) => {
    const keys = ['a', 'b', 'b:1', 'b:2', 'b:3', 'b:\u{10ffff}', 'b;', 'c'];
    await commit(store, { put: keys.map((key) => put(key, { v: 1 })) });
    const page = (prefix: string, after: string, reverse: boolean) =>
      look(store, { table: 'rows', prefix, after, reverse, limit: 100 }).keys.join(' ');
    assert.is(page('b:', '', false), 'b:1 b:2 b:3 b:\u{10ffff}');
    assert.is(page('b:', '', true), 'b:\u{10ffff} b:3 b:2 b:1');
    assert.is(page('b:', 'b:2', false), 'b:3 b:\u{10ffff}');
    assert.is(page('b:', 'b:2', true), 'b:1');
    assert.is(page('b:', 'b:15', false), 'b:2 b:3 b:\u{10ffff}');
    assert.is(page('b:', 'b:15', true), 'b:1');
    assert.is(page('b:', 'a', false), 'b:1 b:2 b:3 b:\u{10ffff}', 'a cursor before the prefix');
    assert.is(page('b:', 'a', true), '');
    assert.is(page('b:', 'c', false), '', 'a cursor behind the prefix');
    assert.is(page('b:', 'c', true), 'b:\u{10ffff} b:3 b:2 b:1');
    assert.is(page('b', '', false), 'b b:1 b:2 b:3 b:\u{10ffff} b;');
    assert.is(page('b', '', true), 'b; b:\u{10ffff} b:3 b:2 b:1 b');
    assert.is(page('', 'b;', false), 'c');
    assert.is(page('', 'b', true), 'a');
    assert.is(page('x', '', false), '');
  });

  promises(
    `the pages of ${name} follow each other by next without a gap, and the last one says so`,
    async (store) => {
      const keys = Array.from({ length: 25 }, (_, n) => `k${String(n).padStart(3, '0')}`);
      await commit(store, { put: keys.map((key) => put(key, { v: 1 })) });
      for (const reverse of [false, true]) {
        const seen: string[] = [];
        let after = '';
        for (let pages = 0; pages < 30; pages += 1) {
          const page = look(store, { table: 'rows', prefix: 'k', after, limit: 5, reverse });
          assert.ok(page.keys.length <= 5);
          seen.push(...page.keys);
          after = page.next;
          if (after === '') break;
        }
        assert.equal(seen, reverse ? [...keys].reverse() : keys);
      }
      assert.equal(look(store, { table: 'nothing', limit: 5 }), { keys: [], next: '' });
    },
  );

  promises(`${name} sees no row of another table and none that was removed`, async (store) => {
    const tables = ['run', 'runs', 'run.tape', 'ru'];
    await commit(store, { put: tables.map((table) => put(`k of ${table}`, { v: 1 }, table)) });
    await commit(store, { put: [put('gone', { v: 1 }, 'run')] });
    await commit(store, { remove: [{ table: 'run', key: 'gone' }] });
    for (const reverse of [false, true]) {
      const page = look(store, { table: 'run', limit: 10, reverse });
      assert.equal(page, { keys: ['k of run'], next: '' });
    }
  });

  promises(`${name} is refused where it is no query`, async (store) => {
    const bad: readonly ScanQuery[] = [
      { table: 'rows', limit: 0 },
      { table: 'rows', limit: 1.5 },
      { table: 'a\0b', limit: 1 },
      { table: 'rows', prefix: '\ud800', limit: 1 },
      { table: 'rows', after: '\ud800', limit: 1 },
    ];
    for (const query of bad) {
      assert.is(await codeOfRejection(() => look(store, query)), 'bad_option');
    }
  });
}
