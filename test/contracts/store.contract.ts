/** What every store keeps: change sets, scans, the journal, closing. Run by each implementation against a fresh store per test. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from '../../runtime/errors.ts';
import type { ChangeSet, Fact, Row, Store } from '../../runtime/store/store.ts';
import { runAgainstModel, writesOf } from './store-model.ts';
import { within } from './within.ts';

/** One place where a store lives, used by one test. */
export interface StorePlace {
  open(): Promise<Store>;
  /** Overwrites one byte of this journal entry's facts behind the closed store's back. */
  tamper(sequence: number): Promise<void>;
  dispose(): Promise<void>;
}

export interface StoreContract {
  readonly name: string;
  newPlace(): Promise<StorePlace>;
  /** Runs of the property; a durable store pays an fsync for every commit. */
  readonly propertyRuns: number;
}

const AT_MS = 1_800_000_000_000;
const DEADLINE_MS = 60_000;

export function changes(parts: Partial<ChangeSet>): ChangeSet {
  return { expect: [], put: [], remove: [], facts: [], ...parts };
}

export function put(key: string, row: Row, table = 'rows') {
  return { table, key, row };
}

const expected = (key: string, revision: number, table = 'rows') => ({ table, key, revision });
const fact = (n: number): Fact => ({ type: 'counted', n, even: n % 2 === 0, who: `é${n}` });

async function commit(store: Store, ...batch: Partial<ChangeSet>[]) {
  return store.commit(batch.map(changes), AT_MS);
}

async function codeOfRejection(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return codeOf(error);
  }
  return 'nothing was thrown';
}

export function storeContract({ name, newPlace, propertyRuns }: StoreContract): void {
  const test = suite(`${name} keeps the store contract`);

  /** The work sees an open store; what it opens by itself it also closes. */
  function promises(title: string, work: (store: Store, place: StorePlace) => Promise<void>) {
    test(title, async () => {
      const place = await newPlace();
      try {
        const store = await within(DEADLINE_MS, 'opening', place.open());
        await within(DEADLINE_MS, title, work(store, place));
        await within(DEADLINE_MS, 'closing', store.close());
      } finally {
        await place.dispose();
      }
    });
  }

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

  promises(
    'the journal has one entry a batch, over the facts of what was accepted',
    async (store) => {
      await commit(
        store,
        { facts: [fact(1), fact(2)] },
        { expect: [expected('x', 4)], facts: [fact(3)] },
      );
      await commit(store, { expect: [expected('x', 4)], facts: [fact(4)] });
      await store.commit([changes({ facts: [fact(5)] })], AT_MS + 1);
      const entries = store.journal(0, 10);
      assert.equal(
        entries.map(({ sequence, atMs, facts }) => ({ sequence, atMs, facts })),
        [
          { sequence: 1, atMs: AT_MS, facts: [fact(1), fact(2)] },
          { sequence: 2, atMs: AT_MS + 1, facts: [fact(5)] },
        ],
      );
      assert.is(entries[0]?.previous, '0'.repeat(64));
      assert.is(entries[1]?.previous, entries[0]?.hash);
      assert.equal(store.journal(1, 10), entries.slice(1));
      assert.equal(store.journal(0, 1), entries.slice(0, 1));
      assert.equal(store.journal(2, 10), []);
    },
  );

  promises('an untouched journal verifies, whole and from its checkpoint', async (store, place) => {
    for (let n = 0; n < 12; n += 1) await commit(store, { facts: [fact(n), fact(n)] });
    const head = store.journal(11, 1)[0]?.hash ?? '';
    const whole = { ok: true, entries: 12, facts: 24, head } as const;
    assert.equal(await store.verify({ whole: true }), whole);
    assert.equal(await store.verify({ whole: false }), whole, 'no checkpoint yet');
    await store.close();
    const again = await place.open();
    assert.equal(await again.verify({ whole: true }), whole);
    await again.close();
  });

  promises('an empty journal verifies', async (store) => {
    const verdict = await store.verify({ whole: true });
    assert.equal(verdict, { ok: true, entries: 0, facts: 0, head: '0'.repeat(64) });
  });

  promises(
    'one changed byte in a fact is found, with the place where it is',
    async (store, place) => {
      for (let n = 0; n < 9; n += 1) await commit(store, { facts: [fact(n)] });
      await store.close();
      await place.tamper(4);
      const again = await place.open();
      const verdict = await again.verify({ whole: true });
      assert.is(verdict.ok, false);
      assert.is(verdict.ok ? 0 : verdict.sequence, 4);
      await again.close();
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
    assert.ok(after.usedBytes > before.usedBytes);
    assert.ok(after.freeBytes > 0);
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
    await within(DEADLINE_MS, 'the property', fc.assert(property, { numRuns: propertyRuns }));
  });

  test.run();
}
