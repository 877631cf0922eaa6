/** Keeps an eye on the disk: admission ends and the ballast goes before the store meets a full one. */
import { codeOf } from '../../runtime/errors.ts';
import { watchSpace } from './decide.ts';
import type { LedgerOwn, LedgerSelf, LedgerState } from './ledger-state.ts';

/** Looks at the free space now and does what it asks for. */
export function checkSpace(state: LedgerState, self: LedgerSelf): void {
  state.bytesSinceSpaceCheck = 0;
  const { freeBytes, reusableBytes } = state.store.health();
  const before = state.space;
  const { space, effect } = watchSpace(before, { freeBytes, reusableBytes }, state.limits);
  state.space = space;
  if (space.admitting !== before.admitting) {
    const message = space.admitting
      ? 'disk space is back'
      : 'disk space is low: nothing is admitted';
    const fields = { freeBytes, reusableBytes };
    state.deps.log(space.admitting ? 'info' : 'error', message, fields);
  }
  if (effect === 'none') return;
  const wanted = effect === 'make_ballast' ? 'there' : 'gone';
  const { ballast } = state.deps;
  self.run<unknown, 'ballastMoved'>(
    () => (wanted === 'there' ? ballast.ensure() : ballast.release()),
    'ballastMoved',
    (outcome) => ({ wanted, code: outcome.ok ? '' : codeOf(outcome.error) }),
  );
}

/** A move that failed leaves the ballast as it was; the next check tries again. */
export function ballastMoved(
  state: LedgerState,
  { wanted, code }: Parameters<LedgerOwn['ballastMoved']>[0],
): void {
  const before = wanted === 'there' ? 'gone' : 'there';
  state.space = { ...state.space, ballast: code === '' ? wanted : before };
  if (code !== '') state.deps.log('warn', `the ballast file is not ${wanted}`, { code });
}
