/** The operations that the ledger answers: the journal as a feed, backups as jobs, and its metrics. */
import type { InputOf, OutputOf } from '../../proto/control/catalogue.ts';
import type { Metric, OperationReply, OwnedCall } from '../../proto/control/owner.ts';
import type { WireError } from '../../proto/errors.ts';
import { createJobId } from '../../proto/ids.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { Store } from '../../runtime/store/store.ts';
import { commitAgeMs, enqueueCommit, enqueueLook, own } from './commit-flow.ts';
import { readJournal } from './journal-feed.ts';
import type { LedgerOwn, LedgerSelf, LedgerState } from './ledger-state.ts';
import { backupEnded, backupStarted, JOBS_TABLE, type JobRow, newBackup } from './rows.ts';

type Answer = (reply: OperationReply) => void;

/** Hands `answer` the operation's reply, at once or after its turn in the line. */
export function operate(
  state: LedgerState,
  self: LedgerSelf,
  call: OwnedCall,
  answer: Answer,
): void {
  switch (call.operation) {
    case 'journal.read': {
      const input = call.input as InputOf<'journal.read'>;
      const nowMs = () => self.clock.monotonicMs();
      enqueueLook(state, self, () => {
        answer({ ok: true, output: readJournal(state.store, input, nowMs) });
      });
      return;
    }
    case 'backup.create':
      createBackup(state, self, answer);
      return;
    case 'jobs.get': {
      const { job_id } = call.input as InputOf<'jobs.get'>;
      enqueueLook(state, self, () => answer(readJob(state.store, job_id)));
      return;
    }
    default:
      answer(refused({ code: 'not_found', message: `the ledger has no ${call.operation}` }));
  }
}

function createBackup(state: LedgerState, self: LedgerSelf, answer: Answer): void {
  if (state.backup !== undefined) {
    const message = `backup ${state.backup.jobId} is still running`;
    answer(refused({ code: 'unavailable', message, retryAfterMs: 5_000 }));
    return;
  }
  const { freeBytes, usedBytes } = state.store.health();
  if (!state.space.admitting || freeBytes < usedBytes + 2 * state.limits.lowFreeBytes) {
    const message = `a copy needs about ${usedBytes} bytes; ${freeBytes} are free`;
    answer(refused({ code: 'storage_low', message, retryAfterMs: 60_000 }));
    return;
  }
  const jobId = createJobId(state.nextJobId);
  const row = newBackup(self.clock.wallMs());
  state.backup = { jobId, row };
  const begun = own(() => {
    answer({ ok: true, output: { job_id: jobId } });
    copyStore(state, self, jobId);
  });
  enqueueCommit(state, self, backupStarted(jobId, row), begun);
}

function copyStore(state: LedgerState, self: LedgerSelf, jobId: string): void {
  const copy = async () => {
    const directory = await state.deps.prepareBackup(jobId);
    await state.store.backup(directory);
    return directory;
  };
  self.run(copy, 'backupEnded', (outcome) =>
    outcome.ok
      ? { jobId, ok: true, detail: outcome.value }
      : { jobId, ok: false, detail: codeOf(outcome.error) },
  );
}

/** The copy is there, or it failed: the job's row says so. */
export function endBackup(
  state: LedgerState,
  self: LedgerSelf,
  { jobId, ok, detail }: Parameters<LedgerOwn['backupEnded']>[0],
): void {
  const { backup } = state;
  if (backup === undefined || backup.jobId !== jobId) return;
  state.backup = undefined;
  if (!ok) state.deps.log('error', 'the backup failed', { jobId, code: detail });
  const status = ok ? 'done' : 'failed';
  const end = { status, detail, endedAtMs: self.clock.wallMs() } as const;
  const written = own(() => undefined);
  enqueueCommit(state, self, backupEnded(jobId, backup.row, end), written);
}

function readJob(store: Store, jobId: string): OperationReply {
  const stored = store.read(JOBS_TABLE, jobId);
  if (stored === undefined) return refused({ code: 'not_found', message: `no job ${jobId}` });
  const job = stored.row as JobRow;
  const output: OutputOf<'jobs.get'> = {
    job_id: jobId,
    operation: job.operation,
    status: job.status,
    detail: job.detail,
    started_at_ms: job.startedAtMs,
    ended_at_ms: job.endedAtMs,
  };
  return { ok: true, output };
}

function refused(error: WireError): OperationReply {
  return { ok: false, error };
}

export function metrics(state: LedgerState, _nothing: null, self: LedgerSelf): readonly Metric[] {
  const { counts, space, queue } = state;
  const health = state.store.health();
  const one = (name: string, help: string, type: Metric['type'], value: number): Metric => ({
    name: `palyra_ledger_${name}`,
    help,
    type,
    samples: [{ labels: {}, value }],
  });
  return [
    one('batches_total', 'Store commits answered', 'counter', counts.batches),
    one('change_sets_total', 'Change sets in them', 'counter', counts.changeSets),
    one('conflicts_total', 'Change sets refused by a row revision', 'counter', counts.conflicts),
    one(
      'flushes_total',
      'Appends to the log and transactions of the database since the store was opened',
      'counter',
      health.flushes,
    ),
    {
      name: 'palyra_ledger_refused_total',
      help: 'Requests refused before they were written',
      type: 'counter',
      samples: [
        { labels: { reason: 'busy' }, value: counts.busy },
        { labels: { reason: 'storage_low' }, value: counts.storageLow },
      ],
    },
    one('retention_rows_total', 'Rows removed for their age', 'counter', counts.retained),
    one('pending', 'Requests that wait for their turn', 'gauge', queue.length),
    one(
      'commit_age_seconds',
      'Age of the commit on its way to the disk',
      'gauge',
      commitAgeMs(state, self) / 1_000,
    ),
    one('journal_sequence', 'Entries of the journal', 'gauge', health.journalSequence),
    ...(Number.isFinite(health.freeBytes)
      ? [one('free_bytes', 'Free bytes on the store’s file system', 'gauge', health.freeBytes)]
      : []),
    one('used_bytes', 'Bytes that the store takes', 'gauge', health.usedBytes),
    one('reusable_bytes', 'Of them, those that hold nothing', 'gauge', health.reusableBytes),
    one('admitting', '1 while new messages are admitted', 'gauge', space.admitting ? 1 : 0),
  ];
}
