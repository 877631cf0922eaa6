/** What most actors never have, in one place that is made when it is first needed. */
import type { ActorRef, ExitCause } from '../actor.ts';
import { createDeferred, type Deferral } from '../deferred.ts';
import type { Cell } from './cell.ts';
import { NamedTimers } from './named-timers.ts';
import type { Passivation } from './passivation.ts';
import { createRef } from './ref.ts';
import { RunningWork } from './running-work.ts';
import { Unanswered } from './unanswered.ts';
import { Watchers } from './watchers.ts';

/** Where a cell stands: below a cell of this thread, or as the thread's own root at a path. */
export interface CellPlace {
  readonly uid: number;
  readonly parent: Cell | undefined;
  /** Of a root. */
  readonly path: string;
}

export class CellExtras {
  path = '';
  ref: ActorRef<unknown> | undefined = undefined;
  lastError = '';
  readonly timers = new NamedTimers();
  readonly work = new RunningWork();
  readonly watchers = new Watchers();
  readonly unanswered = new Unanswered();
  whenOver: Deferral<void> | undefined = undefined;
  /** Whom the present incarnation watches, by address. */
  watched: Map<string, ActorRef<unknown>> | undefined = undefined;
  /** Requests of the present incarnation that have not ended. */
  requests = 0;
  passivation: Passivation | undefined = undefined;

  /** Nothing is under way that ends with the incarnation. */
  get isIdle(): boolean {
    return (
      this.requests === 0 &&
      this.timers.isEmpty &&
      this.work.isEmpty &&
      this.unanswered.isEmpty &&
      (this.watched?.size ?? 0) === 0
    );
  }

  /** Settles when the incarnation is over: killed, where it takes longer. */
  async over(cell: Cell, timeoutMs: number): Promise<void> {
    this.whenOver ??= createDeferred<void>();
    const over = this.whenOver.promise;
    const timer = cell.kernel.host.setTimer(timeoutMs, () => cell.kill('shutdown_timeout'));
    await over;
    timer.cancel();
  }

  /** What was under way ends with the incarnation. Gives who waits for its end, or for its becoming passive, which no watcher hears. */
  ended(cell: Cell, cause: ExitCause, isPassive: boolean): Deferral<void> | undefined {
    const { whenOver } = this;
    this.whenOver = undefined;
    this.timers.cancelAll();
    this.unanswered.failAll(cause.code);
    if (!isPassive) this.watchers.tell(cell, cause);
    return whenOver;
  }

  /** Its incarnation is over: nobody has to tell it anything any more, and its work is not wanted. */
  forget({ kernel, uid }: Cell): void {
    for (const ref of this.watched?.values() ?? []) kernel.unwatch(ref, uid);
    this.watched = undefined;
    this.requests = 0;
    this.passivation?.cancel();
    this.work.abortAll();
  }
}

/** Made when it is asked for: most actors are never spoken of. */
export function pathOfCell(cell: Cell): string {
  const extras = cell.ensureExtras();
  if (extras.path === '') extras.path = pathBelow(cell);
  return extras.path;
}

export function refOfCell(cell: Cell): ActorRef<unknown> {
  const extras = cell.ensureExtras();
  extras.ref ??= newRefOfCell(cell);
  return extras.ref;
}

/** One that the cell does not keep: whoever spawns it may not either. */
export function newRefOfCell(cell: Cell): ActorRef<unknown> {
  const { extras, uid } = cell;
  if (extras?.ref !== undefined) return extras.ref;
  return createRef(cell.parent === undefined ? cell.path : pathBelow(cell), uid, cell);
}

function pathBelow({ parent, spec }: Cell): string {
  return `${parent?.path}/${spec.id}`;
}
