/** One address over one open link: the numbers its kinds have there. A ref remembers it, so that a tell looks nothing up. */

import { pathOf } from '../kernel/ref.ts';
import type { WireMeta } from './frame.ts';
import type { Link } from './link.ts';

export class Outbound {
  readonly address: string;
  readonly path: string;
  readonly slot: number;
  /** Kind → the number under which the other side knows this address and kind. */
  readonly routes = new Map<string, number>();
  /** The way has changed: whoever remembers this has to look again. */
  isStale = false;
  readonly #link: Link;

  constructor(address: string, link: Link) {
    this.address = address;
    this.path = pathOf(address);
    this.slot = link.slot;
    this.#link = link;
  }

  /** It is not used any more. */
  retire(): void {
    this.isStale = true;
    this.#link.giveBack(this);
  }

  /** False when the link refuses. */
  send(kind: string, payload: unknown, meta: WireMeta): boolean {
    return this.#link.send(this, kind, payload, meta);
  }
}
