/** Who waits for room in a mailbox, first come first served: one is told in each turn, and sends before the next is told. */
import type { AskEnvelope } from './asks.ts';
import type { Cell } from './cell.ts';
import { EARLY, Inbox } from './inbox.ts';

/** The kind that the runtime answers for every actor, once its mailbox has room. No definition may have one of its own. */
export const READY = '$ready';

/** At one mailbox. */
const LIMIT = 1_024;

export class RoomLine {
  readonly #cell: Cell;
  readonly #inbox: Inbox;
  #waiting: AskEnvelope[] = [];
  #isPlanned = false;

  constructor(cell: Cell, inbox: Inbox) {
    this.#cell = cell;
    this.#inbox = inbox;
  }

  wait(asker: AskEnvelope): void {
    if (this.#waiting.length >= LIMIT) this.#waiting = this.#waiting.filter(this.#isInTime());
    if (this.#waiting.length >= LIMIT) {
      asker.fail('mailbox_full', `${LIMIT} wait for room already`);
      return;
    }
    this.#waiting.push(asker);
    this.look();
  }

  /** Something has left the mailbox. */
  look(): void {
    if (this.#isPlanned || this.#waiting.length === 0 || this.#room <= 0) return;
    this.#isPlanned = true;
    // Never at once: who is told and refused all the same would wait again, and no turn would end.
    this.#cell.kernel.host.nextTurn(() => {
      this.#isPlanned = false;
      this.#tellFirst();
    });
  }

  /** The actor is gone for good. */
  end(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const asker of waiting) asker.fail('actor_dead', 'gone before it had room');
  }

  /** He hears for how many there is room, and leaves their share to those behind him. */
  #tellFirst(): void {
    const room = this.#room;
    if (room <= 0) return;
    const isInTime = this.#isInTime();
    let first = this.#waiting.shift();
    while (first !== undefined && !isInTime(first)) first = this.#waiting.shift();
    first?.reply(Math.ceil(room / (this.#waiting.length + 1)));
    this.look();
  }

  get #room(): number {
    return this.#inbox.room(this.#cell.compiled?.limits ?? EARLY);
  }

  /** One whose time is over has heard so. */
  #isInTime(): (asker: AskEnvelope) => boolean {
    const nowMs = this.#cell.kernel.host.monotonicMs();
    return ({ deadlineMs }) => deadlineMs > nowMs;
  }
}

/** The asker hears when the cell's mailbox has room, and for how many messages. */
export function awaitRoom(cell: Cell, asker: AskEnvelope): void {
  cell.inbox ??= new Inbox();
  cell.inbox.line ??= new RoomLine(cell, cell.inbox);
  cell.inbox.line.wait(asker);
}
