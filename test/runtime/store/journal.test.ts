/** The journal's chain: its formula, its checkpoint, and that each way of touching it is found where it was touched. */
import { createHash } from 'node:crypto';
import { Packr } from 'msgpackr';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createMemoryStore, type Fact, type Store, Tables } from '../../../runtime/store/index.ts';
import { changes } from '../../contracts/store-samples.ts';
import { tamperTables } from './tamper-tables.ts';

const test = suite('the journal');

const ENTRIES = 2_300;
const packr = new Packr({ useRecords: false });
const keyOf = (sequence: number) => sequence.toString(16).padStart(16, '0');

/** A journal with two checkpoints behind it; each test works on a copy. */
const filled = new Tables();
const written = createMemoryStore({ tables: filled });
for (let n = 1; n <= ENTRIES; n += 1) {
  await written.commit([changes({ facts: [{ type: 'counted', n }] })], n);
}

function reopened(touch: (tables: Tables) => void = () => undefined): Store {
  const tables = filled.copy();
  touch(tables);
  return createMemoryStore({ tables });
}

async function brokenAt(store: Store, whole: boolean): Promise<number> {
  const verdict = await store.verify({ whole });
  return verdict.ok ? 0 : verdict.sequence;
}

test('a link is SHA-256 over the previous hash, the sequence, and each fact with its length', async () => {
  const store = createMemoryStore();
  const facts: readonly Fact[][] = [
    [],
    [{ type: 'a' }],
    [
      { type: 'b', n: 1 },
      { type: 'c', ok: true },
    ],
  ];
  for (const some of facts) await store.commit([changes({ facts: some })], 0);
  let previous: Buffer = Buffer.alloc(32);
  for (const [index, some] of facts.entries()) {
    const parts = [previous, Buffer.alloc(8)];
    parts[1]?.writeBigUInt64BE(BigInt(index + 1));
    for (const fact of some) {
      const bytes = packr.pack(fact);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      parts.push(length, bytes);
    }
    const hash = createHash('sha256').update(Buffer.concat(parts)).digest();
    const entry = store.journal(index, 1)[0];
    assert.is(entry?.hash, hash.toString('hex'));
    assert.is(entry?.previous, previous.toString('hex'));
    previous = hash;
  }
});

test('a verification from the checkpoint reads only what came after it', async () => {
  const head = written.journal(ENTRIES - 1, 1)[0]?.hash ?? '';
  const since = await reopened().verify({ whole: false });
  assert.equal(since, { ok: true, entries: 300, facts: 300, head });
  const whole = await reopened().verify({ whole: true });
  assert.equal(whole, { ok: true, entries: ENTRIES, facts: ENTRIES, head });
});

test('a changed fact is found, before the checkpoint only by a whole verification', async () => {
  for (const sequence of [1, 999, 1_000, 1_999]) {
    const store = reopened((tables) => tamperTables(tables, sequence));
    assert.is(await brokenAt(store, true), sequence);
    assert.is(await brokenAt(store, false), 0);
  }
  for (const sequence of [2_000, 2_001, 2_150, ENTRIES]) {
    const store = reopened((tables) => tamperTables(tables, sequence));
    assert.is(await brokenAt(store, true), sequence);
    assert.is(await brokenAt(store, false), sequence);
  }
});

test('a missing, a foreign and an added entry are found', async () => {
  const write = (sequence: number, bytes: Uint8Array | undefined) => (tables: Tables) =>
    tables.replay([{ table: 'journal', key: keyOf(sequence), bytes }]);
  assert.is(await brokenAt(reopened(write(2_100, undefined)), false), 2_100);
  assert.is(await brokenAt(reopened(write(ENTRIES, undefined)), false), ENTRIES);
  assert.is(await brokenAt(reopened(write(2_100, Buffer.from('garbage'))), false), 2_100);
  const other = filled.get('journal', keyOf(2_099));
  assert.is(await brokenAt(reopened(write(2_100, other)), false), 2_100, 'one entry twice');
  assert.is(await brokenAt(reopened(write(ENTRIES + 1, other)), false), ENTRIES + 1);
});

test('an entry with a right hash of its own that breaks the chain is found', async () => {
  const store = reopened((tables) => {
    const facts = [packr.pack({ type: 'forged' })];
    const previous = Buffer.alloc(32, 7);
    const number = Buffer.alloc(8);
    number.writeBigUInt64BE(2_100n);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(facts[0]?.length ?? 0);
    const hash = createHash('sha256').update(Buffer.concat([previous, number, length, ...facts]));
    const bytes = packr.pack([0, previous, hash.digest(), facts]);
    tables.replay([{ table: 'journal', key: keyOf(2_100), bytes }]);
  });
  assert.is(await brokenAt(store, true), 2_100);
});

test('a rewritten checkpoint and a rewritten head are found', async () => {
  const meta = (key: string, value: unknown) => (tables: Tables) =>
    tables.replay([{ table: 'meta', key, bytes: packr.pack(value) }]);
  const wrong = Buffer.alloc(32, 1);
  assert.is(await brokenAt(reopened(meta('checkpoint', [2_200, wrong])), false), 2_200);
  assert.is(await brokenAt(reopened(meta('checkpoint', [9_999, wrong])), false), 9_999);
  assert.is(await brokenAt(reopened(meta('head', [ENTRIES, wrong, ENTRIES])), false), ENTRIES);
  const hash = Buffer.from(written.journal(2_249, 1)[0]?.hash ?? '', 'hex');
  const cut = reopened(meta('head', [2_250, hash, ENTRIES]));
  assert.is(await brokenAt(cut, false), 2_251, 'a head that was set back leaves entries behind it');
});

test('a verification yields between slices and says how far it is', async () => {
  const seen: number[] = [];
  let pauses = 0;
  const store = createMemoryStore({
    tables: filled.copy(),
    pause: async () => {
      pauses += 1;
    },
  });
  await store.verify({ whole: true, progress: (sequence) => seen.push(sequence) });
  assert.ok(pauses >= ENTRIES / 250, `${pauses} pauses`);
  assert.equal(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  assert.is(seen.at(-1), ENTRIES);
});

test('commits during a verification do not disturb it', async () => {
  const store: Store = createMemoryStore({
    tables: filled.copy(),
    pause: async () => {
      await store.commit([changes({ facts: [{ type: 'meanwhile' }] })], 0);
    },
  });
  const verdict = await store.verify({ whole: true });
  assert.is(verdict.ok && verdict.entries, ENTRIES);
  assert.ok(store.health().journalSequence > ENTRIES);
});

test.run();
