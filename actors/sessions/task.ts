/** One open run as a session works on it: its row and its event's row, each with the revision it was read at. */
import { ulidTimeMs } from '../../proto/ids.ts';
import type { StoredRow } from '../../runtime/store/store.ts';
import { type InboxRow, parseInboxRow } from '../router/rows.ts';
import type { RoutedRun } from './protocol.ts';
import { parseRunRow, pendingRun, type RunRow } from './rows.ts';

export interface Task {
  readonly runId: string;
  readonly envelopeId: string;
  readonly run: StoredRow<RunRow>;
  /** Absent: its event cannot be read, so the run can only fail. */
  readonly inbox: StoredRow<InboxRow> | undefined;
  /** 0 where there is no row. */
  readonly inboxRevision: number;
}

/** From the router's word after the flush: the rows as that flush wrote them. */
export function toTask(routed: RoutedRun): Task {
  const { runId, envelopeId, sessionKey, event, replyTo, responsePrefix, trace } = routed;
  const createdAtMs = ulidTimeMs(envelopeId);
  const run = pendingRun({ sessionKey, envelopeId, createdAtMs });
  const inbox: InboxRow = {
    v: 1,
    status: 'routed',
    runId,
    sessionKey,
    event,
    ...(replyTo === undefined ? {} : { replyTo }),
    responsePrefix,
    trace,
  };
  return {
    runId,
    envelopeId,
    run: { revision: routed.revision, row: run },
    inbox: { revision: routed.revision, row: inbox },
    inboxRevision: routed.revision,
  };
}

export interface TaskRows {
  readonly run: readonly StoredRow[];
  readonly inbox: readonly StoredRow[];
}

/** From the ledger's rows; undefined where the run does not exist. */
export function readTask(runId: string, envelopeId: string, rows: TaskRows): Task | undefined {
  const [storedRun] = rows.run;
  if (storedRun === undefined) return undefined;
  const [storedInbox] = rows.inbox;
  return {
    runId,
    envelopeId,
    run: parseRunRow(storedRun),
    inbox: storedInbox === undefined ? undefined : readInbox(storedInbox),
    inboxRevision: storedInbox?.revision ?? 0,
  };
}

/** A row that cannot be read ends its run as failed instead of crashing its session for ever. */
function readInbox(stored: StoredRow): StoredRow<InboxRow> | undefined {
  try {
    return parseInboxRow(stored);
  } catch {
    return undefined;
  }
}
