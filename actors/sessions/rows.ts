/** The sessions' tables: `runs` (ended ones, with their tapes), `turns` (and what became of answers), `tapes` (what was added after the end), and their change sets. */
import { type EnvelopeId, runIdOf, ulidTimeMs } from '../../proto/ids.ts';
import type { ChangeSet, Row, StoredRow } from '../../runtime/store/store.ts';
import {
  INBOX,
  type InboxRow,
  inboxDonePart,
  inboxKey,
  type OpenRun,
  writtenInbox,
} from '../router/rows.ts';
import type { Cut } from './cuts.ts';

export const RUNS = 'runs';
export const TURNS = 'turns';
export const TAPES = 'tapes';

export const RUN_ENDS = ['done', 'failed', 'quarantined'] as const;
export type RunEndStatus = (typeof RUN_ENDS)[number];

/** A run that has ended; an open one is its row in the inbox. */
export interface RunRow extends Row {
  readonly v: 1;
  readonly status: RunEndStatus;
  readonly sessionKey: string;
  readonly envelopeId: string;
  readonly attempts: number;
  readonly crashes: number;
  readonly createdAtMs: number;
  readonly endedAtMs: number;
  /** Stable code of a failure; '' for none. */
  readonly reason: string;
  /** The tape up to the end; what comes after it stands in `tapes`. */
  readonly tape: readonly TapeEntry[];
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

/** What the model must know of an exchange that ended otherwise than it says; in `turns`, behind the exchange. */
export interface NoteRow extends Row {
  readonly v: 1;
  /** One line of plain words. */
  readonly note: string;
  readonly atMs: number;
}

export interface TapeEntry {
  readonly type: 'message.received' | 'message.replied' | 'status' | 'delivery.failed';
  readonly text: string;
}

/** Entries of one run's tape that became durable together after its end; the key has the number of the first. */
export interface TapeRow extends Row {
  readonly v: 1;
  readonly entries: readonly TapeEntry[];
  readonly atMs: number;
}

export interface RunEnd extends OpenRun {
  readonly runId: string;
  /** Of its inbox row, as it was read: it is what makes a second end impossible. */
  readonly revision: number;
  readonly attempts: number;
  readonly crashes: number;
  readonly status: RunEndStatus;
  readonly reason: string;
  readonly endedAtMs: number;
  /** Empty where nothing is to be remembered. */
  readonly turns: readonly Turn[];
  readonly tape: readonly TapeEntry[];
  /** For the fact. */
  readonly cost: {
    readonly replyBytes: number;
    readonly replySha256: string;
    readonly promptTokens: number;
    readonly completionTokens: number;
  };
}

/** As the run's, while it was open: in the order of acceptance. */
export function turnKey(sessionKey: string, envelopeId: string): string {
  return inboxKey(sessionKey, envelopeId);
}

/** `delivery` is the number, within the run, of the delivery that the note is about. */
export function noteKey({ sessionKey, envelopeId }: OpenRun, delivery: number): string {
  return `${turnKey(sessionKey, envelopeId)}\0${delivery}`;
}

export function tapeKey(runId: string, seq: number): string {
  return `${runId}:${String(seq).padStart(4, '0')}`;
}

/** `row` is what the change set writes. */
export function cutRunChanges(
  { sessionKey, envelopeId }: OpenRun,
  inbox: StoredRow<InboxRow>,
  cut: Cut,
): { readonly changes: ChangeSet; readonly row: InboxRow } {
  const attempts = inbox.row.attempts + (cut.attempt ? 1 : 0);
  const crashes = inbox.row.crashes + (cut.blamed ? 1 : 0);
  const processEnds = inbox.row.processEnds + (cut.processEnd ? 1 : 0);
  const row: InboxRow = { ...inbox.row, attempts, crashes, processEnds };
  const place = { table: INBOX, key: inboxKey(sessionKey, envelopeId) };
  const runId = runIdOf(envelopeId as EnvelopeId);
  const changes = {
    expect: [{ ...place, revision: inbox.revision }],
    put: [{ ...place, row: writtenInbox(row) }],
    remove: [],
    facts: [
      { type: 'run.cut', runId, envelopeId, attempts, crashes, processEnds, blamed: cut.blamed },
    ],
  };
  return { changes, row };
}

export function endedRunChanges(end: RunEnd): ChangeSet {
  const { runId, sessionKey, envelopeId, status, reason, attempts, crashes, endedAtMs, cost } = end;
  const row: RunRow = {
    v: 1,
    status,
    sessionKey,
    envelopeId,
    attempts,
    crashes,
    createdAtMs: ulidTimeMs(envelopeId),
    endedAtMs,
    reason,
    tape: end.tape,
  };
  const exchange: TurnRow = { v: 1, turns: end.turns, runId, atMs: endedAtMs };
  const key = turnKey(sessionKey, envelopeId);
  const done = inboxDonePart(key, end.revision);
  const put: ChangeSet['put'][number][] = [{ table: RUNS, key: runId, row }];
  if (end.turns.length > 0) {
    put.push({ table: TURNS, key, row: exchange });
  }
  return {
    expect: done.expect,
    put,
    remove: done.remove,
    facts: [
      {
        type: 'run.finished',
        runId,
        envelopeId,
        sessionKey,
        status,
        reason,
        attempts,
        replyBytes: cost.replyBytes,
        replySha256: cost.replySha256,
        promptTokens: cost.promptTokens,
        completionTokens: cost.completionTokens,
      },
    ],
  };
}

export function parseRunRow(stored: StoredRow): StoredRow<RunRow> {
  const { row } = stored;
  const isEnd = RUN_ENDS.includes(row.status as RunEndStatus);
  const isRun = row.v === 1 && isEnd && Array.isArray(row.tape);
  if (!isRun) throw unreadable(RUNS, row);
  return stored as StoredRow<RunRow>;
}

/** Which exchange a run's row stands for; undefined where none is remembered of it. */
export function exchangeOf({ status, sessionKey, envelopeId }: Row): OpenRun | undefined {
  const isNamed = typeof sessionKey === 'string' && typeof envelopeId === 'string';
  return status === 'done' && isNamed ? { sessionKey, envelopeId } : undefined;
}

export function isNote(row: Row): row is NoteRow {
  return row.v === 1 && typeof row.note === 'string';
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
