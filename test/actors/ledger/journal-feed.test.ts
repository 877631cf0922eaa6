/** The journal as a feed: cursors on and back, what a subject keeps, and how much one page reads. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readJournal } from '../../../actors/ledger/journal-feed.ts';
import { operations } from '../../../proto/control/catalogue.ts';
import type { OperationReply } from '../../../proto/control/owner.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { Store } from '../../../runtime/store/store.ts';
import { openLedger } from './open-ledger.ts';

type Opened = Awaited<ReturnType<typeof openLedger>>;
type JournalOutput = ReturnType<typeof readJournal>;

const { input, output } = operations['journal.read'];
const test = suite('ledger: the journal as a feed');

async function journal(opened: Opened, wanted: object): Promise<JournalOutput> {
  const call = {
    operation: 'journal.read',
    input: input.parse(wanted),
    principal: 'test',
  } as const;
  const reply = (await opened.kit.receive('operate', call)) as OperationReply;
  assert.ok(reply.ok);
  return output.parse(reply.output);
}

async function writeFacts(opened: Opened, count: number): Promise<void> {
  for (let n = 1; n <= count; n += 1) {
    const runId = `run-${n % 3}`;
    const reply = opened.put(`k${n}`, { facts: [{ type: 'test.written', run_id: runId, n }] });
    await opened.drain();
    await reply;
  }
}

test('the journal is read page by page from a cursor', async () => {
  const opened = await openLedger();
  await writeFacts(opened, 5);
  const first = await journal(opened, { limit: 2 });
  assert.equal(
    first.entries.map((entry) => entry.sequence),
    [1, 2],
  );
  assert.is(first.next, 2);
  const rest = await journal(opened, { after: first.next });
  assert.equal(
    rest.entries.map((entry) => entry.sequence),
    [3, 4, 5],
  );
  assert.equal(await journal(opened, { after: rest.next }), { entries: [], next: 5, previous: 6 });
});

test('a subject keeps the facts that name it, and ids derived from it', async () => {
  const opened = await openLedger();
  await writeFacts(opened, 6);
  const reply = opened.put('d', { facts: [{ type: 'delivery', delivery_id: 'run-1:0000' }] });
  await opened.drain();
  await reply;
  const { entries, next } = await journal(opened, { subject: 'run-1' });
  assert.equal(
    entries.map((entry) => entry.sequence),
    [1, 4, 7],
  );
  assert.is(next, 7);
});

test('tail gives the newest matches in the order they happened', async () => {
  const opened = await openLedger();
  await writeFacts(opened, 9);
  const newest = await journal(opened, { tail: true, limit: 2 });
  assert.equal(
    newest.entries.map((entry) => entry.sequence),
    [8, 9],
  );
  const ofSubject = await journal(opened, { tail: true, limit: 2, subject: 'run-0' });
  assert.equal(
    ofSubject.entries.map((entry) => entry.sequence),
    [6, 9],
  );
});

test('pages lead back from the newest to the first, whatever is written meanwhile', async () => {
  const opened = await openLedger();
  await writeFacts(opened, 7);
  const seen: number[][] = [];
  let before = 0;
  do {
    const page = await journal(opened, { tail: true, limit: 3, before });
    seen.push(page.entries.map(({ sequence }) => sequence));
    before = page.previous;
    await writeFacts(opened, 2);
  } while (before > 0);
  assert.equal(seen, [[5, 6, 7], [2, 3, 4], [1]]);
  const ofSubject = await journal(opened, { before: 7, limit: 1, subject: 'run-1' });
  assert.equal(
    ofSubject.entries.map(({ sequence }) => sequence),
    [4],
  );
  assert.equal([ofSubject.previous, ofSubject.next], [4, 6]);
  const forward = await journal(opened, { after: ofSubject.next, limit: 1 });
  assert.is(forward.entries[0]?.sequence, 7, 'it leads on again');
  const none = await journal(opened, { before: 1 });
  assert.equal(none, { entries: [], next: 0, previous: 0 });
});

test('a page of a long journal that holds no match leads back all the same', async () => {
  const opened = await openLedger();
  await writeFacts(opened, 1_100);
  const pages: JournalOutput[] = [];
  let before = 0;
  do {
    const page = await journal(opened, { tail: true, before, subject: 'nobody' });
    pages.push(page);
    before = page.previous;
  } while (before > 0);
  assert.equal(
    pages.flatMap(({ entries }) => entries),
    [],
  );
  assert.ok(pages.length <= 3, `${pages.length} pages`);
});

/** A store of entries with so many facts each, and what was read of them. */
async function countedStore(entries: number, factsPerEntry: number) {
  const store = createMemoryStore();
  for (let n = 1; n <= entries; n += 1) {
    const facts = Array.from({ length: factsPerEntry }, (_, i) => ({ type: 'test.written', n, i }));
    const put = [{ table: 't', key: `k${n}`, row: { v: 1 } }];
    await store.commit([{ expect: [], put, remove: [], facts }], n);
  }
  const counted = {
    entries: 0,
    facts: 0,
    health: () => store.health(),
    journal(after: number, limit: number): ReturnType<Store['journal']> {
      const page = store.journal(after, limit);
      counted.entries += page.length;
      for (const { facts } of page) counted.facts += facts.length;
      return page;
    },
  };
  return counted;
}

const STILL = () => 0;

for (const direction of [{ tail: false }, { tail: true }]) {
  const name = direction.tail ? 'the newest page' : 'the first page';

  test(`${name} reads no more entries than it gives`, async () => {
    const store = await countedStore(40, 100);
    const page = readJournal(store, input.parse({ ...direction, limit: 1 }), STILL);
    assert.is(page.entries.length, 1);
    assert.equal([store.entries, store.facts], [1, 100]);
  });

  test(`${name} ends with the entry at which 2,000 facts were read, whether they match or not`, async () => {
    for (const subject of ['', 'nobody']) {
      const store = await countedStore(40, 600);
      const page = readJournal(store, input.parse({ ...direction, subject, limit: 500 }), STILL);
      assert.is(page.entries.length, subject === '' ? 4 : 0);
      assert.equal([store.entries, store.facts], [4, 2_400]);
      assert.is(direction.tail ? page.previous : page.next, direction.tail ? 37 : 4);
    }
  });

  test(`${name} is bounded where entries have no fact`, async () => {
    const store = await countedStore(2_500, 0);
    readJournal(store, input.parse(direction), STILL);
    assert.is(store.entries, 2_000);
  });

  test(`${name} ends after 5 ms, with one entry or 64 facts at least`, async () => {
    for (const [factsAnEntry, msAnEntry, entries] of [
      [64, 1, 5],
      [64, 1_000, 1],
      [1, 1_000, 32],
    ] as const) {
      const store = await countedStore(40, factsAnEntry);
      const page = readJournal(store, input.parse(direction), () => store.entries * msAnEntry);
      assert.is(store.entries, entries);
      assert.is(
        direction.tail ? page.previous : page.next,
        direction.tail ? 41 - entries : entries,
      );
    }
  });
}

test('pages that end early lead through the whole journal, on and back', async () => {
  const store = await countedStore(9, 1_100);
  const on: number[][] = [];
  for (let after = -1, next = 0; next !== after; ) {
    after = next;
    const page = readJournal(store, input.parse({ after }), STILL);
    on.push(page.entries.map(({ sequence }) => sequence));
    next = page.next;
  }
  assert.equal(on, [[1, 2], [3, 4], [5, 6], [7, 8], [9], []]);
  const back: number[][] = [];
  let before = 0;
  do {
    const page = readJournal(store, input.parse({ tail: true, before }), STILL);
    back.push(page.entries.map(({ sequence }) => sequence));
    before = page.previous;
  } while (before > 0);
  assert.equal(back, [[8, 9], [6, 7], [4, 5], [2, 3], [1]]);
});

test.run();
