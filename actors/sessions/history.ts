/** The last turns of a session, as the model gets to see them: a bounded cache of committed rows, which the thread may take back. */
import type { ModelTurn } from '../../connectors/models/model.ts';
import type { ScanPage } from '../../runtime/store/store.ts';
import { parseTurnRow, type Turn } from './rows.ts';
import type { HeldText, SessionMemory } from './session-memory.ts';

/** Exchanges that are read and kept. */
export const MAX_EXCHANGES = 20;
/** Of the turns that are kept, and so of one request: about 64 k tokens, what common models take beside an answer. */
const MAX_HISTORY_BYTES = 262_144;

export class History implements HeldText {
  previous: HeldText | undefined = undefined;
  next: HeldText | undefined = undefined;
  heldBytes = 0;
  readonly #memory: SessionMemory;
  /** Undefined: to be read from the ledger. */
  #turns: Turn[] | undefined;

  constructor(memory: SessionMemory) {
    this.#memory = memory;
  }

  /** False before the turns were read, and after they were given back. */
  get isKnown(): boolean {
    return this.#turns !== undefined;
  }

  /** As they were read, oldest first. */
  set(turns: readonly Turn[]): void {
    this.#memory.hold(this, 0);
    this.#turns = [];
    this.append(turns);
  }

  /** One exchange, after its flush. Where the others are not known, it is read with them. */
  append(added: readonly Turn[]): void {
    const turns = this.#turns;
    if (turns === undefined || added.length === 0) return;
    turns.push(...added);
    let bytes = this.heldBytes + bytesOf(added);
    let excess = Math.max(0, turns.length - 2 * MAX_EXCHANGES);
    bytes -= bytesOf(turns.slice(0, excess));
    for (; bytes > MAX_HISTORY_BYTES; excess += 1) bytes -= bytesIn(turns[excess]);
    turns.splice(0, excess);
    this.#memory.hold(this, bytes);
  }

  /** The turns, oldest first, beginning with a user's, and then the new message. */
  toRequest(text: string): readonly ModelTurn[] {
    const turns = this.#turns ?? [];
    this.#memory.hold(this, this.heldBytes);
    const firstUser = turns.findIndex((turn) => turn.role === 'user');
    return [...(firstUser < 0 ? [] : turns.slice(firstUser)), { role: 'user', text }];
  }

  giveBack(): void {
    this.#turns = undefined;
  }

  /** Its session ends. */
  close(): void {
    this.giveBack();
    this.#memory.hold(this, 0);
  }
}

function bytesOf(turns: readonly Turn[]): number {
  return turns.reduce((sum, turn) => sum + bytesIn(turn), 0);
}

function bytesIn(turn: Turn | undefined): number {
  return Buffer.byteLength(turn?.text ?? '');
}

/** From the page that a scan of the session's turns gave, newest first. */
export function toTurns(page: ScanPage): readonly Turn[] {
  const exchanges = page.rows.map(({ row }) => parseTurnRow(row)).reverse();
  return exchanges.flatMap(({ turns }) => turns);
}
