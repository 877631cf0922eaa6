/** Starts the store's writer and checks afterwards that what it acknowledged is there. Part of the store's fault suites. */
import type { ChildProcess } from 'node:child_process';
import * as assert from 'uvu/assert';
import { openLmdbStore, type Store } from '../../runtime/store/index.ts';
import { type LinesEnd, runLines } from './run-lines.ts';
import { keysOf, SETS } from './store-writer.ts';

const WRITER = new URL('./store-writer.js', import.meta.url);

export interface WriterEnd extends LinesEnd {
  readonly lastAcknowledged: number;
}

export interface WriterRun {
  readonly directory: string;
  readonly firstBatch: number;
  readonly rowBytes: number;
  /** Called with each line; may kill. */
  onLine?(line: string, child: ChildProcess): void;
}

export async function runWriter({ onLine, ...run }: WriterRun): Promise<WriterEnd> {
  const args = [run.directory, String(run.firstBatch), String(run.rowBytes)];
  const { lines, exit, errors } = await runLines(WRITER, args, (line, child) =>
    onLine?.(line, child),
  );
  const acknowledged = lines.filter((line) => line.startsWith('ack '));
  const lastAcknowledged = Number(acknowledged.at(-1)?.slice(4) ?? run.firstBatch - 1);
  return { lastAcknowledged, lines, exit, errors };
}

/** Every batch up to the last acknowledged one is there; of the next, each change set in full or not at all. Gives the next free one. */
export function checkBatches(store: Store, lastAcknowledged: number): number {
  for (let n = 1; n <= lastAcknowledged; n += 1) {
    for (let set = 0; set < SETS; set += 1) {
      for (const key of keysOf(n, set)) {
        assert.is(store.read('rows', key)?.row.n, n, `acknowledged, but missing: ${key}`);
      }
    }
  }
  const next = lastAcknowledged + 1;
  const found = Array.from(
    { length: SETS },
    (_, set) => keysOf(next, set).filter((key) => store.read('rows', key) !== undefined).length,
  );
  assert.ok(
    found.every((count) => count === found[0]) && (found[0] === 0 || found[0] === 4),
    `a batch is there in parts: ${found.join(', ')}`,
  );
  return found[0] === 4 ? next + 1 : next;
}

/** Opens the store as a successor does, and checks rows and journal. Gives the first batch that is free. */
export async function checkAfterwards(
  directory: string,
  lastAcknowledged: number,
): Promise<number> {
  const store = await openLmdbStore({ directory });
  try {
    const next = checkBatches(store, lastAcknowledged);
    const verdict = await store.verify({ whole: true });
    assert.is(verdict.ok, true, JSON.stringify(verdict));
    assert.is(verdict.ok && verdict.entries, next - 1);
    return next;
  } finally {
    await store.close();
  }
}
