/** Connectors come, go, rest and answer: what that means for the lanes behind them. */
import type { Down } from '../../runtime/actor.ts';
import { SENDS_HANG } from '../channels/protocol.ts';
import type { Account, Lane } from './book.ts';
import { accountAfter, fits } from './decide.ts';
import { acknowledge, isOpen, pump, pumpAll, SWEEP_MS, tellAttempt, termsOf } from './lanes.ts';
import type { Charge } from './policy.ts';
import type { ConnectorUp, Settlement } from './protocol.ts';
import type { OutboxSelf, OutboxState } from './state.ts';

/** Beyond this an attempt's answer is asked for: the tell may have been lost on its way. */
const ANSWER_DUE_MS = 60_000;

export function connectorUp(state: OutboxState, self: OutboxSelf, up: ConnectorUp): void {
  const account = state.book.account(up.connectorId);
  account.onUnknown = up.onUnknown;
  account.maxAgeMs = up.maxAgeMs;
  account.pace.intervalMs = up.minIntervalMs;
  const incarnation = up.incarnation ?? 0;
  const { ref } = account;
  if (ref?.address === up.ref.address && incarnation === account.incarnation) {
    pumpAll(state, self, account);
    return;
  }
  if (ref !== undefined && ref.address !== up.ref.address) {
    self.unwatch(ref);
    lose(state, self, account, account.epoch);
  }
  account.ref = up.ref;
  account.incarnation = incarnation;
  account.epoch += 1;
  // A new connector tries its credential anew; it says so when it is refused.
  setParked(account, undefined, self.clock.monotonicMs());
  self.watch(up.ref);
  pumpAll(state, self, account);
}

export function connectorDown(state: OutboxState, self: OutboxSelf, down: Down): void {
  for (const account of state.book.accounts.values()) {
    if (account.ref?.address !== down.ref.address) continue;
    // Its successor may have registered before this arrived. 0: which one it was is not known, so it counts for this one.
    const isSucceeded = down.incarnation > 0 && down.incarnation < account.incarnation;
    if (!isSucceeded) {
      account.ref = undefined;
      account.upSinceMs = undefined;
    }
    lose(state, self, account, account.epoch - (isSucceeded ? 1 : 0), down);
    pumpAll(state, self, account);
  }
}

export function park(
  state: OutboxState,
  self: OutboxSelf,
  { connectorId, parked, reason }: { connectorId: string; parked: boolean; reason: string },
): void {
  const account = state.book.account(connectorId);
  setParked(account, parked ? reason : undefined, self.clock.monotonicMs());
  pumpAll(state, self, account);
}

export function settled(state: OutboxState, self: OutboxSelf, settlement: Settlement): void {
  const entry = state.book.entries.get(settlement.deliveryId);
  if (entry === undefined) {
    // It has ended, and its row with the connector's name is elsewhere: only the one that waits for this takes it.
    for (const account of state.book.accounts.values()) acknowledge(self, account, settlement);
    return;
  }
  const { lane } = entry;
  // A step is under way; the connector repeats what is not acknowledged.
  if (lane.isBusy || lane.pending !== undefined) return;
  if (!fits(entry.row, settlement)) {
    acknowledge(self, lane.account, settlement);
    return;
  }

  const { outcome, chunks } = settlement;
  if (outcome.type !== 'rate_limited') lane.account.trial.pass(lane);
  restAccount(state, self, lane.account, settlement);
  lane.pending = {
    entry,
    happening: { type: 'ended', outcome, chunks, maySend: false },
    settlement,
  };
  pump(state, self, lane);
}

/** Pieces that nobody has answered for long are asked about; the connector says what it knows, or that it is unknown. */
export function sweep(state: OutboxState, self: OutboxSelf): void {
  const nowMs = self.clock.monotonicMs();
  let waiting = 0;
  for (const account of state.book.accounts.values()) {
    waiting += account.inFlight.size;
    for (const lane of account.inFlight) ask(self, lane, nowMs);
  }
  state.isSweeping = waiting > 0;
  if (state.isSweeping) self.after('sweep', SWEEP_MS, 'sweep', null);
}

function ask(self: OutboxSelf, lane: Lane, nowMs: number): void {
  const head = lane.entries[0];
  const isWaiting = lane.toldEpoch !== 0 && !lane.isBusy && lane.pending === undefined;
  if (head?.row.status !== 'sending' || !isWaiting || nowMs - lane.toldAtMs < ANSWER_DUE_MS) return;
  if (tellAttempt(self, head, true)) lane.toldAtMs = nowMs;
}

/** Told attempts whose connector has ended are of unknown outcome. */
function lose(
  state: OutboxState,
  self: OutboxSelf,
  account: Account,
  upToEpoch: number,
  down?: Down,
): void {
  for (const lane of [...account.inFlight]) {
    const head = lane.entries[0];
    const isTold = lane.toldEpoch !== 0 && lane.toldEpoch <= upToEpoch;
    // A step under way knows more, or has told nobody yet.
    if (head?.row.status !== 'sending' || !isTold || lane.isBusy || lane.pending !== undefined) {
      continue;
    }
    const charge = down === undefined ? 'none' : chargeOf(down, head.deliveryId);
    const reason = `connector ${down?.cause.code ?? 'replaced'}`;
    lane.pending = { entry: head, happening: { type: 'lost', reason, charge } };
    pump(state, self, lane);
  }
}

/**
 * An end that names another message is charged to that one; one that names nobody may be the doing of any that was in flight.
 * Where sends hang, each was counted at its own deadline.
 */
function chargeOf({ cause }: Down, deliveryId: string): Charge {
  const { kind, code, culprit, subject = '' } = cause;
  if (code === SENDS_HANG) return 'none';
  if (subject === deliveryId) return kind === 'crashed' || culprit === true ? 'crash' : 'none';
  const isUnnamed = subject === '' && (kind === 'crashed' || kind === 'thread-lost');
  return isUnnamed ? 'loss' : 'none';
}

/** `reason` undefined unparks. */
function setParked(account: Account, reason: string | undefined, nowMs: number): void {
  account.isParked = reason !== undefined;
  account.parkReason = reason ?? '';
  if (account.isParked || account.ref === undefined) account.upSinceMs = undefined;
  else account.upSinceMs ??= nowMs;
}

function restAccount(
  state: OutboxState,
  self: OutboxSelf,
  account: Account,
  { outcome }: Settlement,
): void {
  const after = accountAfter(outcome, termsOf(account, self));
  if (after === undefined) return;
  const nowMs = self.clock.monotonicMs();
  if ('parked' in after) {
    setParked(account, after.parked, nowMs);
    return;
  }
  const untilMs = nowMs + after.restMs;
  if (isOpen(account, nowMs) || untilMs > account.restUntilMs) account.restUntilMs = untilMs;
  account.trial.begin();
  state.wakes.set(account, account.restUntilMs);
}
