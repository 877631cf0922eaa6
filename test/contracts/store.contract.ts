/** What every store keeps: change sets, scans, the journal, closing. Run by each implementation against a fresh store per test. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ChangeSet } from '../../runtime/store/store.ts';
import { within } from '../support/within.ts';
import { journalPromises } from './store-journal.contract.ts';
import { runAgainstModel, writesOf } from './store-model.ts';
import {
  codeOfRejection,
  commit,
  expected,
  fact,
  type Promises,
  put,
  type StorePlace,
} from './store-samples.ts';
import { scanPromises } from './store-scans.contract.ts';

export interface StoreContract {
  readonly name: string;
  newPlace(): Promise<StorePlace>;
  /** Runs of the property; a durable store pays an fsync for every commit. */
  readonly propertyRuns: number;
}

const DEADLINE_MS = 60_000;

export function storeContract({ name, newPlace, propertyRuns }: StoreContract) {
  const test = suite(`${name} keeps the store contract`);

  const promises: Promises = (title, work) => {
    test(title, async () => {
      const place = await newPlace();
      try {
        const store = await within('opening', place.open(), DEADLINE_MS);
        await within(title, work(store, place), DEADLINE_MS);
        await within('closing', store.close(), DEADLINE_MS);
      } finally {
        await place.dispose();
      }
    });
  };

  scanPromises(promises);
  journalPromises(promises);

  promises('a row is what was put, with the number of its change set', async (store) => {
    const row = { v: 1, text: 'héllo', list: [1, 2.5, null], at: { deep: true }, big: 2 ** 45 };
    assert.is(store.read('rows', 'a'), undefined);
    assert.equal(await commit(store, { put: [put('a', row)] }), [{ ok: true, revision: 1 }]);
    assert.equal(store.read('rows', 'a'), { revision: 1, row });
    await commit(store, { put: [put('b', { v: 1 })] }, { put: [put('a', { v: 2 })] });
    assert.equal(store.read('rows', 'b'), { revision: 2, row: { v: 1 } });
    assert.equal(store.read('rows', 'a'), { revision: 3, row: { v: 2 } });
  });

  promises('the outcomes stand in the order of the change sets', async (store) => {
    const outcomes = await commit(
      store,
      { expect: [expected('a', 0)], put: [put('a', { v: 1 })] },
      { expect: [expected('a', 7)], put: [put('a', { v: 2 })] },
      { expect: [expected('a', 1)], put: [put('a', { v: 3 })] },
    );
    assert.equal(outcomes, [
      { ok: true, revision: 1 },
      { ok: false, code: 'conflict', table: 'rows', key: 'a', actual: 1 },
      { ok: true, revision: 2 },
    ]);
    assert.equal(store.read('rows', 'a'), { revision: 2, row: { v: 3 } });
    assert.equal(await commit(store), []);
  });

  promises(
    'a change set that expects absence loses to the one before it in the batch',
    async (store) => {
      const claim = (owner: string) => ({
        expect: [expected('lane', 0)],
        put: [put('lane', { v: 1, owner })],
        facts: [fact(owner === 'first' ? 1 : 2)],
      });
      const outcomes = await commit(store, claim('first'), claim('second'));
      assert.equal(
        outcomes.map(({ ok }) => ok),
        [true, false],
      );
      assert.is(store.read('rows', 'lane')?.row.owner, 'first');
      assert.equal(
        store.journal(0, 10).map(({ facts }) => facts),
        [[fact(1)]],
      );
    },
  );

  promises('a missed expectation refuses every write and fact of its change set', async (store) => {
    await commit(store, { put: [put('a', { v: 1 }), put('gone', { v: 1 })] });
    const outcomes = await commit(store, {
      expect: [expected('a', 1), expected('b', 9)],
      put: [put('a', { v: 2 }), put('c', { v: 2 }, 'other')],
      remove: [{ table: 'rows', key: 'gone' }],
      facts: [fact(1)],
    });
    assert.equal(outcomes, [{ ok: false, code: 'conflict', table: 'rows', key: 'b', actual: 0 }]);
    assert.equal(store.read('rows', 'a'), { revision: 1, row: { v: 1 } });
    assert.ok(store.read('rows', 'gone'));
    assert.is(store.read('other', 'c'), undefined);
    assert.is(store.journal(0, 10).length, 1);
  });

  promises(
    'expectations see the store as it was before their own change set wrote',
    async (store) => {
      await commit(store, { put: [put('a', { v: 1 })] });
      const outcomes = await commit(store, {
        expect: [expected('a', 1), expected('a', 1), expected('b', 0)],
        put: [put('b', { v: 1 })],
        remove: [{ table: 'rows', key: 'a' }],
      });
      assert.equal(outcomes, [{ ok: true, revision: 2 }]);
      assert.is(store.read('rows', 'a'), undefined);
    },
  );

  promises(
    'of two writes to a row the later one stays, and a removal comes last',
    async (store) => {
      await commit(store, {
        put: [put('a', { v: 1 }), put('a', { v: 2 }), put('b', { v: 1 })],
        remove: [
          { table: 'rows', key: 'b' },
          { table: 'rows', key: 'never' },
        ],
      });
      assert.equal(store.read('rows', 'a'), { revision: 1, row: { v: 2 } });
      assert.is(store.read('rows', 'b'), undefined);
    },
  );

  promises(
    'a revision is never used again, not after a removal and not after a reopening',
    async (store, place) => {
      await commit(store, { put: [put('a', { v: 1 })] });
      await commit(store, { remove: [{ table: 'rows', key: 'a' }] });
      await commit(store, { put: [put('a', { v: 1 })] });
      assert.is(store.read('rows', 'a')?.revision, 3);
      await commit(store, { remove: [{ table: 'rows', key: 'a' }] });
      await store.close();
      const again = await place.open();
      const stale = await commit(again, { expect: [expected('a', 3)], put: [put('a', { v: 1 })] });
      assert.is(stale[0]?.ok, false);
      const fresh = await commit(again, { expect: [expected('a', 0)], put: [put('a', { v: 1 })] });
      assert.equal(fresh, [{ ok: true, revision: 5 }]);
      await again.close();
    },
  );

  promises('what was read stays as it is, whatever is written after it', async (store) => {
    const sealed = new Uint8Array([1, 2, 3, 4]);
    await commit(store, { put: [put('a', { v: 1, sealed })], facts: [fact(0)] });
    const held = store.read('rows', 'a')?.row.sealed as Uint8Array;
    let isOver = false;
    const verdict = (async () => {
      const verdicts: boolean[] = [];
      while (!isOver) {
        verdicts.push((await store.verify({ whole: true })).ok);
        await new Promise((resolve) => setImmediate(resolve));
      }
      return verdicts;
    })();
    for (let n = 1; n <= 40; n += 1) {
      await commit(store, { put: [put('b', { v: n, text: 'x'.repeat(3_000) })], facts: [fact(n)] });
    }
    isOver = true;
    assert.equal(new Uint8Array(held), sealed);
    const verdicts = await verdict;
    assert.ok(verdicts.length > 0 && verdicts.every((ok) => ok), verdicts.join());
  });

  promises('a change set of facts alone, or of nothing, has a number too', async (store) => {
    assert.equal(await commit(store, { facts: [fact(1)] }, {}), [
      { ok: true, revision: 1 },
      { ok: true, revision: 2 },
    ]);
  });

  promises('tables do not see each other, also where one name begins as another', async (store) => {
    await commit(store, {
      put: [put('k', { v: 1 }, 'run'), put('k', { v: 2 }, 'runs'), put('k', { v: 3 }, 'run.tape')],
    });
    assert.is(store.read('run', 'k')?.row.v, 1);
    assert.equal(
      store.scan({ table: 'run', limit: 10 }).rows.map(({ row }) => row.v),
      [1],
    );
  });

  promises('the longest key is taken and one byte more is refused', async (store) => {
    const longest = 'é'.repeat(950);
    await commit(store, { put: [put(longest, { v: 1 }, 't'.repeat(64))] });
    assert.ok(store.read('t'.repeat(64), longest));
    const refused = () => commit(store, { put: [put(`${longest}a`, { v: 1 })] });
    assert.is(await codeOfRejection(refused), 'bad_option');
  });

  promises(
    'what is no change set is refused with its whole batch, and the store goes on',
    async (store) => {
      const bad: readonly [string, Partial<ChangeSet>][] = [
        ['bad_option', { put: [put('', { v: 1 })] }],
        ['bad_option', { put: [put('\ud800', { v: 1 })] }],
        ['bad_option', { put: [put('a', { v: 1 }, 'journal')] }],
        ['bad_option', { remove: [{ table: 'meta', key: 'head' }] }],
        ['bad_option', { put: [put('a', { v: 1 }, 'a\0b')] }],
        ['bad_option', { expect: [expected('a', -1)] }],
        ['not_encodable', { put: [put('a', { v: 'x' } as never)] }],
        ['not_encodable', { put: [put('a', { v: 1, call: () => 1 })] }],
        ['not_encodable', { put: [put('a', { v: 1, at: new Date(0) })] }],
        ['not_encodable', { put: [put('a', { v: 1, deep: [{ set: new Set([1]) }] })] }],
        ['not_encodable', { facts: [{ type: 'x', body: { deep: 1 } } as never] }],
      ];
      for (const [code, part] of bad) {
        const refused = () => commit(store, { put: [put('good', { v: 1 })] }, part);
        assert.is(await codeOfRejection(refused), code, JSON.stringify(part));
      }
      assert.is(store.read('rows', 'good'), undefined);
      assert.is((await commit(store, { put: [put('good', { v: 1 })] }))[0]?.ok, true);
    },
  );

  promises('health counts commits, and a flush only for what wrote something', async (store) => {
    const before = store.health();
    assert.is(before.commits, 0);
    assert.is(before.flushes, 0);
    await commit(store, { put: [put('a', { v: 1, text: 'x'.repeat(5_000) })] });
    await commit(store, { expect: [expected('a', 9)] });
    const after = store.health();
    assert.is(after.commits, 2);
    assert.is(after.flushes, 1);
    assert.is(after.journalSequence, 1);
    assert.is(after.revision, store.read('rows', 'a')?.revision);
    assert.ok(after.usedBytes > before.usedBytes);
    assert.ok(after.freeBytes > 0);
  });

  promises('the room of removed rows is free, or known to be reusable', async (store, place) => {
    const keys = Array.from({ length: 40 }, (_, n) => `large-${n}`);
    const large = keys.map((key) => put(key, { v: 1, text: 'x'.repeat(20_000) }));
    await store.close();
    const healthAfter = async (parts: Partial<ChangeSet>) => {
      const opened = await place.open();
      await commit(opened, parts);
      await opened.close();
      const again = await place.open();
      const { usedBytes, reusableBytes } = again.health();
      await again.close();
      return { usedBytes, heldBytes: usedBytes - reusableBytes };
    };
    const full = await healthAfter({ put: large });
    assert.ok(full.heldBytes > 800_000, JSON.stringify(full));
    for (let round = 0; round < 5; round += 1) {
      const emptied = await healthAfter({
        remove: keys.map((key) => ({ table: 'rows', key })),
      });
      assert.ok(emptied.heldBytes < 100_000, JSON.stringify(emptied));
      await healthAfter({ put: large });
    }
    const { usedBytes } = await healthAfter({});
    assert.ok(usedBytes < 4 * full.usedBytes, 'it was written again');
  });

  promises('commits asked for at once are applied in the order of the asking', async (store) => {
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        commit(store, { expect: [expected('a', n)], put: [put('a', { v: n })] }),
      ),
    );
    assert.equal(
      outcomes.flat().map((outcome) => outcome.ok && outcome.revision),
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
  });

  promises('what was committed is there after closing and opening again', async (store, place) => {
    await commit(store, { put: [put('a', { v: 1 }), put('b', { v: 2 })], facts: [fact(1)] });
    const journal = store.journal(0, 10);
    await store.close();
    const again = await place.open();
    assert.equal(again.read('rows', 'a'), { revision: 1, row: { v: 1 } });
    assert.is(again.scan({ table: 'rows', limit: 10 }).rows.length, 2);
    assert.equal(again.keys({ table: 'rows', limit: 10 }).keys, ['a', 'b']);
    assert.equal(again.journal(0, 10), journal);
    assert.equal(await commit(again, {}), [{ ok: true, revision: 2 }]);
    await again.close();
  });

  promises('a closed store refuses everything but being closed again', async (store) => {
    await commit(store, { put: [put('a', { v: 1 })] });
    await store.close();
    await store.close();
    const calls: readonly (() => unknown)[] = [
      () => commit(store, {}),
      () => store.read('rows', 'a'),
      () => store.scan({ table: 'rows', limit: 1 }),
      () => store.keys({ table: 'rows', limit: 1 }),
      () => store.journal(0, 1),
      () => store.verify({ whole: true }),
      () => store.health(),
      () => store.backup('/nowhere'),
    ];
    for (const call of calls) assert.is(await codeOfRejection(call), 'store_closed');
  });

  test('any sequence of batches leaves what a plain map would hold', async () => {
    const property = fc.asyncProperty(writesOf(), async (batches) => {
      const place = await newPlace();
      try {
        await runAgainstModel(place, batches);
      } finally {
        await place.dispose();
      }
    });
    // A failure prints its seed and the smallest counter-example.
    await within('the property', fc.assert(property, { numRuns: propertyRuns }), DEADLINE_MS);
  });

  return test;
}
