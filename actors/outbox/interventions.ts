/** Replay and discard: what an operator does to a delivery that does not go on by itself. Asked twice, it happens once. */
import type { OperationReply, OwnedCall } from '../../proto/control/owner.ts';
import type { ActorRef } from '../../runtime/actor.ts';
import { joinChanges } from '../../runtime/store/change-set.ts';
import type { StoredRow } from '../../runtime/store/store.ts';
import type { CommitReply, LedgerProtocol } from '../ledger/protocol.ts';
import type { OpenRun } from '../router/rows.ts';
import { type Entry, forgetDead, type Intervention } from './book.ts';
import { commit } from './commits.ts';
import { decide } from './decide.ts';
import { isFull } from './finish.ts';
import { awaitsOperator, pump, termsOf } from './lanes.ts';
import { findExchange, sayTurnsChanged } from './notes.ts';
import { changedMeanwhile, done, onItsWay, refusal } from './replies.ts';
import {
  DEAD_LETTERS,
  DELIVERED,
  type EndedRow,
  parseEndedRow,
  revivedPart,
  toDead,
} from './rows.ts';
import { bump, type OutboxOwn, type OutboxSelf, type OutboxState } from './state.ts';

type Input = { readonly connector_id: string; readonly delivery_id: string };

const READ_DEADLINE = { inMs: 5_000 };
const RETRY_MS = 1_000;
const MAX_WAITING = 16;

export function operate(
  state: OutboxState,
  self: OutboxSelf,
  { operation, input }: OwnedCall,
): OperationReply | PromiseLike<OperationReply> {
  if (operation !== 'channels.replay' && operation !== 'channels.discard') {
    return refusal('not_found', `the outbox does not answer ${operation}`);
  }
  const { connector_id: connectorId, delivery_id: deliveryId } = input as Input;
  const answer = self.defer<OperationReply>();
  const verb = operation === 'channels.replay' ? 'replay' : 'discard';
  const asked: Intervention = { verb, connectorId, deliveryId, answer };
  const entry = state.book.entries.get(deliveryId);
  if (entry === undefined) readEnded(state, self, asked);
  else onActive(state, self, asked, entry);
  return answer.promise;
}

function onActive(
  state: OutboxState,
  self: OutboxSelf,
  asked: Intervention,
  { lane, row }: Entry,
): void {
  const { connectorId, answer } = asked;
  if (row.connectorId !== connectorId) answer.resolve(unknownDelivery(asked));
  else if (!awaitsOperator({ lane, row })) answer.resolve(onItsWay(asked, lane.account, row));
  else if ((lane.interventions?.length ?? 0) >= MAX_WAITING) {
    answer.resolve(refusal('busy', 'too many operations on this conversation', RETRY_MS));
  } else {
    lane.interventions = [...(lane.interventions ?? []), asked];
    pump(state, self, lane);
  }
}

/** It is not active: its row says how it ended, if there is one. */
function readEnded(state: OutboxState, self: OutboxSelf, asked: Intervention): void {
  const { ledger } = state;
  self.run(
    async () => {
      const dead = await readRow(self, ledger, DEAD_LETTERS, asked.deliveryId);
      if (dead === undefined) {
        const stored = await readRow(self, ledger, DELIVERED, asked.deliveryId);
        return { stored, exchange: undefined };
      }
      return { stored: dead, exchange: await findExchange(self, ledger, parseEndedRow(dead.row)) };
    },
    'endedRead',
    (outcome) => ({ asked, outcome }),
  );
}

async function readRow(
  self: OutboxSelf,
  ledger: ActorRef<LedgerProtocol>,
  table: string,
  key: string,
): Promise<StoredRow | undefined> {
  const [stored] = await self.ask(ledger, 'read', { table, key }, READ_DEADLINE);
  return stored;
}

export function endedRead(
  state: OutboxState,
  self: OutboxSelf,
  { asked, outcome }: Parameters<OutboxOwn['endedRead']>[0],
): void {
  const { verb, connectorId, deliveryId, answer } = asked;
  if (!outcome.ok) {
    answer.resolve(refusal('unavailable', 'the ledger did not answer', RETRY_MS));
    return;
  }
  const entry = state.book.entries.get(deliveryId);
  if (entry !== undefined) {
    onActive(state, self, asked, entry);
    return;
  }
  const { stored, exchange } = outcome.value;
  const row = stored === undefined ? undefined : parseEndedRow(stored.row);
  if (stored === undefined || row?.connectorId !== connectorId) {
    answer.resolve(unknownDelivery(asked));
  } else if (verb === 'replay' && row.status === 'dead') {
    revive(state, self, asked, { row, revision: stored.revision, exchange });
  } else if (verb === 'replay' ? row.replayedAtMs > 0 : row.ending === 'discarded') {
    answer.resolve(done({ delivery_id: deliveryId, status: row.status, changed: false }));
  } else {
    const is = row.status === 'dead' ? `dead already (${row.ending})` : 'delivered';
    answer.resolve(refusal('failed_precondition', `delivery ${deliveryId} is ${is}`));
  }
}

interface Dead {
  readonly row: EndedRow;
  readonly revision: number;
  readonly exchange: OpenRun | undefined;
}

/** A dead letter arrives anew: it takes its place at the end of its lane. */
function revive(
  state: OutboxState,
  self: OutboxSelf,
  { deliveryId, connectorId, answer }: Intervention,
  { row: ended, revision, exchange }: Dead,
): void {
  const { threadId, conversationId, message } = ended;
  const dead = message && toDead(ended, message, state.nextOrder);
  const account = state.book.account(connectorId);
  const row = dead && decide(dead, { type: 'replay' }, termsOf(account, self));
  if (row === undefined) {
    answer.resolve(refusal('failed_precondition', `delivery ${deliveryId} kept no message`));
    return;
  }
  if (isFull(state, connectorId)) {
    answer.resolve(refusal('busy', `${connectorId} has too many deliveries waiting`, RETRY_MS));
    return;
  }
  const lane = state.book.lane(connectorId, conversationId, threadId);
  state.nextOrder += 1;
  state.book.reserve(lane, row);
  const later = {
    resolve(reply: CommitReply) {
      if (!reply.ok && reply.code === 'conflict') answer.resolve(changedMeanwhile(deliveryId));
      else if (!reply.ok) answer.resolve(refusal('busy', 'nothing was written', RETRY_MS));
      else {
        forgetDead(account, deliveryId);
        sayTurnsChanged(state, self, exchange);
        bump(state, 'interventions:replay');
        answer.resolve(done({ delivery_id: deliveryId, status: row.status, changed: true }));
      }
    },
  };
  const changes = joinChanges(revivedPart(deliveryId, revision, row, exchange));
  commit(state, self, { kind: 'finish', arrivals: [{ deliveryId, lane, row }], changes, later });
}

function unknownDelivery({ connectorId, deliveryId }: Intervention): OperationReply {
  return refusal('not_found', `${connectorId} has no delivery ${deliveryId}`);
}
