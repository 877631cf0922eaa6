/** The ledger's own tables `jobs` and `clocks`, and which rows of any table have outlived their use. */
import type { ChangeSet, Row, ScanPage, Store } from '../../runtime/store/store.ts';

export const JOBS_TABLE = 'jobs';

export interface JobRow extends Row {
  readonly v: 1;
  readonly operation: 'backup.create';
  readonly status: 'running' | 'done' | 'failed';
  /** Where the result stands, or the code of the failure. */
  readonly detail: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

export function newBackup(startedAtMs: number): JobRow {
  return {
    v: 1,
    operation: 'backup.create',
    status: 'running',
    detail: '',
    startedAtMs,
    endedAtMs: 0,
  };
}

export function backupStarted(jobId: string, row: JobRow): ChangeSet {
  return {
    expect: [{ table: JOBS_TABLE, key: jobId, revision: 0 }],
    put: [{ table: JOBS_TABLE, key: jobId, row }],
    remove: [],
    facts: [{ type: 'backup.started', job_id: jobId }],
  };
}

export interface JobEnd {
  readonly status: 'done' | 'failed';
  readonly detail: string;
  readonly endedAtMs: number;
}

export function backupEnded(jobId: string, row: JobRow, end: JobEnd): ChangeSet {
  return {
    expect: [],
    put: [{ table: JOBS_TABLE, key: jobId, row: { ...row, ...end } }],
    remove: [],
    facts: [{ type: `backup.${end.status}`, job_id: jobId, detail: end.detail }],
  };
}

/** A job that still runs by its row when the ledger starts died with the process before. */
export function jobsInterrupted(page: ScanPage, endedAtMs: number): readonly ChangeSet[] {
  return page.rows.flatMap(({ key, row }) => {
    const job = row as JobRow;
    if (job.status !== 'running') return [];
    return [backupEnded(key, job, { status: 'failed', detail: 'interrupted', endedAtMs })];
  });
}

const CLOCKS_TABLE = 'clocks';
const RETENTION_CLOCK = 'retention';

/** Where the clock of retention stood when it was last kept; a store without that row tells by its newest journal entry. */
export function keptClockMs(store: Pick<Store, 'read' | 'journal' | 'health'>): number | undefined {
  const kept = store.read(CLOCKS_TABLE, RETENTION_CLOCK)?.row.atMs;
  if (typeof kept === 'number') return kept;
  return store.journal(store.health().journalSequence - 1, 1)[0]?.atMs;
}

export function clockKept(atMs: number): ChangeSet {
  const row = { v: 1, atMs };
  const put = [{ table: CLOCKS_TABLE, key: RETENTION_CLOCK, row }];
  return { expect: [], put, remove: [], facts: [] };
}

/** Rows of `table` older than `maxAgeMs` are removed, a slice at a time. */
export interface RetentionRule {
  readonly table: string;
  readonly maxAgeMs: number;
  /** The row's field with its time in Unix milliseconds. */
  readonly timeField: string;
  /** Only rows whose `field` is one of `values`; rows still in use stay whatever their age. */
  readonly onlyWhere?: { readonly field: string; readonly values: readonly string[] };
}

export interface RetentionSlice {
  readonly changes: ChangeSet;
  /** Keys of what goes. */
  readonly removed: readonly string[];
  /** Where the next slice starts; '' when the table is done. */
  readonly next: string;
}

/** What of one page goes. A row that changes meanwhile refuses the slice; the next sweep meets it again. */
export function retentionSlice(rule: RetentionRule, page: ScanPage, nowMs: number): RetentionSlice {
  const bornBeforeMs = nowMs - rule.maxAgeMs;
  const old = page.rows.filter(({ row }) => {
    const atMs = row[rule.timeField];
    if (typeof atMs !== 'number' || atMs <= 0 || atMs >= bornBeforeMs) return false;
    const { onlyWhere } = rule;
    return onlyWhere === undefined || onlyWhere.values.includes(String(row[onlyWhere.field]));
  });
  return {
    changes: {
      expect: old.map(({ key, revision }) => ({ table: rule.table, key, revision })),
      put: [],
      remove: old.map(({ key }) => ({ table: rule.table, key })),
      facts: [{ type: 'retention.removed', table: rule.table, rows: old.length }],
    },
    removed: old.map(({ key }) => key),
    next: page.next,
  };
}
