/** The open runs of one session in the order of their acceptance: as many held whole as memory allows, the rest by name. */
import type { OpenRun } from '../router/rows.ts';
import type { HeldText, SessionMemory } from './session-memory.ts';
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

/** Behind the head, what it holds may be given back at any time. */
export class RunQueue implements HeldText {
  previous: HeldText | undefined = undefined;
  next: HeldText | undefined = undefined;
  heldBytes = 0;
  readonly #memory: SessionMemory;
  readonly #waiting: Waiting[] = [];
  /** Of all tasks that are held, the head's too. */
  #taskBytes = 0;

  constructor(memory: SessionMemory) {
    this.#memory = memory;
  }

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
    let known = waiting[at - 1];
    // A head that is being worked on may stand before one that should go first.
    if (known?.envelopeId !== run.envelopeId) known = waiting[0];
    if (known?.envelopeId === run.envelopeId) {
      known.task ??= this.#hold(run.task);
    } else {
      run.task = this.#hold(run.task);
      if (at === waiting.length) waiting.push(run);
      else waiting.splice(at, 0, run);
    }
    this.#weigh();
  }

  shift(): void {
    const first = this.#waiting.shift();
    this.#taskBytes -= sizeOf(first?.task);
    this.#weigh();
  }

  /** The head is worked on, so it is held whatever it weighs; undefined: its rows have changed and are read again. */
  setHead(task: Task | undefined): void {
    const { head } = this;
    if (head === undefined) return;
    this.#taskBytes += sizeOf(task) - sizeOf(head.task);
    head.task = task;
  }

  giveBack(): void {
    for (const run of this.#waiting.slice(1)) {
      this.#taskBytes -= sizeOf(run.task);
      run.task = undefined;
    }
  }

  /** Its session ends. */
  close(): void {
    this.#memory.hold(this, 0);
  }

  #weigh(): void {
    this.#memory.hold(this, this.#taskBytes - sizeOf(this.head?.task));
  }

  #hold(task: Task | undefined): Task | undefined {
    const bytes = sizeOf(task);
    if (this.#taskBytes + bytes > MAX_HELD_BYTES) return undefined;
    this.#taskBytes += bytes;
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
