/** Change sets as bytes: what is joined, or goes to another thread first, is committed as if it had been one from the start. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeChangeSet, encodedRow, joinEncoded } from '../../../runtime/store/encoding.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ChangeSet } from '../../../runtime/store/store.ts';

const test = suite('store: encoding');

/** Rows and facts of unequal length. */
function changesOf(name: string, more: number): ChangeSet {
  const numbers = [1, 2, 3];
  return {
    expect: [{ table: 'rows', key: `${name}0`, revision: 0 }],
    put: numbers.map((n) => ({
      table: n === 2 ? 'others' : 'rows',
      key: `${name}${n}`,
      row: { v: 1, text: `row ${name} `.repeat(n * more) },
    })),
    remove: [{ table: 'rows', key: `gone-${name}` }],
    facts: numbers.map((n) => ({ type: `${name}.${n}`, text: 'fact '.repeat(n * more) })),
  };
}

function joined(first: ChangeSet, second: ChangeSet): ChangeSet {
  return {
    expect: [...first.expect, ...second.expect],
    put: [...first.put, ...second.put],
    remove: [...first.remove, ...second.remove],
    facts: [...first.facts, ...second.facts],
  };
}

async function written(changes: Parameters<ReturnType<typeof createMemoryStore>['commit']>[0]) {
  const store = createMemoryStore();
  const outcomes = await store.commit(changes, 0);
  const rows = ['rows', 'others'].map((table) => store.scan({ table, limit: 100 }).rows);
  return { outcomes, rows, journal: store.journal(0, 100) };
}

test('a joined change set writes the rows and facts of both, whole and in their order', async () => {
  const [first, second] = [changesOf('a', 1), changesOf('b', 7)];
  const both = joinEncoded(encodeChangeSet(first), encodeChangeSet(second));
  const expected = await written([joined(first, second)]);
  assert.is(expected.rows.flat().length, 6);
  assert.equal(await written([both]), expected);
  assert.equal(await written([structuredClone(both)]), expected, 'also from another thread');
  assert.is(both.bytes, encodeChangeSet(joined(first, second)).bytes);
});

test('the first row of a table is told by its name; a table that is not written has none', () => {
  const encoded = encodeChangeSet(changesOf('a', 3));
  const alone = (n: number) =>
    encodeChangeSet({
      ...changesOf('a', 3),
      put: changesOf('a', 3).put.slice(n, n + 1),
      facts: [],
    });
  assert.equal([...encodedRow(encoded, 'rows')], [...alone(0).body]);
  assert.equal([...encodedRow(encoded, 'others')], [...alone(1).body]);
  assert.throws(() => encodedRow(encoded, 'none'), /writes no row of none/);
});

test.run();
