/** What the outbox shows: queues, recent deliveries, what is due, metrics. It changes nothing. */
import type { Metric } from '../../proto/control/owner.ts';
import type { Account } from './book.ts';
import { isOpen } from './lanes.ts';
import { ACTIVE_STATUSES } from './machine.ts';
import type { OutboxProtocol, QueueSnapshot } from './protocol.ts';
import { toView } from './rows.ts';
import type { OutboxState } from './state.ts';

/** Beyond any configuration's number of connectors. */
const MAX_ACCOUNTS = 1_024;

export function queueOf(state: OutboxState, connectorId: string): QueueSnapshot {
  const account = state.book.accounts.get(connectorId);
  if (account === undefined) return EMPTY;
  const { counts } = account;
  let nextAttemptAtMs = 0;
  for (const { entries } of account.lanes) {
    const atMs = entries[0]?.row.nextAttemptAtMs ?? 0;
    if (atMs > 0 && (nextAttemptAtMs === 0 || atMs < nextAttemptAtMs)) nextAttemptAtMs = atMs;
  }
  return {
    pending: counts.queued,
    sending: counts.sending,
    waiting: counts.waiting,
    unknown: counts.unknown,
    held: counts.held,
    deadLetters: account.deadLetters.size,
    parked: account.isParked,
    parkReason: account.parkReason,
    oldestPendingAtMs: oldestOf(account),
    nextAttemptAtMs,
    lastDeliveredAtMs: account.lastDeliveredAtMs,
  };
}

/** Sorted, so that the bound always leaves the same ones out. */
export function accountsOf(state: OutboxState): ReturnType<OutboxProtocol['accounts']> {
  const kept = [...state.book.accounts.values()]
    .filter(({ active, deadLetters }) => active + deadLetters.size > 0)
    .map(({ id, active }) => ({ connectorId: id, active }))
    .sort((a, b) => (a.connectorId < b.connectorId ? -1 : 1));
  return { accounts: kept.slice(0, MAX_ACCOUNTS) };
}

type Recent = ReturnType<OutboxProtocol['recent']>;

export function recentOf(state: OutboxState, connectorId: string, limit: number): Recent {
  const account = state.book.accounts.get(connectorId);
  if (account === undefined) return { deliveries: [], deadLetters: [] };
  const active = [...account.lanes].flatMap(({ entries, held }) =>
    [...held, ...entries].map(({ deliveryId, row }) => toView(deliveryId, row)),
  );
  const newest = (views: Recent['deliveries']) =>
    views.toSorted((a, b) => b.updatedAtMs - a.updatedAtMs).slice(0, Math.max(0, limit));
  return {
    deliveries: newest([...active, ...account.recentDelivered]),
    deadLetters: newest(account.recentDead),
  };
}

/** In flight or sendable now, with what is being committed; an account that cannot send is not waited for. */
export function dueOf(state: OutboxState, nowMs: number): number {
  let due = state.arriving;
  for (const account of state.book.accounts.values()) {
    if (account.ref === undefined) continue;
    const open = isOpen(account, nowMs);
    for (const lane of account.lanes) {
      const head = lane.entries[0];
      if (head === undefined) continue;
      if (head.row.status === 'sending' || (open && head.dueAtMs <= nowMs)) {
        due += open ? lane.entries.length : 1;
      }
    }
  }
  return due;
}

export function metricsOf(state: OutboxState, wallMs: number): readonly Metric[] {
  const accounts = [...state.book.accounts.values()];
  const gauge = (name: string, help: string, value: (account: Account) => number): Metric => ({
    name: `palyra_outbox_${name}`,
    help,
    type: 'gauge',
    samples: accounts.map((account) => ({
      labels: { connector: account.id },
      value: value(account),
    })),
  });
  return [
    {
      name: 'palyra_outbox_deliveries',
      help: 'Deliveries that have not ended',
      type: 'gauge',
      samples: accounts.flatMap(({ id, counts }) =>
        ACTIVE_STATUSES.map((status) => ({
          labels: { connector: id, status },
          value: counts[status],
        })),
      ),
    },
    gauge('oldest_age_seconds', 'Age of the oldest delivery that has not ended', (account) => {
      const oldestMs = oldestOf(account);
      return oldestMs === 0 ? 0 : Math.max(0, wallMs - oldestMs) / 1_000;
    }),
    gauge(
      'conversations',
      'Conversations with deliveries that have not ended',
      ({ lanes }) => lanes.size,
    ),
    gauge('in_flight', 'Conversations with a piece being sent', ({ inFlight }) => inFlight.size),
    gauge('parked', '1 while the account waits for a working credential', ({ isParked }) =>
      isParked ? 1 : 0,
    ),
    gauge('dead_letters', 'Dead letters kept', ({ deadLetters }) => deadLetters.size),
    counter(state, 'attempts', 'outcome', 'Attempts that ended, by outcome'),
    counter(state, 'ended', 'end', 'Deliveries that ended'),
    counter(state, 'dead', 'reason', 'Deliveries that failed for good, by reason'),
    counter(state, 'interventions', 'verb', 'Deliveries that an operator replayed or discarded'),
    counter(
      state,
      'notes',
      'reason',
      'Ends of answers that their sessions did not hear of at once',
    ),
    counter(state, 'commits', 'reason', 'Steps that the ledger did not take or answer'),
    counter(state, 'finishes', 'reason', 'Run ends that were put off'),
  ];
}

function counter(state: OutboxState, name: string, label: string, help: string): Metric {
  const samples = [...state.counters]
    .filter(([key]) => key.startsWith(`${name}:`))
    .map(([key, value]) => ({ labels: { [label]: key.slice(name.length + 1) }, value }));
  return { name: `palyra_outbox_${name}_total`, help, type: 'counter', samples };
}

/** 0 when there is none. The first of a lane is its oldest. */
function oldestOf(account: Account): number {
  let oldestMs = 0;
  for (const { entries, held } of account.lanes) {
    for (const entry of [entries[0], ...held]) {
      const atMs = entry?.row.createdAtMs ?? 0;
      if (atMs > 0 && (oldestMs === 0 || atMs < oldestMs)) oldestMs = atMs;
    }
  }
  return oldestMs;
}

const EMPTY: QueueSnapshot = {
  pending: 0,
  sending: 0,
  waiting: 0,
  unknown: 0,
  held: 0,
  deadLetters: 0,
  parked: false,
  parkReason: '',
  oldestPendingAtMs: 0,
  nextAttemptAtMs: 0,
  lastDeliveredAtMs: 0,
};
