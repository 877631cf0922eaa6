/** The open runs of one session in the order of their acceptance: as many held whole as memory allows, the rest by name. */
import type { OpenRun } from '../router/rows.ts';
import type { Task } from './task.ts';

export interface Waiting extends OpenRun {
  readonly runId: string;
  /** Absent: to be read from the ledger when its turn comes. */
  task: Task | undefined;
}

/** Of all tasks that one session holds. */
const MAX_HELD_BYTES = 262_144;
/** What a task weighs beside its body, about. */
const TASK_BYTES = 1_024;
const ATTACHMENT_BYTES = 4_096;

export class RunQueue {
  readonly #waiting: Waiting[] = [];
  #heldBytes = 0;

  get size(): number {
    return this.#waiting.length;
  }

  get head(): Waiting | undefined {
    return this.#waiting[0];
  }

  /** Takes the run over, in its place by envelope id; twice is once. Nothing goes before a head that is being worked on. */
  add(run: Waiting, isHeadTaken: boolean): void {
    const waiting = this.#waiting;
    const floor = isHeadTaken ? 1 : 0;
    let at = waiting.length;
    while (at > floor && (waiting[at - 1]?.envelopeId ?? '') > run.envelopeId) at -= 1;
    // A head that is being worked on may stand before one that should go first.
    const known = [waiting[at - 1], waiting[0]].find((one) => one?.envelopeId === run.envelopeId);
    run.task = known?.task ?? this.#hold(run.task);
    if (known !== undefined) known.task = run.task;
    else if (at === waiting.length) waiting.push(run);
    else waiting.splice(at, 0, run);
  }

  shift(): void {
    const first = this.#waiting.shift();
    this.#heldBytes -= sizeOf(first?.task);
  }

  /** The head is worked on, so it is held whatever it weighs; undefined: its rows have changed and are read again. */
  setHead(task: Task | undefined): void {
    const { head } = this;
    if (head === undefined) return;
    this.#heldBytes += sizeOf(task) - sizeOf(head.task);
    head.task = task;
  }

  #hold(task: Task | undefined): Task | undefined {
    const bytes = sizeOf(task);
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return undefined;
    this.#heldBytes += bytes;
    return task;
  }
}

function sizeOf(task: Task | undefined): number {
  if (task === undefined) return 0;
  const event = task.row?.event;
  return (
    TASK_BYTES + (event?.body.length ?? 0) * 2 + (event?.attachments.length ?? 0) * ATTACHMENT_BYTES
  );
}
