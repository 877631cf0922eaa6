/** One open run as a session works on it: its row in the inbox, with the revision it was read at. */
import type { StoredRow } from '../../runtime/store/store.ts';
import { type InboxRow, type OpenRun, parseInboxRow } from '../router/rows.ts';

export interface Task extends OpenRun {
  readonly runId: string;
  readonly revision: number;
  /** Absent: it cannot be read, so the run can only fail. */
  readonly row: InboxRow | undefined;
}

export function toTask(
  { sessionKey, envelopeId, runId }: OpenRun & { readonly runId: string },
  stored: StoredRow,
): Task {
  const { revision } = stored;
  return { sessionKey, envelopeId, runId, revision, row: readInbox(stored, envelopeId) };
}

/** A row that cannot be read ends its run as failed instead of crashing its session for ever. */
export function readInbox(stored: StoredRow, envelopeId: string): InboxRow | undefined {
  try {
    return parseInboxRow(stored, envelopeId).row;
  } catch {
    return undefined;
  }
}
