/** How an incarnation speaks to the keeper of what outlives it. */
import { type Asks, type In, type Out, refTo } from '../actor.ts';
import { AskError, RuntimeError, StaleIncarnation } from '../errors.ts';
import { KEEPER_ID, type KeeperProtocol, type Place, type Refusal } from '../state/protocol.ts';
import { checkKey } from '../store/keys.ts';
import { PromiseEnd } from './asks.ts';
import type { Cell } from './cell.ts';
import type { KernelSelf } from './self.ts';

const DEADLINE_MS = 30_000;
const CODES = [
  'store_failed',
  'store_closed',
  'store_corrupt',
  'state_full',
  'reminders_full',
] as const;
const FULL: Readonly<Record<string, string>> = {
  state_full: 'too much state is waiting or in memory',
  reminders_full: 'it has too many reminders, or all actors together have',
};

/** The incarnation that `cell` has now, or had. */
export function placeOf(cell: Cell, incarnation: number): Place {
  let placed = cell;
  // The uids of main are of one sequence; another thread's are that only below the same actor that main placed there.
  if (cell.kernel.thread !== 'main') while (placed.parent !== undefined) placed = placed.parent;
  const stamp = [placed.uid, placed.incarnation, cell.uid, incarnation] as const;
  return { path: cell.path, stamp };
}

/** Rejects with `StaleIncarnation`, `state_unavailable` or an `AskError`. */
export async function askKeeper<K extends Asks<KeeperProtocol>>(
  cell: Cell,
  self: KernelSelf,
  kind: K,
  payload: In<KeeperProtocol, K>,
): Promise<Out<KeeperProtocol, K>> {
  const { path, kernel, trace } = cell;
  checkKey(path);
  if (cell.self !== self) throw new StaleIncarnation(cell.ref.address, self.incarnation);
  const end = new PromiseEnd();
  const deadline = { inMs: DEADLINE_MS };
  // The keeper waits for nobody, so nobody's asks go in a circle over it.
  kernel.ask({ ref: keeperOf(path), kind, payload, deadline, chain: [], trace, from: cell }, end);
  try {
    return (await end.promise) as Out<KeeperProtocol, K>;
  } catch (error) {
    if (!(error instanceof AskError) || error.code !== 'actor_dead') throw error;
    const message = `${path}: the system keeps no state, or has stopped; it is created with a store`;
    throw new RuntimeError('state_unavailable', message, { cause: error });
  }
}

/** Throws where the keeper refused. */
export function checkRefusal(cell: Cell, self: KernelSelf, refusal: Refusal): void {
  if (refusal === '') return;
  const { ref, path } = cell;
  if (refusal === 'stale_incarnation') throw new StaleIncarnation(ref.address, self.incarnation);
  const code = CODES.find((one) => one === refusal) ?? 'store_failed';
  const message = `${path}: ${FULL[code] ?? 'the store'}`;
  throw new RuntimeError(code, message, { retryable: code === 'state_full' });
}

export function keeperOf(path: string) {
  return refTo<KeeperProtocol>(path.slice(0, path.indexOf('/')), KEEPER_ID);
}
