/** The durable store and what guards its disk. Importing it loads no engine: `openLmdbStore` does, when it is called. */
export { type Ballast, type BallastOptions, createBallast } from './ballast.ts';
export { type LmdbStoreOptions, openLmdbStore } from './open.ts';
export { holdsWriterLock } from './writer-lock.ts';
