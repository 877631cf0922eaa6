/** The words that the store contract's parts share: a place, change sets, rows, facts. */
import { codeOf } from '../../runtime/errors.ts';
import type { ChangeSet, Fact, Row, Store } from '../../runtime/store/store.ts';

/** One place where a store lives, used by one test. */
export interface StorePlace {
  open(): Promise<Store>;
  /** Overwrites one byte of this journal entry's facts behind the closed store's back, then opens it to be read. */
  openTampered(sequence: number): Promise<Store>;
  dispose(): Promise<void>;
}

/** One promise of the contract; the work sees an open store, what it opens by itself it also closes. */
export type Promises = (
  title: string,
  work: (store: Store, place: StorePlace) => Promise<void>,
) => void;

export const AT_MS = 1_800_000_000_000;

export function changes(parts: Partial<ChangeSet>): ChangeSet {
  return { expect: [], put: [], remove: [], facts: [], ...parts };
}

export function put(key: string, row: Row, table = 'rows') {
  return { table, key, row };
}

export const expected = (key: string, revision: number, table = 'rows') => ({
  table,
  key,
  revision,
});
export const fact = (n: number): Fact => ({ type: 'counted', n, even: n % 2 === 0, who: `é${n}` });

export async function commit(store: Store, ...batch: Partial<ChangeSet>[]) {
  return store.commit(batch.map(changes), AT_MS);
}

export async function codeOfRejection(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return codeOf(error);
  }
  return 'nothing was thrown';
}
