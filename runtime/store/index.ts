/** What the store offers. Importing it loads no engine: `openLmdbStore` does, when it is called. */

// The contract
export { type ChangePart, joinChanges } from './change-set.ts';
export { type EncodedChangeSet, encodeChangeSet, joinEncoded } from './encoding.ts';
// Stores on a disk
export {
  type Ballast,
  type BallastOptions,
  createBallast,
  type LmdbStoreOptions,
  openLmdbStore,
} from './lmdb/index.ts';
// Stores for tests and simulations
export { createMemoryStore, type MemoryStoreOptions } from './memory.ts';
export { type PowerLossOptions, PowerLossStore } from './power-loss.ts';
export type {
  ChangeSet,
  CommitOutcome,
  Fact,
  JournalEntry,
  JournalVerdict,
  KeyPage,
  Row,
  ScanPage,
  ScanQuery,
  Store,
  StoredRow,
  StoreHealth,
} from './store.ts';
export { Tables } from './tables.ts';
