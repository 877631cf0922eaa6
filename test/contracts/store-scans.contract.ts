/** What every store keeps about scans: order, bounds, pages. Part of the store contract. */
import * as assert from 'uvu/assert';
import { commit, type Promises, put } from './store-samples.ts';

export function scanPromises(promises: Promises): void {
  promises('a scan goes through keys by their UTF-8 bytes, forth and back', async (store) => {
    const keys = ['Z', 'a', 'a\0b', 'a b', 'ab', 'é', 'ｚ', '￿', '😀', '😀a', '𐀀', '日本'];
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.not.equal(sorted, [...keys].sort(), 'the sample must tell bytes from UTF-16 units');
    await commit(store, { put: keys.map((key) => put(key, { v: 1 })) });
    const forth = store.scan({ table: 'rows', limit: 100 });
    assert.equal(forth, {
      rows: sorted.map((key) => ({ key, revision: 1, row: { v: 1 } })),
      next: '',
    });
    const back = store.scan({ table: 'rows', limit: 100, reverse: true });
    assert.equal(
      back.rows.map(({ key }) => key),
      sorted.reverse(),
    );
  });

  promises('a prefix and a cursor bound a scan in both directions', async (store) => {
    const keys = ['a', 'b', 'b:1', 'b:2', 'b:3', 'b:\u{10ffff}', 'b;', 'c'];
    await commit(store, { put: keys.map((key) => put(key, { v: 1 })) });
    const page = (prefix: string, after: string, reverse: boolean) =>
      store
        .scan({ table: 'rows', prefix, after, reverse, limit: 100 })
        .rows.map(({ key }) => key)
        .join(' ');
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
    'pages follow each other by next without a gap, and the last one says so',
    async (store) => {
      const keys = Array.from({ length: 25 }, (_, n) => `k${String(n).padStart(3, '0')}`);
      await commit(store, { put: keys.map((key) => put(key, { v: 1 })) });
      for (const reverse of [false, true]) {
        const seen: string[] = [];
        let after = '';
        for (let pages = 0; pages < 30; pages += 1) {
          const page = store.scan({ table: 'rows', prefix: 'k', after, limit: 5, reverse });
          assert.ok(page.rows.length <= 5);
          seen.push(...page.rows.map(({ key }) => key));
          after = page.next;
          if (after === '') break;
        }
        assert.equal(seen, reverse ? [...keys].reverse() : keys);
      }
      assert.equal(store.scan({ table: 'nothing', limit: 5 }), { rows: [], next: '' });
    },
  );
}
