/** What a full mailbox does about one message more: by its definition, it refuses that one or gives up the oldest. */
import { Parcel } from '../transfer.ts';
import type { Cell } from './cell.ts';
import type { KindEntry, Limits } from './compiled.ts';
import type { Inbox } from './inbox.ts';

/** False where the new message is the one that is lost. Each that is lost is counted. */
export function makeRoom(cell: Cell, kind: KindEntry, limits: Limits, bytes: number): boolean {
  const { kernel } = cell;
  const inbox = cell.inbox as Inbox;
  const { limitBytes, overflow } = limits;
  if (overflow !== 'drop-oldest' || bytes > limitBytes) {
    if (bytes <= limitBytes) inbox.missed(bytes);
    kernel.refused(cell, kind.name, overflow);
    return false;
  }
  do {
    kernel.refused(cell, kind.name, overflow);
    kernel.giveUp(cell, inbox.dropOldest(), 'mailbox_full');
  } while (!inbox.hasRoom(limits, bytes));
  return true;
}

/** Taken, as its sender is told, with the memory that moves with it; and gone. */
export function dropped(payload: unknown): true {
  if (payload instanceof Parcel) payload.take();
  return true;
}
