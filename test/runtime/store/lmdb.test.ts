/** The LMDB store keeps the store contract. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { openLmdbStore } from '../../../runtime/store/index.ts';
import { storeContract } from '../../contracts/store.contract.ts';
import { tamperBytes } from './tamper-tables.ts';

// With the smaller files most rows are in the database by the time that they are read, else in the log.
for (const logBytes of [1_048_576, 8_192]) {
  storeContract({
    name: `the LMDB store, ${logBytes} bytes of log`,
    propertyRuns: 60,
    async newPlace() {
      const directory = mkdtempSync(join(tmpdir(), 'palyra-store-'));
      return {
        open: () => openLmdbStore({ directory, logBytes }),
        async openTampered(sequence) {
          await tamperDirectory(directory, sequence);
          return openLmdbStore({ directory, readOnly: true });
        },
        dispose: async () => rmSync(directory, { recursive: true, force: true }),
      };
    },
  }).run();
}

/** Through a handle of its own, which knows nothing of the store's rules. */
async function tamperDirectory(directory: string, sequence: number): Promise<void> {
  const database = open<Buffer, Buffer>({
    path: directory,
    encoding: 'binary',
    keyEncoding: 'binary',
  });
  const key = Buffer.from(`journal\0${sequence.toString(16).padStart(16, '0')}`);
  const bytes = database.getBinary(key);
  if (bytes === undefined) throw new Error(`there is no entry ${sequence}`);
  await database.put(key, Buffer.from(tamperBytes(bytes)));
  await database.flushed;
  await database.close();
}
