/** The ledger: the one writer of the gateway's durable state. It decides nothing about what is written. */
import type { OperationReply } from '../../proto/control/owner.ts';
import { PalyraError } from '../../proto/errors.ts';
import { createUlids, ulidTimeMs } from '../../proto/ids.ts';
import { defineActor } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { KeyPage, ScanPage, Store, StoredRow } from '../../runtime/store/store.ts';
import {
  checkFlight,
  commitAgeMs,
  enqueueCommit,
  enqueueLook,
  flushRest,
  land,
  pump,
  pumpSoon,
} from './commit-flow.ts';
import { CommitQueue } from './commit-queue.ts';
import { endBackup, metrics, operate } from './control.ts';
import { mayWait, retryAfterMs, type Space } from './decide.ts';
import type {
  LedgerArgs,
  LedgerDeps,
  LedgerLimits,
  LedgerOwn,
  LedgerSelf,
  LedgerState,
} from './ledger-state.ts';
import type { CommitReply, CommitRequest, LedgerProtocol } from './protocol.ts';
import { momentOf, retain, startRetention, tellOwner } from './retention.ts';
import { startRetentionClock } from './retention-clock.ts';
import { JOBS_TABLE, jobsInterrupted, keptClockMs } from './rows.ts';
import { ballastMoved, checkSpace } from './space.ts';

const MIB = 1_024 * 1_024;
const DEFAULT_LIMITS: LedgerLimits = {
  maxPending: 8_192,
  maxPendingBytes: 64 * MIB,
  // Past 512 a commit takes longer without a flush the fewer.
  maxBatch: 512,
  lowFreeBytes: 8 * MIB,
  ballastBytes: 16 * MIB,
};
const DISK_CHECK_MS = 1_000;
const STORAGE_LOW_RETRY_MS = 5_000;

/**
 * Main thread. A failed flush, or one without an answer for a minute, crashes it with `store_failed`: the process must end
 * (exit 74), because a store that refused a commit cannot be believed before it is opened again.
 */
export const ledgerActor = defineActor<
  LedgerProtocol,
  LedgerOwn,
  LedgerArgs,
  LedgerState,
  LedgerDeps
>({
  module: import.meta.url,
  export: 'ledgerActor',
  name: 'ledger',
  mailbox: { limitMessages: 16_384, overflow: 'reject' },
  start: startLedger,
  receive: {
    commit: takeCommit,
    read: (state, { table, key }, self) =>
      look<readonly StoredRow[]>(state, self, () => {
        const stored = state.store.read(table, key);
        return stored === undefined ? [] : [stored];
      }),
    scan: (state, query, self) => look<ScanPage>(state, self, () => state.store.scan(query)),
    keys: (state, query, self) => look<KeyPage>(state, self, () => state.store.keys(query)),
    health: (state, _nothing, self) => ({
      ...state.store.health(),
      admitting: state.space.admitting,
      pending: state.queue.length,
      commitAgeMs: commitAgeMs(state, self),
    }),
    operate(state, call, self) {
      const later = self.defer<OperationReply>();
      operate(state, self, call, (reply) => later.resolve(reply));
      return later.promise;
    },
    metrics,
    flushed(state, landing, self) {
      land(state, self, landing);
      pumpSoon(state, self);
    },
    pump(state, _nothing, self) {
      state.isPumpPlanned = false;
      pump(state, self);
    },
    checkDisk(state, _nothing, self) {
      checkFlight(state, self);
      checkSpace(state, self);
      self.after('checkDisk', DISK_CHECK_MS, 'checkDisk', null);
    },
    ballastMoved,
    retain: (state, _nothing, self) => retain(state, self),
    tellOwner: (state, slice, self) => tellOwner(state, self, slice),
    backupEnded: (state, end, self) => endBackup(state, self, end),
  },
  stop: stopLedger,
});

async function startLedger(
  self: LedgerSelf,
  args: LedgerArgs,
  deps: LedgerDeps,
): Promise<LedgerState> {
  const store = await deps.openStore();
  try {
    await endInterruptedJobs(store, self.clock.wallMs());
    const space = { admitting: true, ballast: await makeBallast(deps) } as const;
    const state = freshState(self, { store, args, deps, space });
    checkSpace(state, self);
    self.after('checkDisk', DISK_CHECK_MS, 'checkDisk', null);
    startRetention(state, self);
    return state;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The jobs that ran when the process before died have failed. */
async function endInterruptedJobs(store: Store, nowMs: number): Promise<void> {
  for (let after = ''; ; ) {
    const page = store.scan({ table: JOBS_TABLE, after, limit: 500 });
    const changes = jobsInterrupted(page, nowMs);
    if (changes.length > 0) await store.commit(changes, nowMs);
    if (page.next === '') return;
    after = page.next;
  }
}

async function makeBallast(deps: LedgerDeps): Promise<Space['ballast']> {
  try {
    await deps.ballast.ensure();
    return 'there';
  } catch (error) {
    deps.log('warn', 'no room for the ballast file', { code: codeOf(error) });
    return 'gone';
  }
}

function freshState(
  self: LedgerSelf,
  given: {
    readonly store: Store;
    readonly args: LedgerArgs;
    readonly deps: LedgerDeps;
    readonly space: Space;
  },
): LedgerState {
  const newest = given.store.keys({ table: JOBS_TABLE, limit: 1, reverse: true }).keys[0];
  const newestJobMs = newest === undefined ? -1 : ulidTimeMs(newest);
  // Not secret: it only keeps two jobs of one millisecond apart.
  const randomBytes = (size: number) =>
    Uint8Array.from({ length: size }, () => Math.floor(self.random() * 256));
  return {
    store: given.store,
    deps: given.deps,
    limits: { ...DEFAULT_LIMITS, ...given.args.limits },
    retention: given.args.retention,
    rowOwners: given.args.rowOwners ?? {},
    queue: new CommitQueue(),
    nextJobId: createUlids({ wallMs: () => self.clock.wallMs(), randomBytes }, newestJobMs),
    flight: undefined,
    lateFlight: undefined,
    isAnswering: false,
    isPumpPlanned: false,
    hasFailed: false,
    space: given.space,
    bytesSinceSpaceCheck: 0,
    lastBatchMs: 1,
    retentionClock: startRetentionClock(keptClockMs(given.store), momentOf(self)),
    sweep: { rule: 0, after: '' },
    backup: undefined,
    counts: { batches: 0, changeSets: 0, conflicts: 0, busy: 0, storageLow: 0, retained: 0 },
  };
}

function takeCommit(
  state: LedgerState,
  { changes, admits }: CommitRequest,
  self: LedgerSelf,
): CommitReply | PromiseLike<CommitReply> {
  if (admits && !state.space.admitting) {
    state.counts.storageLow += 1;
    return { ok: false, code: 'storage_low', retryAfterMs: STORAGE_LOW_RETRY_MS };
  }
  const { queue, limits } = state;
  if (!mayWait({ requests: queue.length, bytes: queue.bytes }, admits, limits)) {
    state.counts.busy += 1;
    const waitMs = retryAfterMs(queue.length, limits.maxBatch, state.lastBatchMs);
    return { ok: false, code: 'busy', retryAfterMs: waitMs };
  }
  const later = self.defer<CommitReply>();
  enqueueCommit(state, self, changes, later);
  return later.promise;
}

/** Answers with what `read` finds when its turn comes; a line that is full refuses the ask. */
function look<T>(state: LedgerState, self: LedgerSelf, read: () => T): PromiseLike<T> {
  const later = self.defer<T>();
  if (state.queue.length >= state.limits.maxPending) {
    state.counts.busy += 1;
    later.reject(new PalyraError('busy', `${state.queue.length} requests are waiting already`));
  } else {
    enqueueLook(state, self, () => {
      try {
        later.resolve(read());
      } catch (error) {
        later.reject(
          new PalyraError('internal_error', 'the store refused a read', { cause: error }),
        );
      }
    });
  }
  return later.promise;
}

/** After an orderly end everything asked for is written down first; after a crash only the store is closed. */
async function stopLedger(state: LedgerState, self: LedgerSelf): Promise<void> {
  if (!self.signal.aborted) await flushRest(state, self);
  const closing = state.store.close();
  // A store on a full disk may never close, and the process has to hear of the failure now.
  if (!state.hasFailed) return closing;
  closing.catch((error: unknown) => {
    state.deps.log('error', 'the store was not closed in order', { code: codeOf(error) });
  });
}
