/** Fills the book from the store when the outbox starts. What was being sent is picked up again by the lanes. */
import type { ActorRef } from '../../runtime/actor.ts';
import type { ScanPage, ScanQuery } from '../../runtime/store/store.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import { remember } from './book.ts';
import {
  DEAD_LETTERS,
  DELIVERED,
  DELIVERIES,
  type DeliveryRow,
  parseDeliveryRow,
  parseEndedRow,
  toView,
} from './rows.ts';
import { type OutboxSelf, type OutboxState, timesOf } from './state.ts';

const SCAN_DEADLINE_MS = 10_000;
// A row may hold a text of 128 KiB, so a page is 16 MiB at worst.
const PAGE = 128;
/** Newest ended deliveries that are read back for `recent`. */
const RECENT_PAGES = 4;

type Page = ScanPage['rows'];

/** Rejects when the ledger does not answer or a row cannot be read; the supervisor tries again. */
export async function load(state: OutboxState, self: OutboxSelf): Promise<void> {
  const active: { deliveryId: string; revision: number; row: DeliveryRow }[] = [];
  await scan(state.ledger, self, { table: DELIVERIES, limit: PAGE }, (rows) => {
    for (const { key, revision, row } of rows) {
      active.push({ deliveryId: key, revision, row: parseDeliveryRow(row) });
    }
  });
  // What has begun stands first in its lane, then the order in which the runs ended.
  active.sort((a, b) => rank(a.row) - rank(b.row) || a.row.order - b.row.order);
  const now = timesOf(self);
  for (const { deliveryId, revision, row } of active) {
    state.nextOrder = Math.max(state.nextOrder, row.order + 1);
    const entry = state.book.add(deliveryId, row, revision, now);
    state.wakes.set(entry.lane, now.monotonicMs);
    if (row.status !== 'sending') continue;
    const { lane } = entry;
    lane.account.inFlight.add(lane);
    // The first incarnation of a process has no connector that could know of it.
    if (self.incarnation > 1) lane.isResumed = true;
    else
      lane.pending = {
        entry,
        happening: { type: 'lost', reason: 'process ended', charge: 'none' },
      };
  }
  await loadEnded(state, self);
}

async function loadEnded(state: OutboxState, self: OutboxSelf): Promise<void> {
  await scan(state.ledger, self, { table: DEAD_LETTERS, limit: PAGE }, (rows) => {
    for (const { key, row } of rows) {
      const account = state.book.account(parseEndedRow(row).connectorId);
      account.deadLetters.add(key);
      remember(account.recentDead, toView(key, parseEndedRow(row)));
    }
  });
  const delivered: { key: string; row: Page[number]['row'] }[] = [];
  let pages = 0;
  const newest = { table: DELIVERED, limit: PAGE, reverse: true };
  await scan(state.ledger, self, newest, (rows) => {
    delivered.push(...rows);
    pages += 1;
    return pages < RECENT_PAGES;
  });
  for (const { key, row } of delivered.reverse()) {
    const ended = parseEndedRow(row);
    const account = state.book.account(ended.connectorId);
    account.lastDeliveredAtMs = Math.max(account.lastDeliveredAtMs, ended.updatedAtMs);
    remember(account.recentDelivered, toView(key, ended));
  }
}

async function scan(
  ledger: ActorRef<LedgerProtocol>,
  self: OutboxSelf,
  query: ScanQuery,
  take: (rows: Page) => boolean | void,
): Promise<void> {
  let after = '';
  do {
    const page: ScanPage = await self.ask(
      ledger,
      'scan',
      after === '' ? query : { ...query, after },
      { inMs: SCAN_DEADLINE_MS },
    );
    if (take(page.rows) === false) return;
    after = page.next;
  } while (after !== '');
}

function rank(row: DeliveryRow): number {
  return row.status === 'queued' ? 1 : 0;
}
