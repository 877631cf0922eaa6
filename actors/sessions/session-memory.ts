/** The text that the sessions of one thread hold to save reading it again: bounded together, what was used longest ago goes first. */
import { type Linked, LinkedList } from '../../runtime/linked-list.ts';

/** Text that can be read again from the ledger. */
export interface HeldText extends Linked<HeldText> {
  /** As the memory was told last; 0: the memory does not know it. */
  heldBytes: number;
  giveBack(): void;
}

/** What was given back because there was too much. */
export interface GivenBack {
  readonly times: number;
  readonly bytes: number;
}

/** In UTF-8: V8 may take twice as much of a heap of 256 MiB. */
const MAX_BYTES = 64 * 1_024 * 1_024;

/** One a thread. The bound may be passed by the one text that is in use, which has a bound of its own. */
export class SessionMemory {
  readonly #maxBytes: number;
  /** The one used longest ago first. */
  readonly #held = new LinkedList<HeldText>();
  #bytes = 0;
  #givenBack: GivenBack = NOTHING;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Since the last time that somebody took note. */
  get givenBack(): GivenBack {
    return this.#givenBack;
  }

  noted(): void {
    this.#givenBack = NOTHING;
  }

  /** `text` weighs so much and is used now; 0 where nothing is held any more. */
  hold(text: HeldText, bytes: number): void {
    this.#forget(text);
    if (bytes === 0) return;
    text.heldBytes = bytes;
    this.#bytes += bytes;
    this.#held.add(text);
    for (let first = this.#held.first; this.#bytes > this.#maxBytes; first = this.#held.first) {
      if (first === undefined || first === text) return;
      const { times, bytes: before } = this.#givenBack;
      this.#givenBack = { times: times + 1, bytes: before + first.heldBytes };
      this.#forget(first);
      first.giveBack();
    }
  }

  #forget(text: HeldText): void {
    if (text.heldBytes === 0) return;
    this.#held.remove(text);
    this.#bytes -= text.heldBytes;
    text.heldBytes = 0;
  }
}

const NOTHING: GivenBack = { times: 0, bytes: 0 };
