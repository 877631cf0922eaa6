/** Brings steps to the ledger, and reads their rows again when no answer came. What the answers mean is `outcomes.ts`'s. */
import type { StoredRow } from '../../runtime/store/store.ts';
import { commitDeaths, isDeath } from './notes.ts';
import { DELIVERIES } from './rows.ts';
import type { Doubt, OutboxSelf, OutboxState, Step } from './state.ts';

// Longer than a flush on a slow disk; an answer that comes later is found by reading the rows.
const COMMIT_DEADLINE = { inMs: 10_000 };
const READ_DEADLINE_MS = 5_000;
const READ_AGAIN_MS = 1_000;

export function commit(state: OutboxState, self: OutboxSelf, step: Step): void {
  if (step.kind === 'finish') state.arriving += step.arrivals.length;
  if (step.kind === 'move' && step.moves.some(isDeath)) {
    self.run(
      () => commitDeaths(state, self, step, COMMIT_DEADLINE),
      'committed',
      (outcome) => ({ about: step, outcome }),
    );
    return;
  }
  const request = { changes: step.changes, admits: false };
  self.request(state.ledger, 'commit', request, COMMIT_DEADLINE, 'committed', step);
}

/** The rows of a step, through the same queue as its commit: what they say is final. */
export function readFate(state: OutboxState, self: OutboxSelf, step: Step, doubt: Doubt): void {
  state.unsure.set(step, doubt);
  const keys = rowKeysOf(step);
  self.run(
    () => Promise.all(keys.map((key) => readRow(state, self, key))),
    'fateRead',
    (outcome) => ({ step, outcome }),
  );
}

export function readFatesLater(self: OutboxSelf): void {
  self.after('readFates', READ_AGAIN_MS, 'readFates', null);
}

async function readRow(
  state: OutboxState,
  self: OutboxSelf,
  key: string,
): Promise<StoredRow | undefined> {
  const deadline = { inMs: READ_DEADLINE_MS };
  const [stored] = await self.ask(state.ledger, 'read', { table: DELIVERIES, key }, deadline);
  return stored;
}

/** A change set is all or nothing: one of a run's deliveries speaks for all. */
function rowKeysOf(step: Step): readonly string[] {
  if (step.kind === 'move') return step.moves.map(({ entry }) => entry.deliveryId);
  return step.arrivals.slice(0, 1).map(({ deliveryId }) => deliveryId);
}
