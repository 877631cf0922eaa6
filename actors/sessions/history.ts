/** The last turns of a session, as the model gets to see them: a bounded cache of committed rows, which the thread may take back. */
import type { ModelTurn } from '../../connectors/models/model.ts';
import type { Turn } from './rows.ts';
import type { HeldText, SessionMemory } from './session-memory.ts';

/** Of the turns that one session reads and keeps, and so of one request beside its new message. */
export interface HistoryLimits {
  readonly exchanges: number;
  /** Of their text, in UTF-8. */
  readonly bytes: number;
}

/** About 64 k tokens: what common models take beside an answer. */
export const DEFAULT_HISTORY_LIMITS: HistoryLimits = { exchanges: 20, bytes: 262_144 };

export class History implements HeldText {
  previous: HeldText | undefined = undefined;
  next: HeldText | undefined = undefined;
  heldBytes = 0;
  readonly #memory: SessionMemory;
  readonly #limits: HistoryLimits;
  /** Undefined: to be read from the ledger. */
  #turns: Turn[] | undefined;
  /** What is read next may have been read before something changed. */
  #isReadLate = false;

  constructor(memory: SessionMemory, limits: HistoryLimits) {
    this.#memory = memory;
    this.#limits = limits;
  }

  /** False before the turns were read, and after they were given back. */
  get isKnown(): boolean {
    return this.#turns !== undefined;
  }

  /** As they were read, oldest first; not believed where they may have changed meanwhile. */
  set(turns: readonly Turn[]): void {
    this.#memory.hold(this, 0);
    if (this.#isReadLate) {
      this.#isReadLate = false;
      return;
    }
    this.#turns = [];
    this.append(turns);
  }

  /** One exchange, after its flush. Where the others are not known, it is read with them. */
  append(added: readonly Turn[]): void {
    const turns = this.#turns;
    if (turns === undefined || added.length === 0) return;
    turns.push(...added);
    const { exchanges, bytes: maxBytes } = this.#limits;
    let bytes = this.heldBytes + bytesOf(added);
    let excess = 0;
    for (; turns.length - excess > 2 * exchanges || bytes > maxBytes; excess += 1) {
      bytes -= bytesIn(turns[excess]);
    }
    if (excess > 0) turns.splice(0, excess);
    this.#memory.hold(this, bytes);
  }

  /** Of the turns as a request had them, the oldest ones, which the model had no room for: the next request is without them. */
  leaveOut(count: number): void {
    const turns = this.#turns;
    if (turns === undefined || count === 0) return;
    turns.splice(0, firstUserOf(turns) + count);
    this.#memory.hold(this, bytesOf(turns));
  }

  /** The turns, oldest first, beginning with a user's, and then the new message. */
  toRequest(text: string): readonly ModelTurn[] {
    const turns = this.#turns ?? [];
    this.#memory.hold(this, this.heldBytes);
    return [...turns.slice(firstUserOf(turns)), { role: 'user', text }];
  }

  giveBack(): void {
    this.#turns = undefined;
  }

  /** They have changed in the ledger: they are read again, and a read that is under way once more. */
  forget(isBeingRead: boolean): void {
    this.#isReadLate = isBeingRead;
    this.close();
  }

  /** Its session ends. */
  close(): void {
    this.giveBack();
    this.#memory.hold(this, 0);
  }
}

/** An exchange whose answer is followed by what is noted of it. */
export function withNotes(turns: readonly Turn[], notes: readonly string[]): readonly Turn[] {
  const lines = notes.map((note) => `\n[${note}]`).join('');
  return turns.map(({ role, text }) => ({ role, text: role === 'user' ? text : text + lines }));
}

/** Where the turns that a model is shown begin. */
function firstUserOf(turns: readonly Turn[]): number {
  const at = turns.findIndex(({ role }) => role === 'user');
  return at < 0 ? turns.length : at;
}

function bytesOf(turns: readonly Turn[]): number {
  let bytes = 0;
  for (const turn of turns) bytes += bytesIn(turn);
  return bytes;
}

function bytesIn(turn: Turn | undefined): number {
  return Buffer.byteLength(turn?.text ?? '');
}
