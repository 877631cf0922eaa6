/** Pages end at their bounds: rows or keys, 10,000 of them, and the slice of time that their reader gives them. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeChangeSet } from '../../../runtime/store/encoding.ts';
import { readKeys, readPage } from '../../../runtime/store/reading.ts';
import { Tables } from '../../../runtime/store/tables.ts';

const test = suite('store: pages');
const ROWS = 10_050;
const tables = new Tables();
tables.transaction((transaction) => {
  for (let n = 0; n < ROWS; n += 1) {
    const change = { table: 'rows', key: String(n).padStart(5, '0'), row: { v: 1 } };
    const { body } = encodeChangeSet({ expect: [], put: [change], remove: [], facts: [] });
    transaction.put(change.table, change.key, body);
  }
});

const READERS = {
  rows: (limit: number, isDue: () => boolean) => {
    const { rows, next } = readPage(tables, { table: 'rows', limit }, isDue);
    return { keys: rows.map(({ key }) => key), next };
  },
  keys: (limit: number, isDue: () => boolean) => readKeys(tables, { table: 'rows', limit }, isDue),
};

for (const [what, read] of Object.entries(READERS)) {
  test(`${what}: no page is longer than 10,000, whatever is asked for`, () => {
    const { keys, next } = read(20_000, () => false);
    assert.is(keys.length, 10_000);
    assert.is(next, '09999');
  });

  test(`${what}: a slice that is used up ends the page, and the next one goes on behind it`, () => {
    let looks = 0;
    const isDue = () => {
      looks += 1;
      return looks === 3;
    };
    const { keys, next } = read(1_000, isDue);
    assert.ok(keys.length > 0 && keys.length < 1_000);
    assert.is(next, keys.at(-1));
    assert.is(looks, 3);
  });
}

test.run();
