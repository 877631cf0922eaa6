/** What every store keeps about its journal: one entry a batch, a chain that verifies. Part of the store contract. */
import * as assert from 'uvu/assert';
import { AT_MS, changes, commit, expected, fact, type Promises } from './store-samples.ts';

export function journalPromises(promises: Promises): void {
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

  promises('a page of the journal is a short piece of work, and leads on', async (store) => {
    const large = Array.from({ length: 3 }, () => ({ type: 'large', text: 'x'.repeat(60_000) }));
    for (let n = 1; n <= 230; n += 1) await commit(store, { facts: n <= 4 ? large : [fact(n)] });
    const pages: number[] = [];
    for (let after = 0; after < 230; ) {
      const page = store.journal(after, 1_000);
      assert.is(page[0]?.sequence, after + 1);
      pages.push(page.length);
      after += page.length;
    }
    assert.equal(pages, [2, 2, 200, 26]);
    assert.equal(store.journal(230, 1_000), []);
  });

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
      const again = await place.openTampered(4);
      const verdict = await again.verify({ whole: true });
      assert.is(verdict.ok, false);
      assert.is(verdict.ok ? 0 : verdict.sequence, 4);
      await again.close();
    },
  );
}
