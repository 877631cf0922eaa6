/** The open runs of one session in the order of their acceptance. The first ones are held whole, the rest by name. */
import type { Task } from './task.ts';

export interface Waiting {
  readonly envelopeId: string;
  readonly runId: string;
  /** Absent: to be read from the ledger when its turn comes. */
  task: Task | undefined;
}

/** Whole tasks held in memory; a task may be 128 KiB and a session may have 1,000 waiting. */
const MAX_HELD_TASKS = 8;

export class RunQueue {
  readonly #waiting: Waiting[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  get head(): Waiting | undefined {
    return this.#waiting[0];
  }

  /** In its place by envelope id; twice is once. Nothing goes before a head that is being worked on. */
  add(run: Waiting, isHeadTaken: boolean): void {
    const known = this.#waiting.find((waiting) => waiting.envelopeId === run.envelopeId);
    if (known !== undefined) {
      if (this.#waiting.indexOf(known) < MAX_HELD_TASKS) known.task ??= run.task;
      return;
    }
    const floor = isHeadTaken ? 1 : 0;
    let at = this.#waiting.length;
    while (at > floor && (this.#waiting[at - 1]?.envelopeId ?? '') > run.envelopeId) at -= 1;
    const task = at < MAX_HELD_TASKS ? run.task : undefined;
    this.#waiting.splice(at, 0, { ...run, task });
  }

  shift(): void {
    this.#waiting.shift();
  }
}
