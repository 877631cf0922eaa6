/** A process that writes batches to a store until the last one, or it is killed, or the disk is full, and says each acknowledged one. */
import { writeSync } from 'node:fs';
import { codeOf } from '../../runtime/errors.ts';
import { openLmdbStore } from '../../runtime/store/index.ts';
import { changes, put } from '../contracts/store-samples.ts';

const LOG_BYTES = 65_536;

/** Each batch: this many change sets of four rows and a fact. */
export const SETS = 3;

/** The rows of change set `set` of batch `n`: all of them are there, or none. */
export function keysOf(n: number, set: number): string[] {
  return ['a', 'b', 'c', 'd'].map((part) => `${String(n).padStart(8, '0')}:${set}:${part}`);
}

const [directory, firstBatch, rowBytes, lastBatch = 'Infinity'] = process.argv.slice(2);

if (directory !== undefined && process.argv[1]?.endsWith('store-writer.js')) {
  const last = Number(lastBatch);
  await write(directory, { first: Number(firstBatch), last, rowBytes: Number(rowBytes) });
}

/** Exits 74 where the store refuses to go on. */
async function write(
  directory: string,
  {
    first,
    last,
    rowBytes,
  }: { readonly first: number; readonly last: number; readonly rowBytes: number },
): Promise<void> {
  // So that a round moves rows to the database many times.
  const store = await openLmdbStore({ directory, closeTimeoutMs: 1_500, logBytes: LOG_BYTES });
  say('open');
  try {
    for (let n = first; n <= last; n += 1) {
      const batch = Array.from({ length: SETS }, (_, set) =>
        changes({
          put: keysOf(n, set).map((key) => put(key, { v: 1, n, text: 'x'.repeat(rowBytes) })),
          facts: [{ type: 'written', n, set }],
        }),
      );
      const outcomes = await store.commit(batch, 1_800_000_000_000 + n);
      if (!outcomes.every(({ ok }) => ok)) throw new Error(`batch ${n} was not accepted`);
      say(`ack ${n}`);
    }
    await store.close();
  } catch (error) {
    say(`failed ${codeOf(error)}`);
    const again = await store.commit([changes({})], 0).catch(codeOf);
    say(`again ${again}`);
    await store.close();
    say('closed');
    process.exit(74);
  }
}

function say(line: string): void {
  writeSync(1, `${line}\n`);
}
