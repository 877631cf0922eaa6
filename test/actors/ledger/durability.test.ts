/** The ledger on a store that loses what was not flushed: what was answered is there after any crash. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CommitReply } from '../../../actors/ledger/protocol.ts';
import { PowerLossStore } from '../../../runtime/store/power-loss.ts';
import type { Store, StoredRow } from '../../../runtime/store/store.ts';
import { within } from '../../support/within.ts';
import { createLedgerKit, turnOfLoop } from './open-ledger.ts';

const test = suite('ledger: durability');
const SEED = 20_261_104;
const CRASHES = 600;

function open(store: Store) {
  const deps = {
    openStore: async () => store,
    ballast: { ensure: async () => undefined, release: async () => false },
    prepareBackup: async (id: string) => id,
    log: () => undefined,
  };
  return createLedgerKit({ retention: [], limits: { maxBatch: 3 } }, deps);
}

interface Told {
  /** Keys whose commit was answered. */
  readonly committed: Set<string>;
  /** Keys that a read gave back. */
  readonly seen: Set<string>;
}

/** Plays the steps on one incarnation: `w` writes, `r` reads the newest key, `f` lets the disk flush, `t` is a turn. */
async function play(store: PowerLossStore, steps: readonly string[], told: Told) {
  const kit = await open(store);
  let newest = '';
  let written = 0;
  for (const step of steps) {
    if (step === 'w') {
      written += 1;
      const key = `k${written}`;
      newest = key;
      const put = [{ table: 'inbox', key, row: { v: 1 } }];
      const facts = [{ type: 'test.written', key }];
      const changes = { expect: [], put, remove: [], facts };
      const reply = kit.receive('commit', { changes, admits: true }) as Promise<CommitReply>;
      void Promise.resolve(reply).then(({ ok }) => ok && told.committed.add(key));
    } else if (step === 'r' && newest !== '') {
      const key = newest;
      const rows = kit.receive('read', { table: 'inbox', key }) as Promise<readonly StoredRow[]>;
      void rows.then((found) => found.length > 0 && told.seen.add(key));
    } else if (step === 'f') store.flush(1);
    await turnOfLoop();
  }
  return kit;
}

test(`no crash loses what was answered or shown (${CRASHES} crashes, seed ${SEED})`, async () => {
  let answered = 0;
  const lives = fc.tuple(
    fc.array(fc.constantFrom('w', 'r', 'f', 't'), { minLength: 12, maxLength: 40 }),
    fc.nat(),
  );
  await within(
    'all crashes',
    fc.assert(
      fc.asyncProperty(lives, async ([steps, seed]) => {
        const told: Told = { committed: new Set(), seen: new Set() };
        const store = new PowerLossStore();
        const kit = await play(store, steps, told);
        // The crash fails what is on its way, and that ends the incarnation.
        const over = kit.settle().catch(() => undefined);
        const after = store.crash(seed);
        await over;
        answered += told.committed.size;
        for (const key of [...told.committed, ...told.seen]) {
          if (after.read('inbox', key) === undefined) return false;
        }
        return (await after.verify({ whole: true })).ok;
      }),
      { seed: SEED, numRuns: CRASHES },
    ),
    60_000,
  );
  assert.ok(answered > CRASHES, `${answered} commits were answered`);
});

test.run();
