/** Group commit: one store commit on its way, everything that comes meanwhile gathers for the next. */
import { codeOf, messageOf, RuntimeError } from '../../runtime/errors.ts';
import { type EncodedChangeSet, encodeChangeSet } from '../../runtime/store/encoding.ts';
import type { ChangeSet, CommitOutcome, Store } from '../../runtime/store/store.ts';
import type { CommitEnds } from './commit-queue.ts';
import type { Flight, Landing, LedgerSelf, LedgerState } from './ledger-state.ts';
import { checkSpace } from './space.ts';

// A look may scan: after this long the thread's other work gets its turn.
const LOOK_SLICE_MS = 5;
// One commit's memory stays bounded also when every row is large.
const MAX_BATCH_BYTES = 8 * 1_024 * 1_024;
// Free space is looked at again after this much was written, without waiting for the timer.
const SPACE_CHECK_BYTES = 1_024 * 1_024;

// Longer than any disk takes that is only busy.
const HUNG_AFTER_MS = 60_000;

/**
 * Takes a change set into the line: its end is told after the flush, or at once where no store takes such a one. It is
 * encoded here, one by one, and not when a batch takes off: the disk would have nothing to do meanwhile.
 */
export function enqueueCommit(
  state: LedgerState,
  self: LedgerSelf,
  changes: ChangeSet | EncodedChangeSet,
  ends: CommitEnds,
): void {
  let encoded: EncodedChangeSet;
  try {
    encoded = encodeChangeSet(changes);
  } catch (error) {
    ends.reject(error instanceof Error ? error : new Error(messageOf(error)));
    return;
  }
  state.queue.push({ type: 'commit', changes: encoded, ends });
  pumpSoon(state, self);
}

/** The ends of a change set of the ledger's own making: a refused one is a defect here. */
export function own(written: CommitEnds['resolve']): CommitEnds {
  return {
    resolve: written,
    reject(error) {
      throw error;
    },
  };
}

/** Takes a read into the line: it sees everything that was asked for before it. */
export function enqueueLook(state: LedgerState, self: LedgerSelf, look: () => void): void {
  state.queue.push({ type: 'look', look });
  pumpSoon(state, self);
}

/**
 * Behind the messages that are here already: a commit that took off with the first of them would make all others wait
 * until it is back.
 */
export function pumpSoon(state: LedgerState, self: LedgerSelf): void {
  if (state.flight !== undefined) return;
  // Nothing more has room in it.
  if (state.queue.length >= state.limits.maxBatch) pump(state, self);
  else planPump(state, self);
}

function planPump(state: LedgerState, self: LedgerSelf): void {
  if (state.isPumpPlanned) return;
  state.isPumpPlanned = self.tell(self.ref, 'pump', null);
  if (!state.isPumpPlanned) pump(state, self);
}

/** Answers the looks at the head of the line, then sends the next batch, unless one is on its way. */
export function pump(state: LedgerState, self: LedgerSelf): void {
  if (state.flight !== undefined || state.isAnswering) return;
  if (state.bytesSinceSpaceCheck >= SPACE_CHECK_BYTES) checkSpace(state, self);
  if (!answerLooks(state, self)) {
    self.after('pump', 0, 'pump', null);
    return;
  }
  if (state.queue.length === 0) return;
  const flight = takeOff(state, self);
  self.run(
    () => flight.work,
    'flushed',
    (settled) => ({ flight, settled }),
  );
}

/** Answers the batch that was on its way; a failed one ends this actor, because nothing of it may be believed. */
export function land(state: LedgerState, self: LedgerSelf, { flight, settled }: Landing): void {
  // The stop and the message of its outcome may both bring a batch in.
  if (state.flight !== flight) return;
  state.lastBatchMs = self.clock.monotonicMs() - flight.startedAtMs;
  if (settled.ok) answerAll(state, flight, settled.value);
  else throw storeFailed(state, settled.error);
  state.flight = undefined;
}

function answerAll(state: LedgerState, flight: Flight, outcomes: readonly CommitOutcome[]): void {
  state.counts.batches += 1;
  state.counts.changeSets += flight.commits.length;
  flight.commits.forEach(({ ends }, index) => {
    const outcome = outcomes[index];
    if (outcome === undefined) throw storeFailed(state, new Error('a change set has no outcome'));
    if (!outcome.ok) state.counts.conflicts += 1;
    ends.resolve(outcome);
  });
  state.queue.pushFront(flight.looks);
}

export function commitAgeMs({ flight }: LedgerState, self: LedgerSelf): number {
  return flight === undefined ? 0 : self.clock.monotonicMs() - flight.startedAtMs;
}

/**
 * A disk that answers no more is a failed one: whether the commit is on it can only be seen by opening it again. The second
 * look tells: after a process was stopped for a while, the first may come before an answer that is there.
 */
export function checkFlight(state: LedgerState, self: LedgerSelf): void {
  const { flight } = state;
  if (flight === undefined || commitAgeMs(state, self) < HUNG_AFTER_MS) return;
  if (state.lateFlight !== flight) {
    state.lateFlight = flight;
    return;
  }
  throw storeFailed(state, new Error(`no answer in ${HUNG_AFTER_MS} ms`));
}

/** Writes down all that still waits, batch by batch; for the stop. */
export async function flushRest(state: LedgerState, self: LedgerSelf): Promise<void> {
  while (state.flight !== undefined || state.queue.length > 0) {
    for (;;) {
      const look = state.flight === undefined ? state.queue.takeLook() : undefined;
      if (look === undefined) break;
      look.look();
    }
    if (state.flight === undefined && state.queue.length === 0) return;
    const flight = state.flight ?? takeOff(state, self);
    const settled = await flight.work.then(
      (value): Landing['settled'] => ({ ok: true, value }),
      (error: unknown): Landing['settled'] => ({ ok: false, error }),
    );
    land(state, self, { flight, settled });
  }
}

function takeOff(state: LedgerState, self: LedgerSelf): Flight {
  const bytesBefore = state.queue.bytes;
  const { commits, looks } = state.queue.takeBatch(state.limits.maxBatch, MAX_BATCH_BYTES);
  state.bytesSinceSpaceCheck += bytesBefore - state.queue.bytes;
  const changes = commits.map((commit) => commit.changes);
  const flight: Flight = {
    commits,
    looks,
    work: commitBatch(state.store, changes, self.clock.wallMs()),
    startedAtMs: self.clock.monotonicMs(),
  };
  state.flight = flight;
  return flight;
}

// Async, so that a store that throws at once is met where one that rejects is.
async function commitBatch(
  store: Store,
  changes: readonly EncodedChangeSet[],
  atMs: number,
): Promise<readonly CommitOutcome[]> {
  return await store.commit(changes, atMs);
}

/** False when the slice is used up and looks are left. */
function answerLooks(state: LedgerState, self: LedgerSelf): boolean {
  const startedAtMs = self.clock.monotonicMs();
  // What a look asks for in turn waits behind it: a commit must not start between two looks.
  state.isAnswering = true;
  try {
    for (;;) {
      const next = state.queue.takeLook();
      if (next === undefined) return true;
      next.look();
      if (self.clock.monotonicMs() - startedAtMs >= LOOK_SLICE_MS) return false;
    }
  } finally {
    state.isAnswering = false;
  }
}

function storeFailed(state: LedgerState, error: unknown): RuntimeError {
  state.hasFailed = true;
  return new RuntimeError(
    'store_failed',
    `the store did not take a commit (${codeOf(error)}: ${messageOf(error)}); nothing of it may be believed, so the process must end and start again`,
    { cause: error },
  );
}
