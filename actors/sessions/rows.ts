/** The sessions' tables: `runs`, `runs_open`, `turns`, `tapes`, and their change-set parts. */
import type { EnvelopeId, RunId, SessionKey } from '../../proto/ids.ts';
import type { ChangePart } from '../../runtime/store/change-set.ts';
import type { ChangeSet, Row, StoredRow } from '../../runtime/store/store.ts';

export const RUNS = 'runs';
export const RUNS_OPEN = 'runs_open';
export const TURNS = 'turns';
export const TAPES = 'tapes';

/** Crashes charged to one run before it is not tried again. */
export const MAX_CRASHES = 2;
/** Cuts of one run, charged to nobody, after which it is taken to be the one that kills its thread. */
export const MAX_ATTEMPTS = 25;

export const RUN_STATUSES = ['pending', 'done', 'failed', 'quarantined'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];
export type RunEndStatus = Exclude<RunStatus, 'pending'>;

export interface RunRow extends Row {
  readonly v: 1;
  readonly status: RunStatus;
  readonly sessionKey: string;
  readonly envelopeId: string;
  /** Times that it was cut before its end, whatever cut it. */
  readonly attempts: number;
  /** Those of them that the run itself is blamed for. */
  readonly crashes: number;
  readonly createdAtMs: number;
  /** 0 while pending. */
  readonly endedAtMs: number;
  /** Stable code of a failure; '' for none. */
  readonly reason: string;
}

export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly text: string;
}

/** One exchange: what was asked and what was answered. */
export interface TurnRow extends Row {
  readonly v: 1;
  readonly turns: readonly Turn[];
  readonly runId: string;
  readonly atMs: number;
}

export interface TapeEntry {
  readonly type: 'message.received' | 'message.replied' | 'status' | 'delivery.failed';
  readonly text: string;
}

/** Entries of one run's tape that became durable together; the key has the number of the first. */
export interface TapeRow extends Row {
  readonly v: 1;
  readonly entries: readonly TapeEntry[];
  readonly atMs: number;
}

export interface RunEnd {
  readonly runId: string;
  /** As it was read; its revision is what makes a second end impossible. */
  readonly run: StoredRow<RunRow>;
  readonly status: RunEndStatus;
  readonly reason: string;
  readonly endedAtMs: number;
  /** Exchanges the session had before; this one follows. */
  readonly exchangesBefore: number;
  /** Empty where nothing is to be remembered. */
  readonly turns: readonly Turn[];
  readonly tape: readonly TapeEntry[];
  /** Sizes and digests for the fact. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

/** By envelope, not by run: only envelope ids sort in the order of acceptance within one millisecond. */
export function openRunKey(sessionKey: string, envelopeId: string): string {
  return `${sessionKey}\0${envelopeId}`;
}

export interface OpenRun {
  readonly sessionKey: string;
  readonly envelopeId: string;
  readonly runId: string;
}

export function parseOpenRun(entry: { readonly key: string; readonly row: Row }): OpenRun {
  const at = entry.key.lastIndexOf('\0');
  const runId = entry.row.runId;
  if (at < 1 || typeof runId !== 'string') throw unreadable(RUNS_OPEN, entry.row);
  return { sessionKey: entry.key.slice(0, at), envelopeId: entry.key.slice(at + 1), runId };
}

export function turnKey(sessionKey: string, seq: number): string {
  return `${sessionKey}\0${String(seq).padStart(12, '0')}`;
}

export function tapeKey(runId: string, seq: number): string {
  return `${runId}:${String(seq).padStart(4, '0')}`;
}

/** A run's first row. */
export function pendingRun(run: {
  readonly sessionKey: string;
  readonly envelopeId: string;
  readonly createdAtMs: number;
}): RunRow {
  const { sessionKey, envelopeId, createdAtMs } = run;
  return {
    v: 1,
    status: 'pending',
    sessionKey,
    envelopeId,
    attempts: 0,
    crashes: 0,
    createdAtMs,
    endedAtMs: 0,
    reason: '',
  };
}

/** The sessions' part of a route: the run waits. Its id comes from a new envelope's, so there is no such row yet. */
export function pendingRunPart(run: {
  readonly runId: RunId;
  readonly envelopeId: EnvelopeId;
  readonly sessionKey: SessionKey;
  readonly createdAtMs: number;
}): ChangePart {
  const { runId, envelopeId, sessionKey } = run;
  return {
    put: [
      { table: RUNS, key: runId, row: pendingRun(run) },
      { table: RUNS_OPEN, key: openRunKey(sessionKey, envelopeId), row: { v: 1, runId } },
    ],
  };
}

/** What cut a run: it will be made again, or given up once it has crashed too often. */
export interface Cut {
  /** It had begun, and begins anew. */
  readonly attempt: boolean;
  /** The flight recorder, or its own crash, names it as the cause. */
  readonly blamed: boolean;
}

/** The row is what the change set writes. */
export function cutRunChanges(
  runId: string,
  run: StoredRow<RunRow>,
  cut: Cut,
): { readonly changes: ChangeSet; readonly row: RunRow } {
  const row: RunRow = {
    ...run.row,
    attempts: run.row.attempts + (cut.attempt ? 1 : 0),
    crashes: run.row.crashes + (cut.blamed ? 1 : 0),
  };
  const { attempts, crashes } = row;
  const changes = {
    expect: [{ table: RUNS, key: runId, revision: run.revision }],
    put: [{ table: RUNS, key: runId, row }],
    remove: [],
    facts: [{ type: 'run.cut', runId, attempts, crashes, blamed: cut.blamed }],
  };
  return { changes, row };
}

/** The sessions' part of a run's end. */
export function endedRunPart(end: RunEnd): ChangePart {
  const { runId, run, status, reason, endedAtMs } = end;
  const { sessionKey, envelopeId, attempts } = run.row;
  const row: RunRow = { ...run.row, status, reason, endedAtMs };
  const exchange: TurnRow = { v: 1, turns: end.turns, runId, atMs: endedAtMs };
  const tape: TapeRow = { v: 1, entries: end.tape, atMs: endedAtMs };
  const next = { table: TURNS, key: turnKey(sessionKey, end.exchangesBefore) };
  const hasTurns = end.turns.length > 0;
  return {
    expect: [
      { table: RUNS, key: runId, revision: run.revision },
      // An exchange is never written over another one.
      ...(hasTurns ? [{ ...next, revision: 0 }] : []),
    ],
    put: [
      { table: RUNS, key: runId, row },
      ...(hasTurns ? [{ ...next, row: exchange }] : []),
      { table: TAPES, key: tapeKey(runId, 0), row: tape },
    ],
    remove: [{ table: RUNS_OPEN, key: openRunKey(sessionKey, envelopeId) }],
    facts: [
      {
        type: 'run.finished',
        runId,
        envelopeId,
        sessionKey,
        status,
        reason,
        attempts,
        ...end.facts,
      },
    ],
  };
}

export function parseRunRow(stored: StoredRow): StoredRow<RunRow> {
  const { row } = stored;
  const isRun = row.v === 1 && RUN_STATUSES.includes(row.status as RunStatus);
  if (!isRun) throw unreadable(RUNS, row);
  return stored as StoredRow<RunRow>;
}

export function parseTurnRow(row: Row): TurnRow {
  if (row.v !== 1 || !Array.isArray(row.turns)) throw unreadable(TURNS, row);
  return row as TurnRow;
}

export function parseTapeRow(row: Row): TapeRow {
  if (row.v !== 1 || !Array.isArray(row.entries)) throw unreadable(TAPES, row);
  return row as TapeRow;
}

function unreadable(table: string, row: Row): Error {
  return new Error(`${table}: a row of version ${row.v} cannot be read; expected version 1`);
}
