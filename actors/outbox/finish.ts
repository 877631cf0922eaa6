/** A run's end and its deliveries as one change set; the first of an idle lane is already `sending` in it. */
import { deliveryIdOf, type RunId } from '../../proto/ids.ts';
import { joinChanges } from '../../runtime/store/change-set.ts';
import { encodeChangeSet, joinEncoded } from '../../runtime/store/encoding.ts';
import type { CommitReply } from '../ledger/protocol.ts';
import type { Lane } from './book.ts';
import { commit } from './commits.ts';
import { decide } from './decide.ts';
import { hasPlace, isOpen, occupy, termsOf } from './lanes.ts';
import type { FinishRequest } from './protocol.ts';
import { type DeliveryRow, queuedPart, queuedRow } from './rows.ts';
import { type Arrival, bump, type OutboxSelf, type OutboxState } from './state.ts';

const FULL_RETRY_MS = 1_000;

export function finish(
  state: OutboxState,
  self: OutboxSelf,
  request: FinishRequest,
): CommitReply | PromiseLike<CommitReply> {
  if (request.outputs.some(({ target }) => isFull(state, target.connectorId))) {
    bump(state, 'finishes:full');
    return { ok: false, code: 'busy', retryAfterMs: FULL_RETRY_MS };
  }
  const arrivals = request.outputs.map((_, n) => arrive(state, self, request, n));
  const later = self.defer<CommitReply>();
  const changes = joinEncoded(
    encodeChangeSet(request.changes),
    encodeChangeSet(joinChanges(queuedPart(arrivals))),
  );
  commit(state, self, { kind: 'finish', arrivals, changes, later });
  return later.promise;
}

/** One delivery's row; its place in the lane is kept until the commit is answered, so that nothing overtakes it. */
function arrive(state: OutboxState, self: OutboxSelf, request: FinishRequest, n: number): Arrival {
  const output = request.outputs[n];
  if (output === undefined) throw new RangeError(`a run has no output ${n}`);
  const { target, message } = output;
  const lane = state.book.lane(target.connectorId, target.conversationId, target.threadId);
  const queued = queuedRow({
    runId: request.runId,
    target,
    message,
    order: state.nextOrder,
    trace: request.trace,
    atMs: self.clock.wallMs(),
  });
  state.nextOrder += 1;
  const row = mayStart(state, self, lane) ? begun(self, lane, queued) : queued;
  if (row.status === 'sending') {
    lane.isBusy = true;
    occupy(lane);
  }
  state.book.reserve(lane, row);
  return { deliveryId: deliveryIdOf(request.runId as RunId, n), lane, row };
}

function begun(self: OutboxSelf, lane: Lane, queued: DeliveryRow): DeliveryRow {
  return decide(queued, { type: 'turn' }, termsOf(lane.account, self)) ?? queued;
}

function mayStart(state: OutboxState, self: OutboxSelf, lane: Lane): boolean {
  const { account } = lane;
  const nowMs = self.clock.monotonicMs();
  const isIdle = lane.entries.length + lane.arriving.size === 0 && !lane.isBusy;
  const isFree = account.ready.size === 0 && hasPlace(state, account, nowMs);
  return isIdle && isFree && isOpen(account, nowMs);
}

/** One account that sends nothing must not fill the memory, nor hold up the others. */
export function isFull(state: OutboxState, connectorId: string): boolean {
  const { activePerConnector, textCharsPerConnector } = state.policies;
  const account = state.book.accounts.get(connectorId);
  if (account === undefined) return false;
  return account.active >= activePerConnector || account.textChars >= textCharsPerConnector;
}
