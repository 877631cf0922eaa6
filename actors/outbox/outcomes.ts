/** What the ledger's answers mean: a step is applied to the cache, given up, or its rows are read again. */
import type { Replied } from '../../runtime/actor.ts';
import type { StoredRow } from '../../runtime/store/store.ts';
import type { CommitReply } from '../ledger/protocol.ts';
import { type Entry, type Intervention, type Lane, type Pending, remember } from './book.ts';
import { readFate, readFatesLater } from './commits.ts';
import { acknowledge, fill, pump } from './lanes.ts';
import { changedMeanwhile, done } from './replies.ts';
import { type DeliveryRow, parseDeliveryRow, toView } from './rows.ts';
import {
  bump,
  type FinishStep,
  type MoveStep,
  type OutboxOwn,
  type OutboxSelf,
  type OutboxState,
  type Step,
  timesOf,
} from './state.ts';

const BUSY_RETRY_MS = 250;

export function committed(
  state: OutboxState,
  self: OutboxSelf,
  { about: step, outcome }: Replied<Step, CommitReply>,
): void {
  if (!outcome.ok) {
    bump(state, 'commits:unanswered');
    readFate(state, self, step, 'unanswered');
    return;
  }
  const reply = outcome.value;
  if (reply.ok) {
    apply(state, self, step, reply.revision);
  } else if (reply.code !== 'conflict') {
    bump(state, `commits:${reply.code}`);
    giveUp(state, self, step, Math.max(BUSY_RETRY_MS, reply.retryAfterMs));
  } else if (step.kind === 'finish') {
    step.later.resolve(reply);
    release(state, self, step);
  } else {
    bump(state, 'commits:conflict');
    readFate(state, self, step, 'conflict');
  }
}

export function fateRead(
  state: OutboxState,
  self: OutboxSelf,
  { step, outcome }: Parameters<OutboxOwn['fateRead']>[0],
): void {
  const doubt = state.unsure.get(step);
  if (doubt === undefined) return;
  if (!outcome.ok) {
    readFatesLater(self);
    return;
  }

  state.unsure.delete(step);
  const rows = outcome.value;
  if (step.kind === 'finish') {
    const [first] = rows;
    // The run may have been finished by another ask: only the order tells whose row it is.
    const isOurs = first?.row.order === step.arrivals[0]?.row.order;
    if (first !== undefined && isOurs) apply(state, self, step, first.revision);
    else giveUp(state, self, step, BUSY_RETRY_MS);
    return;
  }
  const changed = step.moves.filter(({ entry }, i) => rows[i]?.revision !== entry.revision);
  if (doubt === 'unanswered' && changed.length > 0) {
    apply(state, self, step, rows.find((row) => row !== undefined)?.revision ?? 0);
    return;
  }
  for (const [i, { entry }] of step.moves.entries()) adopt(state, self, entry, rows[i]);

  giveUp(state, self, step, 0);
}

/** Reads again what could not be read. */
export function readFates(state: OutboxState, self: OutboxSelf): void {
  for (const [step, doubt] of [...state.unsure]) readFate(state, self, step, doubt);
}

function apply(state: OutboxState, self: OutboxSelf, step: Step, revision: number): void {
  if (step.kind === 'finish') applyFinish(state, self, step, revision);
  else applyMove(state, self, step, revision);
}

function applyFinish(
  state: OutboxState,
  self: OutboxSelf,
  step: FinishStep,
  revision: number,
): void {
  const { arrivals } = step;
  state.arriving -= arrivals.length;
  const now = timesOf(self);
  for (const { deliveryId, lane, row } of arrivals) {
    state.book.release(lane, row);
    state.book.add(deliveryId, row, revision, now);
    if (row.status === 'sending') lane.isBusy = false;
  }
  step.later.resolve({ ok: true, revision });
  for (const lane of lanesOf(step)) pump(state, self, lane);
}

function applyMove(state: OutboxState, self: OutboxSelf, step: MoveStep, revision: number): void {
  const now = timesOf(self);
  const { lane, cause } = step;
  // A held delivery stands aside: its step says nothing about the piece that the lane may be sending.
  if (step.moves.some(({ entry }) => entry.row.status !== 'held')) {
    lane.toldEpoch = 0;
    lane.isResumed = false;
  }
  for (const { entry, after } of step.moves) {
    note(state, entry, after);
    state.book.step(entry, after, revision, now);
  }
  if (cause !== undefined) answerCause(state, self, step, cause);
  goOn(state, self, lane);
}

/** Who brought the step about hears that it is done. */
function answerCause(
  state: OutboxState,
  self: OutboxSelf,
  { lane, moves }: MoveStep,
  cause: Pending | Intervention,
): void {
  if ('verb' in cause) {
    const { verb, deliveryId, answer } = cause;
    bump(state, `interventions:${verb}`);
    const status = moves[0]?.after.status ?? '';
    answer.resolve(done({ delivery_id: deliveryId, status, changed: true }));
    return;
  }
  const { happening, settlement } = cause;
  bump(state, `attempts:${happening.type === 'ended' ? happening.outcome.type : 'lost'}`);
  if (settlement !== undefined) acknowledge(self, lane.account, settlement);
  if (lane.pending === cause) lane.pending = undefined;
}

/** Nothing of it was written. */
function giveUp(state: OutboxState, self: OutboxSelf, step: Step, retryAfterMs: number): void {
  if (step.kind === 'finish') {
    step.later.resolve({ ok: false, code: 'busy', retryAfterMs });
    release(state, self, step);
    return;
  }
  const { cause } = step;
  if (cause !== undefined && 'verb' in cause) {
    cause.answer.resolve(changedMeanwhile(cause.deliveryId));
  }
  step.lane.notBeforeMs = self.clock.monotonicMs() + retryAfterMs;
  goOn(state, self, step.lane);
}

function goOn(state: OutboxState, self: OutboxSelf, lane: Lane): void {
  const { account } = lane;
  lane.isBusy = false;
  const isSending = lane.entries[0]?.row.status === 'sending';
  if (!isSending) account.inFlight.delete(lane);
  if (!isSending || lane.toldEpoch !== 0) account.pace.release(lane);
  // Lanes that wait for a place come first: a long lane must not keep its own.
  fill(state, self, account);
  pump(state, self, lane);
}

function release(state: OutboxState, self: OutboxSelf, step: FinishStep): void {
  state.arriving -= step.arrivals.length;
  for (const { lane, row } of step.arrivals) {
    state.book.release(lane, row);
    if (row.status !== 'sending') continue;
    lane.isBusy = false;
    lane.account.inFlight.delete(lane);
    lane.account.pace.release(lane);
  }
  for (const lane of lanesOf(step)) {
    pump(state, self, lane);
    fill(state, self, lane.account);
  }
}

function lanesOf(step: FinishStep): ReadonlySet<Lane> {
  return new Set(step.arrivals.map(({ lane }) => lane));
}

/** The cache was wrong: the store is right. */
function adopt(
  state: OutboxState,
  self: OutboxSelf,
  entry: Entry,
  stored: StoredRow | undefined,
): void {
  if (stored === undefined) {
    state.book.remove(entry);
    if (entry.lane.pending?.entry === entry) entry.lane.pending = undefined;
  } else if (stored.revision !== entry.revision) {
    state.book.step(entry, parseDeliveryRow(stored.row), stored.revision, timesOf(self));
  }
}

/** Counts what a delivery has become, and keeps the ended ones in sight. */
function note(state: OutboxState, entry: Entry, after: DeliveryRow): void {
  const { account } = entry.lane;
  if (after.status === 'delivered') {
    account.lastDeliveredAtMs = after.updatedAtMs;
    remember(account.recentDelivered, toView(entry.deliveryId, after));
    bump(state, 'ended:delivered');
  } else if (after.status === 'dead') {
    account.deadLetters.add(entry.deliveryId);
    remember(account.recentDead, toView(entry.deliveryId, after));
    bump(state, 'ended:dead');
    bump(state, `dead:${after.ending}`);
  }
}
