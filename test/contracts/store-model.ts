/** A store as plain maps, and the batches that are tried on both. Part of the store contract. */
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { ChangeSet, CommitOutcome, Row, ScanPage, Store } from '../../runtime/store/store.ts';
import type { StorePlace } from './store-samples.ts';

type Step =
  | { readonly type: 'batch'; readonly sets: readonly DrawnSet[] }
  | { readonly type: 'reopen' }
  | {
      readonly type: 'scan';
      readonly table: string;
      readonly prefix: string;
      readonly after: string;
      readonly limit: number;
      readonly reverse: boolean;
    };

type Scan = Extract<Step, { readonly type: 'scan' }>;

/** `expect` names a row and by how much its revision is missed; most are right. */
interface DrawnSet {
  readonly expect: readonly {
    readonly table: string;
    readonly key: string;
    readonly off: number;
  }[];
  readonly put: ChangeSet['put'];
  readonly remove: ChangeSet['remove'];
  readonly facts: ChangeSet['facts'];
}

const table = fc.constantFrom('a', 'ab', 'b');
const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('k', 'k1', 'k2', 'k:1', 'k:2', 'l', '\0', 'é') },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }) },
);
const place = fc.record({ table, key });
const plain = { noNullPrototype: true } as const;
const row = fc.record({ v: fc.nat(3), text: fc.string({ maxLength: 40 }) }, plain);
const fact = fc.record({ type: fc.constantFrom('made', 'lost'), n: fc.nat(9) }, plain);

const drawnSet: fc.Arbitrary<DrawnSet> = fc.record({
  expect: fc.array(fc.record({ table, key, off: fc.constantFrom(0, 0, 0, 0, 0, 1) }), {
    maxLength: 2,
  }),
  put: fc.array(fc.record({ table, key, row }), { maxLength: 3 }),
  remove: fc.array(place, { maxLength: 2 }),
  facts: fc.array(fact, { maxLength: 2 }),
});

const prefix = fc.constantFrom('', 'k', 'k:', 'é', 'z');

export function writesOf(): fc.Arbitrary<readonly Step[]> {
  const batch = fc.record({
    type: fc.constant('batch' as const),
    sets: fc.array(drawnSet, { minLength: 1, maxLength: 4 }),
  });
  const scan = fc.record({
    type: fc.constant('scan' as const),
    table,
    prefix,
    after: fc.oneof(fc.constant(''), key),
    limit: fc.integer({ min: 1, max: 5 }),
    reverse: fc.boolean(),
  });
  const reopen = fc.record({ type: fc.constant('reopen' as const) });
  return fc.array(
    fc.oneof(
      { weight: 6, arbitrary: batch },
      { weight: 4, arbitrary: scan },
      { weight: 1, arbitrary: reopen },
    ),
    { minLength: 1, maxLength: 14 },
  );
}

interface Model {
  revision: number;
  entries: number;
  facts: number;
  readonly rows: Map<string, { readonly revision: number; readonly row: Row }>;
}

const at = (one: { readonly table: string; readonly key: string }) => `${one.table}/${one.key}`;

export async function runAgainstModel(place: StorePlace, steps: readonly Step[]): Promise<void> {
  const model: Model = { revision: 0, entries: 0, facts: 0, rows: new Map() };
  let store = await place.open();
  for (const step of steps) {
    if (step.type === 'reopen') {
      await store.close();
      store = await place.open();
    } else if (step.type === 'scan') {
      compareScan(store, model, step);
    } else {
      await commitBoth(store, model, step.sets);
    }
  }
  for (const name of ['a', 'ab', 'b']) {
    const all = { type: 'scan', table: name, prefix: '', after: '', limit: 1_000 } as const;
    const page = compareScan(store, model, { ...all, reverse: false });
    for (const { key, ...stored } of page.rows) assert.equal(store.read(name, key), stored);
  }
  const verdict = await store.verify({ whole: true });
  assert.is(verdict.ok, true);
  assert.equal(verdict.ok && [verdict.entries, verdict.facts], [model.entries, model.facts]);
  await store.close();
}

function compareScan(store: Store, model: Model, query: Scan): ScanPage {
  const page = store.scan(query);
  const { rows, next } = scanModel(model, query);
  assert.equal(page, { rows, next });
  assert.equal(store.keys(query), { keys: rows.map(({ key }) => key), next });
  return page;
}

async function commitBoth(store: Store, model: Model, sets: readonly DrawnSet[]): Promise<void> {
  const batch: ChangeSet[] = [];
  const outcomes: CommitOutcome[] = [];
  const before = model.revision;
  for (const { expect, ...writes } of sets) {
    const expectations = expect.map(({ table, key, off }) => ({
      table,
      key,
      revision: (model.rows.get(at({ table, key }))?.revision ?? 0) + off,
    }));
    batch.push({ expect: expectations, ...writes });
    outcomes.push(applyToModel(model, { expect: expectations, ...writes }));
  }
  if (model.revision > before) model.entries += 1;
  assert.equal(await store.commit(batch, 1_800_000_000_000), outcomes);
}

function applyToModel(model: Model, { expect, put, remove, facts }: ChangeSet): CommitOutcome {
  for (const { table, key, revision } of expect) {
    const actual = model.rows.get(at({ table, key }))?.revision ?? 0;
    if (actual !== revision) return { ok: false, code: 'conflict', table, key, actual };
  }
  model.revision += 1;
  const { revision } = model;
  for (const one of put) model.rows.set(at(one), { revision, row: one.row });
  for (const one of remove) model.rows.delete(at(one));
  model.facts += facts.length;
  return { ok: true, revision };
}

function scanModel(model: Model, query: Scan) {
  const start = `${query.table}/`;
  const sign = query.reverse ? -1 : 1;
  const order = (a: string, b: string) => sign * Buffer.compare(Buffer.from(a), Buffer.from(b));
  const found = [...model.rows]
    .filter(([place]) => place.startsWith(start))
    .map(([place, stored]) => ({ key: place.slice(start.length), ...stored }))
    .filter(({ key }) => key.startsWith(query.prefix))
    .filter(({ key }) => query.after === '' || order(key, query.after) > 0)
    .sort((a, b) => order(a.key, b.key));
  const rows = found.slice(0, query.limit);
  return { rows, next: found.length > rows.length ? (rows.at(-1)?.key ?? '') : '' };
}
