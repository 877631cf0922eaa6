/** What an actor does on its way to an end that is not a crash. */
import { codeOf, messageOf } from '../errors.ts';
import type { Cell } from './cell.ts';
import { KernelSelf } from './self.ts';

/** Its children first, then its own `stop`, where it has one and a state. What fails in them is noted and counted. */
export async function stopInOrder(cell: Cell, hasStop: boolean): Promise<void> {
  const { kernel, state, compiled } = cell;
  const self = cell.self ?? new KernelSelf(cell);
  try {
    await cell.children?.stopAll();
    if (hasStop) await compiled?.definition.stop?.(state, self);
  } catch (error) {
    cell.ensureExtras().lastError = `stop: ${codeOf(error)}: ${messageOf(error)}`;
    kernel.counters.failed_stops += 1;
  }
}
