/** A file system of 64 MiB, filled by the store's own commits: a coded end, nothing acknowledged is lost, and it goes on with room. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createBallast, openLmdbStore } from '../../runtime/store/index.ts';
import { createReaderPlace } from '../../runtime/store/lmdb/reader-place.ts';
import { changes, put } from '../contracts/store-samples.ts';
import { faultScale } from '../support/scale.ts';
import { skipTest } from '../support/skip.ts';
import { onSmallDisk, resizeDisk, whyNoMount } from './small-disk.ts';
import { checkAfterwards, checkBatches, runWriter } from './store-rounds.ts';

const test = suite('a store on a full disk');

const ROUNDS = faultScale(3, 50);
const MIB = 1_024 * 1_024;

const TITLE = `filled by its own commits it ends with store_failed, loses nothing acknowledged, and goes on with room (${ROUNDS} rounds)`;
const reason = whyNoMount();

if (reason !== '') {
  skipTest(test, TITLE, reason);
} else {
  test(TITLE, async () => {
    for (let round = 1; round <= ROUNDS; round += 1) {
      await onSmallDisk('64m', async (disk) => {
        const directory = join(disk, 'store');
        const rowBytes = 3_000 + ((round * 7_919) % 9_000);
        const end = await runWriter({ directory, firstBatch: 1, rowBytes });
        assert.is(end.exit, 74, `round ${round}: exit ${end.exit}\n${end.errors}`);
        assert.equal(
          end.lines.slice(-3),
          ['failed store_failed', 'again store_failed', 'closed'],
          'it is closed for writing, and closing settles',
        );
        assert.ok(end.lastAcknowledged > 10, `only ${end.lastAcknowledged} batches fitted`);
        await checkReadOnly(directory, end.lastAcknowledged);
        resizeDisk(disk, '128m');
        const next = await checkAfterwards(directory, end.lastAcknowledged);
        await writeOneMore(directory, next);
      });
    }
  });

  test('releasing the ballast makes room for more commits', async () => {
    await onSmallDisk('64m', async (disk) => {
      const directory = join(disk, 'store');
      const ballast = createBallast({ path: join(disk, 'ballast'), bytes: 16 * MIB });
      await ballast.ensure();
      const full = await runWriter({ directory, firstBatch: 1, rowBytes: 8_000 });
      assert.is(full.exit, 74, full.errors);
      assert.is(await ballast.release(), true);
      const next = await checkAfterwards(directory, full.lastAcknowledged);
      const more = await runWriter({ directory, firstBatch: next, rowBytes: 8_000 });
      assert.ok(more.lastAcknowledged > next + 50, `${more.lastAcknowledged - next} batches`);
      await checkReadOnly(directory, more.lastAcknowledged);
      await assertRejects(ballast.ensure());
      assert.is(ballast.exists(), false, 'a part of it would only take the last room');
    });
  });

  test('a reader keeps its lock file elsewhere where the temporary directory is full', async () => {
    await onSmallDisk('1m', async (full) => {
      assert.throws(() => writeFileSync(join(full, 'filler'), new Uint8Array(2 * MIB)), /ENOSPC/);
      await onSmallDisk('1m', async (other) => {
        const store = join(other, 'store');
        mkdirSync(store);
        const place = createReaderPlace([full, other], join(store, 'data.mdb'));
        assert.is(dirname(place), other);
        assert.equal(readdirSync(full), ['filler']);
      });
    });
  });
}

async function checkReadOnly(directory: string, lastAcknowledged: number): Promise<void> {
  const store = await openLmdbStore({ directory, readOnly: true });
  try {
    checkBatches(store, lastAcknowledged);
    assert.is((await store.verify({ whole: true })).ok, true);
  } finally {
    await store.close();
  }
}

async function writeOneMore(directory: string, next: number): Promise<void> {
  const store = await openLmdbStore({ directory });
  try {
    const row = put(`${next}:more`, { v: 1, text: 'x'.repeat(MIB) });
    assert.is((await store.commit([changes({ put: [row] })], 0))[0]?.ok, true);
  } finally {
    await store.close();
  }
}

async function assertRejects(work: Promise<unknown>): Promise<void> {
  const outcome = await work.then(
    () => 'settled',
    () => 'rejected',
  );
  assert.is(outcome, 'rejected');
}

test.run();
