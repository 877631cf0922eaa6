/** The open runs of one session in the order of their acceptance: as many with their rows as memory allows, the rest by name. */
import { decodeRow } from '../../runtime/store/encoding.ts';
import type { OpenRun } from '../router/rows.ts';
import type { HeldText, SessionMemory } from './session-memory.ts';
import { type Task, toTask } from './task.ts';

export interface Waiting extends OpenRun {
  readonly runId: string;
  /** As the store has it: in one piece, what waits costs the collector little. Absent: to be read from the ledger. */
  row: Uint8Array | undefined;
  /** Of the head, once its turn has come. */
  task: Task | undefined;
}

/** Of all rows that one session holds. */
const MAX_HELD_BYTES = 262_144;
/** What a run weighs beside its row, about. */
const RUN_BYTES = 512;

/** Behind the head, what it holds may be given back at any time. */
export class RunQueue implements HeldText {
  previous: HeldText | undefined = undefined;
  next: HeldText | undefined = undefined;
  heldBytes = 0;
  readonly #memory: SessionMemory;
  readonly #waiting: Waiting[] = [];
  /** Of all rows that are held, the head's too. */
  #rowBytes = 0;

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
      if (known.task === undefined) known.row ??= this.#hold(run.row);
    } else {
      run.row = this.#hold(run.row);
      if (at === waiting.length) waiting.push(run);
      else waiting.splice(at, 0, run);
    }
    this.#weigh();
  }

  shift(): void {
    this.#drop(this.#waiting.shift());
    this.#weigh();
  }

  /** The head's turn has come: what its row says, where that is held. */
  openHead(): Task | undefined {
    const { head } = this;
    if (head?.row !== undefined) this.setHead(toTask(head, decodeRow(head.row)));
    return head?.task;
  }

  /** The head is worked on, so it is held whatever it weighs; undefined: its rows have changed and are read again. */
  setHead(task: Task | undefined): void {
    const { head } = this;
    if (head === undefined) return;
    this.#drop(head);
    head.task = task;
  }

  giveBack(): void {
    for (const run of this.#waiting.slice(1)) this.#drop(run);
  }

  /** Its session ends. */
  close(): void {
    this.#memory.hold(this, 0);
  }

  #weigh(): void {
    this.#memory.hold(this, this.#rowBytes - sizeOf(this.head?.row));
  }

  #hold(row: Uint8Array | undefined): Uint8Array | undefined {
    const bytes = sizeOf(row);
    if (this.#rowBytes + bytes > MAX_HELD_BYTES) return undefined;
    this.#rowBytes += bytes;
    return row;
  }

  #drop(run: Waiting | undefined): void {
    if (run === undefined) return;
    this.#rowBytes -= sizeOf(run.row);
    run.row = undefined;
    run.task = undefined;
  }
}

function sizeOf(row: Uint8Array | undefined): number {
  return row === undefined ? 0 : RUN_BYTES + row.length;
}
