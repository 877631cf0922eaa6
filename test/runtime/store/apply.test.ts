/** What a commit does to a store, whatever holds its bytes. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { applyBatch, refuseAll } from '../../../runtime/store/apply.ts';
import { encodeChangeSet } from '../../../runtime/store/encoding.ts';
import { FIRST_LINK, type Head } from '../../../runtime/store/head.ts';
import { Tables } from '../../../runtime/store/tables.ts';
import { changes, put } from '../../contracts/store-samples.ts';

const test = suite('applying a batch');

test('a batch is refused whole, and how, as applying it would show', () => {
  const before: Head = { ...FIRST_LINK, revision: 1 };
  const rows = new Tables();
  const old = encodeChangeSet(changes({ put: [put('a', { v: 0 })] }));
  rows.transaction((transaction) => applyBatch(transaction, { ...before, revision: 0 }, [old], 1));
  const place = fc.record({ table: fc.constant('rows'), key: fc.constantFrom('a', 'b') });
  const expect = fc.array(
    fc.tuple(place, fc.nat({ max: 3 })).map(([at, revision]) => ({ ...at, revision })),
    { maxLength: 2 },
  );
  const written = fc.array(
    place.map(({ key }) => put(key, { v: 1 })),
    { maxLength: 2 },
  );
  const one = fc.record({
    expect,
    put: written,
    remove: fc.array(place, { maxLength: 1 }),
    facts: fc.constant([]),
  });
  const seen = { refused: 0, taken: 0 };
  fc.assert(
    fc.property(fc.array(one, { maxLength: 4 }), (batch) => {
      const encoded = batch.map((set) => encodeChangeSet(set));
      const refused = refuseAll(rows, encoded);
      const { result, writes } = rows
        .copy()
        .transaction((transaction) => applyBatch(transaction, before, encoded, 1));
      seen[refused === undefined ? 'taken' : 'refused'] += 1;
      assert.equal(refused, writes.length === 0 ? result.outcomes : undefined);
    }),
    { numRuns: 500 },
  );
  assert.ok(seen.refused > 50 && seen.taken > 50, JSON.stringify(seen));
});

test.run();
