/** Moves lanes on: whose turn it is, what is sent, who waits for what. One step of a lane at a time, one piece in flight. */
import { joinChanges } from '../../runtime/store/change-set.ts';
import type { Attempt } from '../channels/protocol.ts';
import { type Account, type Entry, isOvertaken, type Lane, type Pending } from './book.ts';
import { commit } from './commits.ts';
import { decide, fits, type Happening, type Terms } from './decide.ts';
import { expiryOf } from './policy.ts';
import type { Settlement } from './protocol.ts';
import { changedMeanwhile, onItsWay } from './replies.ts';
import { type DeliveryRow, isActive, steppedPart } from './rows.ts';
import type { Move, MoveStep, OutboxSelf, OutboxState } from './state.ts';

/** A connector that refuses a tell has a full mailbox. */
const TELL_AGAIN_MS = 250;
export const SWEEP_MS = 15_000;

/** Looks at a lane and does what can be done now; else it says when to look again. Harmless at any time. */
export function pump(state: OutboxState, self: OutboxSelf, lane: Lane): void {
  if (lane.isBusy) return;
  const nowMs = self.clock.monotonicMs();
  const wakeAtMs = nowMs < lane.notBeforeMs ? lane.notBeforeMs : act(state, self, lane, nowMs);
  if (wakeAtMs === undefined || wakeAtMs === Number.POSITIVE_INFINITY) state.wakes.delete(lane);
  else state.wakes.set(lane, wakeAtMs);
}

export function pumpAll(state: OutboxState, self: OutboxSelf, account: Account): void {
  for (const lane of [...account.lanes]) pump(state, self, lane);
}

/** Gives free places of an account, one at a time where it has a pace or is on trial, to the lanes that wait for one. */
export function fill(state: OutboxState, self: OutboxSelf, account: Account): void {
  for (const lane of account.ready) {
    if (!hasPlace(state, account, self.clock.monotonicMs())) return;
    account.ready.delete(lane);
    pump(state, self, lane);
  }
}

export function isOpen(account: Account, nowMs: number): boolean {
  return account.ref !== undefined && !account.isParked && nowMs >= account.restUntilMs;
}

/** Whether one more lane of the account may begin to send. */
export function hasPlace(state: OutboxState, account: Account, nowMs: number): boolean {
  const { inFlight, pace, trial } = account;
  const isPlaceFree = inFlight.size < state.policies.inFlightPerConnector;
  return isPlaceFree && pace.isFree(nowMs) && trial.allows(inFlight);
}

export function termsOf(account: Account, self: OutboxSelf): Terms {
  return { onUnknown: account.onUnknown, atMs: self.clock.wallMs(), random: self.random() };
}

export function acknowledge(self: OutboxSelf, account: Account, settlement: Settlement): void {
  if (account.ref === undefined) return;
  const { deliveryId, attempt, chunk } = settlement;
  self.tell(account.ref, 'settledAck', { deliveryId, attempt, chunk });
}

/** One timer for whoever is to be looked at first. */
export function armTimer(state: OutboxState, self: OutboxSelf): void {
  const { earliestMs } = state.wakes;
  if (earliestMs === undefined || earliestMs >= (state.timerAtMs ?? Number.POSITIVE_INFINITY)) {
    return;
  }
  state.timerAtMs = earliestMs;
  self.after('wake', Math.max(0, earliestMs - self.clock.monotonicMs()), 'wake', null);
}

/** Does one thing, or gives the time at which there is something to do. */
function act(state: OutboxState, self: OutboxSelf, lane: Lane, nowMs: number): number | undefined {
  if (lane.pending !== undefined && settle(state, self, lane.pending)) return undefined;
  if (lane.interventions !== undefined && intervene(state, self, lane)) return undefined;
  for (const held of lane.held) {
    if (nowMs >= expiresAt(held)) return step(state, self, held, { type: 'expired' });
  }
  const head = lane.entries[0];
  if (head === undefined) {
    state.book.dropIdle(lane);
    return heldExpiry(lane);
  }
  const isSending = head.row.status === 'sending';
  const wakeAtMs = isSending ? send(state, self, head, nowMs) : advance(state, self, head, nowMs);
  return wakeAtMs === undefined ? undefined : Math.min(wakeAtMs, heldExpiry(lane));
}

/** Whether it waits for an operator: what is held, and all of an account that is not configured. What he may do is the machine's. */
export function awaitsOperator({ lane, row }: Pick<Entry, 'lane' | 'row'>): boolean {
  return row.status === 'held' || !lane.account.isConfigured;
}

/** Does what an operator asked for first; true: a step is under way. */
function intervene(state: OutboxState, self: OutboxSelf, lane: Lane): boolean {
  for (let asked = lane.interventions?.shift(); asked; asked = lane.interventions?.shift()) {
    const entry = state.book.entries.get(asked.deliveryId);
    if (entry === undefined) {
      asked.answer.resolve(changedMeanwhile(asked.deliveryId));
      continue;
    }
    const after =
      awaitsOperator(entry) && decide(entry.row, { type: asked.verb }, termsOf(lane.account, self));
    if (after) {
      launch(state, self, [{ entry, after }], asked);
      return true;
    }
    asked.answer.resolve(onItsWay(asked, lane.account, entry.row));
  }
  lane.interventions = undefined;
  return false;
}

/** The head's turn, where nothing stands in its way. */
function advance(
  state: OutboxState,
  self: OutboxSelf,
  head: Entry,
  nowMs: number,
): number | undefined {
  const { lane } = head;
  const { account } = lane;
  const expiresAtMs = expiresAt(head);
  if (nowMs >= expiresAtMs) return step(state, self, head, { type: 'expired' });
  if (isOvertaken(head)) return expiresAtMs;
  if (nowMs < head.dueAtMs) return Math.min(head.dueAtMs, expiresAtMs);
  if (!isOpen(account, nowMs)) {
    account.ready.delete(lane);
    return expiresAtMs;
  }
  if (!hasPlace(state, account, nowMs)) {
    account.ready.add(lane);
    return expiresAtMs;
  }
  return step(state, self, head, { type: 'turn' });
}

/** Tells the connector of a piece whose row says `sending`, once. */
function send(
  state: OutboxState,
  self: OutboxSelf,
  head: Entry,
  nowMs: number,
): number | undefined {
  const { lane } = head;
  const { account } = lane;
  if (lane.toldEpoch !== 0) return Number.POSITIVE_INFINITY;
  if (account.ref === undefined) {
    const expiresAtMs = expiresAt(head);
    if (nowMs >= expiresAtMs) return step(state, self, head, { type: 'expired' });
    return expiresAtMs;
  }
  if (!tellAttempt(self, head, lane.isResumed)) return nowMs + TELL_AGAIN_MS;
  lane.toldEpoch = account.epoch;
  lane.toldAtMs = nowMs;
  const freeAtMs = account.pace.spend(lane, nowMs);
  if (freeAtMs !== undefined) state.wakes.set(account.pace, freeAtMs);
  if (!state.isSweeping) {
    state.isSweeping = true;
    self.after('sweep', SWEEP_MS, 'sweep', null);
  }
  return Number.POSITIVE_INFINITY;
}

export function tellAttempt(self: OutboxSelf, { deliveryId, lane, row }: Entry, resumed: boolean) {
  const { ref } = lane.account;
  if (ref === undefined) return false;
  const attempt: Attempt = {
    deliveryId,
    attempt: row.attempt,
    chunk: row.chunk,
    text: row.message.text,
    conversationId: row.conversationId,
    threadId: row.threadId,
    inReplyTo: row.message.inReplyTo,
    resumed,
    trace: row.trace,
  };
  self.trace = row.trace;
  return self.tell(ref, 'deliver', attempt);
}

/** True: a step is under way. False: it was stale, there is nothing to wait for. */
function settle(state: OutboxState, self: OutboxSelf, pending: Pending): boolean {
  const { entry, happening, settlement } = pending;
  const { lane } = entry;
  const { account } = lane;
  const isHead = entry === lane.entries[0];
  const isStale =
    settlement === undefined ? entry.row.status !== 'sending' : !fits(entry.row, settlement);
  const nowMs = self.clock.monotonicMs();
  const maySend = isHead && isOpen(account, nowMs) && account.pace.isFree(nowMs);
  const known: Happening = happening.type === 'ended' ? { ...happening, maySend } : happening;
  const after = isStale ? undefined : decide(entry.row, known, termsOf(account, self));
  if (after === undefined) {
    lane.pending = undefined;
    if (settlement !== undefined) acknowledge(self, account, settlement);
    return false;
  }
  const next = leavesLane(after) && isHead ? follower(self, lane) : [];
  launch(state, self, [{ entry, after }, ...next], pending);
  return true;
}

/** The lane's next delivery starts in the change set that ends this one, unless other lanes wait for the place. */
function follower(self: OutboxSelf, lane: Lane): readonly Move[] {
  const entry = lane.entries[1];
  const { account } = lane;
  const nowMs = self.clock.monotonicMs();
  if (entry === undefined || isOvertaken(entry) || !isOpen(account, nowMs)) return [];
  if (!account.pace.isFree(nowMs)) return [];
  if (nowMs < entry.dueAtMs || nowMs >= expiresAt(entry) || account.ready.size > 0) return [];
  const after = decide(entry.row, { type: 'turn' }, termsOf(account, self));
  return after?.status === 'sending' ? [{ entry, after }] : [];
}

function step(state: OutboxState, self: OutboxSelf, entry: Entry, happening: Happening): undefined {
  const after = decide(entry.row, happening, termsOf(entry.lane.account, self));
  if (after !== undefined) launch(state, self, [{ entry, after }], undefined);
}

function launch(
  state: OutboxState,
  self: OutboxSelf,
  moves: readonly [Move, ...Move[]],
  cause: MoveStep['cause'],
): void {
  const { lane } = moves[0].entry;
  lane.isBusy = true;
  lane.account.ready.delete(lane);
  if (moves.some(({ after }) => after.status === 'sending')) occupy(lane);
  const parts = moves.map(({ entry, after }) =>
    steppedPart({
      deliveryId: entry.deliveryId,
      revision: entry.revision,
      before: entry.row,
      after,
    }),
  );
  commit(state, self, { kind: 'move', lane, moves, changes: joinChanges(...parts), cause });
}

/** The lane is about to send a piece. */
export function occupy(lane: Lane): void {
  const { inFlight, pace, trial } = lane.account;
  trial.take(lane, inFlight);
  inFlight.add(lane);
  pace.take(lane);
}

function leavesLane(row: DeliveryRow): boolean {
  return row.status === 'held' || !isActive(row.status);
}

function expiresAt({ bornAtMs, lane }: Entry): number {
  return expiryOf(bornAtMs, lane.account);
}

function heldExpiry(lane: Lane): number {
  let earliestMs = Number.POSITIVE_INFINITY;
  for (const held of lane.held) earliestMs = Math.min(earliestMs, expiresAt(held));
  return earliestMs;
}
