/**
 * One address over one open link: the numbers its kinds have there, and the room that its mailbox has, once that has refused
 * something. A ref remembers it, so that a tell looks nothing up.
 */
import type { Kernel } from '../kernel/kernel.ts';
import { pathOf } from '../kernel/ref.ts';
import type { WireMeta } from './frame.ts';
import type { Link } from './link.ts';

/** Nothing was refused there: only the link's credits bound what is sent. */
const UNKNOWN = -1;
/** A mailbox that has no room by then is asked again. */
const ROOM_DEADLINE_MS = 10_000;

export class Outbound {
  readonly address: string;
  readonly path: string;
  readonly slot: number;
  /** Kind → the number under which the other side knows this address and kind. */
  readonly routes = new Map<string, number>();
  /** The way has changed: whoever remembers this has to look again. */
  isStale = false;
  readonly #link: Link;
  readonly #kernel: Kernel;
  /** So many tells more are sent before the mailbox is asked for how many it has room. */
  #room = UNKNOWN;
  #isAsking = false;

  constructor(address: string, link: Link, kernel: Kernel) {
    this.address = address;
    this.path = pathOf(address);
    this.slot = link.slot;
    this.#link = link;
    this.#kernel = kernel;
  }

  /** It is not used any more. */
  retire(): void {
    this.isStale = true;
    this.#link.giveBack(this);
  }

  /** False when the link refuses, and for a tell where the mailbox has no room. */
  send(kind: string, payload: unknown, meta: WireMeta): boolean {
    if (this.#room === UNKNOWN || Array.isArray(meta))
      return this.#link.send(this, kind, payload, meta);
    if (this.#room === 0) {
      this.#kernel.counters.refused += 1;
      return false;
    }
    const isTaken = this.#link.send(this, kind, payload, meta);
    if (isTaken) this.#room -= 1;
    if (this.#room === 0) this.#askForRoom();
    return isTaken;
  }

  /** For so many messages; what was said before, and not used up yet, holds. */
  hasRoom(messages: number): void {
    if (this.#room === 0) this.#room = messages;
  }

  /** Its mailbox has refused a message. */
  full(): void {
    this.#room = 0;
    this.#askForRoom();
  }

  /** Behind all that was sent: by the answer they are in the mailbox, or refused. */
  #askForRoom(): void {
    if (this.#isAsking || this.isStale) return;
    this.#isAsking = true;
    this.#kernel.ready(
      { address: this.address },
      { inMs: ROOM_DEADLINE_MS },
      {
        replied: () => {
          this.#isAsking = false;
        },
        failed: ({ code }) => {
          this.#isAsking = false;
          if (code === 'ask_timeout') this.#askForRoom();
          else this.#room = UNKNOWN;
        },
      },
    );
  }
}
