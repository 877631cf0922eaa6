/** What the sessions read from the ledger, page by page, through its queue: every commit answered before is seen. */
import type { ActorRef, Asks, Deadline, In, Out } from '../../runtime/actor.ts';
import type { ScanQuery } from '../../runtime/store/store.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import { INBOX } from '../router/rows.ts';
import { type History, MAX_EXCHANGES, toHistory } from './history.ts';
import { type OpenRun, parseOpenRun, RUNS, RUNS_OPEN, TURNS } from './rows.ts';
import type { TaskRows } from './task.ts';

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
const PAGE_ROWS = 1_000;

/** All open runs, or those of one session, in the order of their keys. */
export async function readOpenRuns(
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
  sessionKey = '',
): Promise<readonly OpenRun[]> {
  const prefix = sessionKey === '' ? '' : `${sessionKey}\0`;
  const found: OpenRun[] = [];
  let after = '';
  do {
    const from: ScanQuery = { table: RUNS_OPEN, prefix, limit: PAGE_ROWS };
    const query = after === '' ? from : { ...from, after };
    const page = await self.ask(ledger, 'scan', query, LEDGER_DEADLINE);
    for (const entry of page.rows) found.push(parseOpenRun(entry));
    after = page.next;
  } while (after !== '');
  return found;
}

export async function readHistory(
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
  sessionKey: string,
): Promise<History> {
  const query = { table: TURNS, prefix: `${sessionKey}\0`, limit: MAX_EXCHANGES, reverse: true };
  return toHistory(await self.ask(ledger, 'scan', query, LEDGER_DEADLINE));
}

export async function readRows(
  self: Asker,
  ledger: ActorRef<LedgerProtocol>,
  ids: { readonly runId: string; readonly envelopeId: string },
): Promise<TaskRows> {
  const [run, inbox] = await Promise.all([
    self.ask(ledger, 'read', { table: RUNS, key: ids.runId }, LEDGER_DEADLINE),
    self.ask(ledger, 'read', { table: INBOX, key: ids.envelopeId }, LEDGER_DEADLINE),
  ]);
  return { run, inbox };
}
