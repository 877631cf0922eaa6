/**
 * Removes rows that have outlived their use, one small slice at a time, through the same line as everything else. Ages go
 * by a clock that follows the wall clock only slowly over a jump: one that jumps by years removes nothing at once.
 */
import { enqueueCommit, enqueueLook, own } from './commit-flow.ts';
import type { LedgerSelf, LedgerState, RemovedSlice } from './ledger-state.ts';
import { followWall, type Moment, retentionTimeMs } from './retention-clock.ts';
import { clockKept, retentionSlice } from './rows.ts';

// 2,500 rows a second while a sweep is on, ten times as many where most of them go: about 1 % of the thread.
const SLICE_ROWS = 500;
const SLICE_PAUSE_MS = 200;
const BUSY_SLICE_PAUSE_MS = 20;
const SWEEP_PAUSE_MS = 600_000;
const FIRST_SWEEP_AFTER_MS = 30_000;

const written = own(() => undefined);

/** One reading of both clocks. */
export function momentOf({ clock }: LedgerSelf): Moment {
  return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() };
}

export function startRetention(state: LedgerState, self: LedgerSelf): void {
  if (state.retention.length > 0) self.after('retain', FIRST_SWEEP_AFTER_MS, 'retain', null);
}

/** One slice: looks at a page, removes what is old in it, and sets the timer for the next. */
export function retain(state: LedgerState, self: LedgerSelf): void {
  const rule = state.retention[state.sweep.rule];
  if (rule === undefined) return;
  const now = momentOf(self);
  state.retentionClock = followWall(state.retentionClock, now);
  const isBegin = state.sweep.rule === 0 && state.sweep.after === '';
  if (isBegin) enqueueCommit(state, self, clockKept(state.retentionClock.atMs), written);
  const nowMs = retentionTimeMs(state.retentionClock, now);
  enqueueLook(state, self, () => {
    const { after } = state.sweep;
    const page = state.store.scan({ table: rule.table, after, limit: SLICE_ROWS });
    const slice = retentionSlice(rule, page, nowMs);
    const { next, removed: keys } = slice;
    if (keys.length === 0) return goOn(state, self, next, false);
    const isBusy = keys.length > page.rows.length / 2;
    const removed = own((outcome) => {
      if (!outcome.ok) return goOn(state, self, next, isBusy);
      state.counts.retained += keys.length;
      tellOwner(state, self, { rows: { table: rule.table, keys }, next, isBusy });
    });
    enqueueCommit(state, self, slice.changes, removed);
  });
}

/** Nothing more is removed before the owner of what is gone was told. */
export function tellOwner(state: LedgerState, self: LedgerSelf, slice: RemovedSlice): void {
  const { rows, next, isBusy } = slice;
  const owner = state.rowOwners[rows.table];
  const isTold = owner === undefined || self.tell(owner, 'removed', rows);
  if (isTold) goOn(state, self, next, isBusy);
  else self.after('retain', SLICE_PAUSE_MS, 'tellOwner', slice);
}

function goOn(state: LedgerState, self: LedgerSelf, next: string, isBusy: boolean): void {
  if (next !== '') {
    state.sweep = { rule: state.sweep.rule, after: next };
    self.after('retain', isBusy ? BUSY_SLICE_PAUSE_MS : SLICE_PAUSE_MS, 'retain', null);
    return;
  }
  const rule = state.sweep.rule + 1;
  const isSwept = rule >= state.retention.length;
  state.sweep = { rule: isSwept ? 0 : rule, after: '' };
  self.after('retain', isSwept ? SWEEP_PAUSE_MS : SLICE_PAUSE_MS, 'retain', null);
}
