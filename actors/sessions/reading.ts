/** What the sessions read from the ledger, page by page, through its queue: every commit answered before is seen. */
import type { ActorRef, Asks, Deadline, In, Out } from '../../runtime/actor.ts';
import type { ScanQuery, StoredRow } from '../../runtime/store/store.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import { INBOX, inboxKey, inboxPrefix, type OpenRun, parseInboxKey } from '../router/rows.ts';
import { type HistoryLimits, withNotes } from './history.ts';
import { isNote, parseRunRow, parseTurnRow, RUNS, type RunRow, TURNS, type Turn } from './rows.ts';

/** The part of `Self` that asks. */
export interface Asker {
  ask<Q, K extends Asks<Q>>(
    ref: ActorRef<Q>,
    kind: K,
    payload: In<Q, K>,
    deadline: Deadline,
  ): Promise<Out<Q, K>>;
}

export const LEDGER_DEADLINE = { inMs: 10_000 };
const PAGE_KEYS = 1_000;
/** One exchange may be a megabyte. */
const PAGE_EXCHANGES = 20;

/** All open runs, or those of one session, in the order of their keys. */
export async function readOpenRuns(
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
  sessionKey = '',
): Promise<readonly OpenRun[]> {
  const prefix = sessionKey === '' ? '' : inboxPrefix(sessionKey);
  const found: OpenRun[] = [];
  let after = '';
  do {
    const from: ScanQuery = { table: INBOX, prefix, limit: PAGE_KEYS };
    const query = after === '' ? from : { ...from, after };
    const page = await self.ask(ledger, 'keys', query, LEDGER_DEADLINE);
    for (const key of page.keys) found.push(parseInboxKey(key));
    after = page.next;
  } while (after !== '');
  return found;
}

/** The last turns of a session, oldest first: at least as many as the limits allow, where there are so many. */
export async function readTurns(
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
  sessionKey: string,
  { exchanges, bytes }: HistoryLimits,
): Promise<readonly Turn[]> {
  const newestFirst: (readonly Turn[])[] = [];
  let notes: { readonly key: string; readonly note: string }[] = [];
  let bytesRead = 0;
  for (let after = ''; newestFirst.length < exchanges && bytesRead < bytes; ) {
    const limit = Math.min(PAGE_EXCHANGES, exchanges - newestFirst.length);
    const last: ScanQuery = { table: TURNS, prefix: `${sessionKey}\0`, limit, reverse: true };
    const query = after === '' ? last : { ...last, after };
    const page = await self.ask(ledger, 'scan', query, LEDGER_DEADLINE);
    for (const { key, row } of page.rows) {
      if (isNote(row)) {
        notes.push({ key, note: row.note });
        continue;
      }
      const { turns: said } = parseTurnRow(row);
      const own = notes.filter((one) => one.key.startsWith(key)).map(({ note }) => note);
      const turns = own.length === 0 ? said : withNotes(said, own);
      notes = [];
      newestFirst.push(turns);
      for (const { text } of turns) bytesRead += Buffer.byteLength(text);
    }
    if (page.next === '') break;
    after = page.next;
  }
  return newestFirst.reverse().flat();
}

/** The row of one open run; undefined where it has ended. */
export async function readOpenRun(
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
  { sessionKey, envelopeId }: OpenRun,
): Promise<StoredRow | undefined> {
  const key = inboxKey(sessionKey, envelopeId);
  const [stored] = await self.ask(ledger, 'read', { table: INBOX, key }, LEDGER_DEADLINE);
  return stored;
}

/** The row of a run that has ended. */
export async function readEndedRun(
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
  runId: string,
): Promise<StoredRow<RunRow> | undefined> {
  const key = { table: RUNS, key: runId };
  const [stored] = await self.ask(ledger, 'read', key, LEDGER_DEADLINE);
  return stored === undefined ? undefined : parseRunRow(stored);
}
