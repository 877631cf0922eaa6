/** A copy of a durable store: of one moment, beside commits, and cut by the store's end. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf } from '../../../runtime/errors.ts';
import { openLmdbStore, type Store } from '../../../runtime/store/index.ts';
import { commit, put } from '../../contracts/store-samples.ts';
import { within } from '../../support/within.ts';

const test = suite('a backup');

const LOG_BYTES = 64 * 1_024;
const TEXT = 'x'.repeat(20_000);

/** A store of some 24 MiB, more than a copy takes in a few turns. */
async function withLargeStore(work: (store: Store, root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'palyra-backup-'));
  try {
    const store = await openLmdbStore({ directory: join(root, 'store'), logBytes: LOG_BYTES });
    for (let n = 0; n < 30; n += 1) await commit(store, { put: rows(n, 0) });
    await within('the test', work(store, root), 60_000);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function rows(n: number, round: number) {
  return Array.from({ length: 40 }, (_, i) => put(`${n}-${i}`, { v: 1, round, text: TEXT }));
}

/** Settles in the turn in which the copy has begun, as each step of it takes a turn too, or is over: refused, it never begins. */
async function untilBegun(copy: string, backup: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  backup.then(over, over);
  while (!isOver && !existsSync(join(`${copy}.partial`, 'data.mdb'))) await nextTurn();
}

test('the end of the store cuts it: it is refused, leaves nothing, and the store opens again', () =>
  withLargeStore(async (store, root) => {
    const copy = join(root, 'copy');
    const refused = store.backup(copy).then(() => 'ok', codeOf);
    await untilBegun(copy, refused);
    await store.close();
    assert.is(await refused, 'store_closed');
    assert.equal(readdirSync(root), ['store']);
    const again = await openLmdbStore({ directory: join(root, 'store'), logBytes: LOG_BYTES });
    assert.equal(again.read('rows', '29-39')?.row.round, 0);
    await again.close();
  }));

test('it holds one moment, whatever is written over while it is made', () =>
  withLargeStore(async (store, root) => {
    const copy = join(root, 'copy');
    let isOver = false;
    const copied = store.backup(copy).finally(() => {
      isOver = true;
    });
    await untilBegun(copy, copied);
    let rounds = 0;
    for (; !isOver; rounds += 1) await commit(store, { put: rows(rounds % 30, 1) });
    await copied;
    assert.ok(rounds > 0, 'commits went on beside it');
    await store.close();
    const reader = await openLmdbStore({ directory: copy, readOnly: true });
    assert.is((await reader.verify({ whole: true })).ok, true);
    assert.is(reader.health().journalSequence, 30);
    const found = new Set<unknown>();
    for (let after = '', isMore = true; isMore; ) {
      const page = reader.scan({ table: 'rows', after, limit: 10_000 });
      for (const { row } of page.rows) found.add(row.round);
      after = page.next;
      isMore = after !== '';
    }
    assert.equal([...found], [0]);
    await reader.close();
  }));

test.run();
