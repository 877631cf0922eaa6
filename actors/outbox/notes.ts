/** Answers that died, or live again: the run's session hears of it. Rare, so that nobody else pays for the reads. */
import type { ActorRef } from '../../runtime/actor.ts';
import type { CommitReply, LedgerProtocol } from '../ledger/protocol.ts';
import type { OpenRun } from '../router/rows.ts';
import { exchangeOf, RUNS } from '../sessions/rows.ts';
import { type DeliveryRow, type EndedRow, notedDeath } from './rows.ts';
import { bump, type Move, type MoveStep, type OutboxSelf, type OutboxState } from './state.ts';

const READ_DEADLINE = { inMs: 5_000 };

export function isDeath({ after }: Move): boolean {
  return after.status === 'dead';
}

/** Commits a step that ends deliveries as dead, with a note of each beside the turns of its run's session. */
export async function commitDeaths(
  state: OutboxState,
  self: OutboxSelf,
  { moves, changes }: MoveStep,
  deadline: { readonly inMs: number },
): Promise<CommitReply> {
  const deaths = await Promise.all(
    moves.filter(isDeath).map(async ({ entry: { deliveryId }, after }) => {
      const exchange = await findExchange(self, state.ledger, after);
      return { deliveryId, after, exchange };
    }),
  );
  let noted = changes;
  for (const { exchange, deliveryId, after } of deaths) {
    if (exchange !== undefined) noted = notedDeath(noted, exchange, deliveryId, after);
  }
  const request = { changes: noted, admits: false };
  try {
    return await self.ask(state.ledger, 'commit', request, deadline);
  } finally {
    // Also where no answer came: it may be durable.
    for (const { exchange } of deaths) sayTurnsChanged(state, self, exchange);
  }
}

/** The exchange that this delivery answers, as its session remembers it; undefined: not at all, or it is not known any more. */
export async function findExchange(
  self: OutboxSelf,
  ledger: ActorRef<LedgerProtocol>,
  { runId, sessionKey, envelopeId }: DeliveryRow | EndedRow,
): Promise<OpenRun | undefined> {
  if (sessionKey !== undefined && envelopeId !== undefined) return { sessionKey, envelopeId };
  const [stored] = await self.ask(ledger, 'read', { table: RUNS, key: runId }, READ_DEADLINE);
  return stored === undefined ? undefined : exchangeOf(stored.row);
}

/** A session that does not hear it has the turns as they were until it reads them again. */
export function sayTurnsChanged(
  state: OutboxState,
  self: OutboxSelf,
  exchange: OpenRun | undefined,
): void {
  if (exchange === undefined) return;
  const { sessionKey } = exchange;
  if (!self.tell(state.sessions, 'turnsChanged', { sessionKey })) bump(state, 'notes:refused');
}
