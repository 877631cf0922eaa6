/** The memory store keeps the store contract. */
import { createMemoryStore, Tables } from '../../../runtime/store/index.ts';
import { storeContract } from '../../contracts/store.contract.ts';
import { tamperTables } from './tamper-tables.ts';

storeContract({
  name: 'the memory store',
  propertyRuns: 400,
  async newPlace() {
    const tables = new Tables();
    return {
      open: async () => createMemoryStore({ tables }),
      async openTampered(sequence) {
        tamperTables(tables, sequence);
        return createMemoryStore({ tables });
      },
      dispose: async () => undefined,
    };
  },
}).run();
