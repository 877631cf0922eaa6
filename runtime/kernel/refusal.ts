/** A message that was taken and is not for its receiver: its asker hears of it, and it is a dead letter. */
import type { AskCode } from '../errors.ts';
import type { Cell } from './cell.ts';

/** The one that is being handled. */
export function refuse(cell: Cell, kind: string, code: AskCode, detail: string): void {
  const { asking, kernel } = cell;
  cell.asking = undefined;
  if (code === 'invalid_message') kernel.counters.invalid_messages += 1;
  asking?.fail(code, detail);
  kernel.deadLetter(cell.path, kind, code);
}
