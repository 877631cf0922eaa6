/** The last turns of a session, as the model gets to see them: a bounded cache of committed rows. */
import type { ModelTurn } from '../../connectors/models/model.ts';
import type { ScanPage } from '../../runtime/store/store.ts';
import { parseTurnRow, type Turn } from './rows.ts';

/** Exchanges that are read and kept. */
export const MAX_EXCHANGES = 20;
/** Of the earlier turns in one request: about 64 k tokens, what common models take beside an answer. */
const MAX_HISTORY_BYTES = 262_144;

export class History {
  readonly #turns: Turn[];
  /** Of all turns held. */
  #bytes: number;

  constructor(turns: readonly Turn[]) {
    this.#turns = [...turns];
    this.#bytes = bytesOf(turns);
  }

  /** One exchange, after its flush; nothing where there is none. */
  append(turns: readonly Turn[]): void {
    if (turns.length === 0) return;
    this.#turns.push(...turns);
    const dropped = this.#turns.splice(0, Math.max(0, this.#turns.length - 2 * MAX_EXCHANGES));
    this.#bytes += bytesOf(turns) - bytesOf(dropped);
  }

  /** The newest turns that fit, oldest first, beginning with a user's, and then the new message. */
  toRequest(text: string): readonly ModelTurn[] {
    let bytes = this.#bytes;
    let first = 0;
    for (; bytes > MAX_HISTORY_BYTES; first += 1) {
      bytes -= Buffer.byteLength(this.#turns[first]?.text ?? '');
    }
    const fitting = this.#turns.slice(first);
    const firstUser = fitting.findIndex((turn) => turn.role === 'user');
    return [...(firstUser < 0 ? [] : fitting.slice(firstUser)), { role: 'user', text }];
  }
}

function bytesOf(turns: readonly Turn[]): number {
  return turns.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
}

/** From the page that a scan of the session's turns gave, newest first. */
export function toHistory(page: ScanPage): History {
  const exchanges = page.rows.map(({ row }) => parseTurnRow(row)).reverse();
  return new History(exchanges.flatMap(({ turns }) => turns));
}
