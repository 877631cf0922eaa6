/** What `inspect` shows of a cell and of those below it. */
import type { ActorSnapshot } from '../system.ts';
import { Cell } from './cell.ts';

export function addSnapshots(
  found: ActorSnapshot[],
  cell: Cell,
  path: string,
  nowMs: number,
): void {
  found.push({
    path,
    thread: cell.kernel.thread,
    state: stateOf(cell),
    incarnation: cell.incarnation,
    restarts: Math.max(0, cell.incarnation - 1),
    mailbox: cell.inbox?.size ?? 0,
    handlingMs: sinceMs(cell.extras?.unanswered.parkedAtMs, nowMs),
    lastError: cell.extras?.lastError ?? '',
  });
  for (const child of cell.children?.all() ?? [])
    if (child instanceof Cell) addSnapshots(found, child, `${path}/${child.spec.id}`, nowMs);
}

function sinceMs(atMs: number | undefined, nowMs: number): number {
  return atMs === undefined || atMs === 0 ? 0 : Math.max(0, nowMs - atMs);
}

function stateOf(cell: Cell): ActorSnapshot['state'] {
  switch (cell.status) {
    case 'created':
    case 'starting':
      return 'starting';
    case 'running':
      return cell.children?.isDegraded === true ? 'degraded' : 'running';
    case 'passive':
      return 'passive';
    case 'waiting':
      return 'restarting';
    case 'ending':
    case 'gone':
      return 'stopping';
  }
}
