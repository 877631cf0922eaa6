/** Starts the store's writer and checks afterwards that what it acknowledged is there. Part of the store's fault suites. */
import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { openLmdbStore, type Store } from '../../runtime/store/index.ts';
import { within } from '../support/within.ts';
import { keysOf, SETS } from './store-writer.ts';

const WRITER = fileURLToPath(new URL(`./store-writer${extname(import.meta.url)}`, import.meta.url));
const EXIT_TIMEOUT_MS = 60_000;

export interface WriterEnd {
  readonly lastAcknowledged: number;
  readonly lines: readonly string[];
  /** Exit code, or the signal's name. */
  readonly exit: number | string;
  readonly errors: string;
}

export interface WriterRun {
  readonly directory: string;
  readonly firstBatch: number;
  readonly rowBytes: number;
  /** Called with each line; may kill. */
  onLine?(line: string, child: ChildProcess): void;
}

export async function runWriter(run: WriterRun): Promise<WriterEnd> {
  const args = [WRITER, run.directory, String(run.firstBatch), String(run.rowBytes)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  let errors = '';
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-4_000);
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      run.onLine?.(line, child);
    }
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  try {
    const exit = await within('the end of the writer', ended, EXIT_TIMEOUT_MS);
    const acknowledged = lines.filter((line) => line.startsWith('ack '));
    const lastAcknowledged = Number(acknowledged.at(-1)?.slice(4) ?? run.firstBatch - 1);
    return { lastAcknowledged, lines, exit, errors };
  } finally {
    child.kill('SIGKILL');
  }
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
