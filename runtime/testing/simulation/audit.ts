/** What the observer reads off the runtime itself after a step: the mailboxes of the thread that moved, and the credits of its links. */
import type { Cell } from '../../kernel/cell.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Link } from '../../link/link.ts';
import { RouteTable } from '../../link/route-table.ts';
import type { Books } from './books.ts';
import type { Life } from './lives.ts';
import type { VirtualPorts } from './virtual-port.ts';
import type { VirtualThread } from './virtual-thread.ts';
import type { VirtualThreads } from './virtual-threads.ts';

const MAIN_SLOT = 0;

export class Audit {
  readonly #books: Books;
  readonly #threads: VirtualThreads;
  readonly #main: Kernel;
  readonly #cells = new Map<Life, Cell>();

  constructor(books: Books, threads: VirtualThreads, main: Kernel) {
    this.#books = books;
    this.#threads = threads;
    this.#main = main;
  }

  look(moved: VirtualThread): void {
    this.#mailboxes(moved);
    for (const { host, slot, ports, inside } of this.#threads.workers) {
      if (host.isOver || slot === MAIN_SLOT) continue;
      const name = inside.kernel.thread;
      this.#credits(name, ports, linkOf(this.#main, slot), linkOf(inside.kernel, MAIN_SLOT));
    }
    for (const { ports, links } of this.#threads.joined)
      this.#credits('another worker', ports, links[0], links[1]);
  }

  /** What one side waits to be given back is on its way, taken in, or on its way back. */
  #credits(
    peerName: string,
    [one, other]: readonly [VirtualPorts, VirtualPorts],
    link: Link | undefined,
    peer: Link | undefined,
  ): void {
    if (link === undefined || peer === undefined || !isOpen(one) || !isOpen(other)) return;
    const there = link.owed.toThis - other.data.messages - peer.owed.toPeer - one.control.credits;
    const back = peer.owed.toThis - one.data.messages - link.owed.toPeer - other.control.credits;
    if (there !== 0 || back !== 0)
      this.#books.fail('credits', `to ${peerName}: ${there} and ${back} credits are missing`);
  }

  #mailboxes(moved: VirtualThread): void {
    const worker = this.#threads.workers.find(({ host }) => host === moved);
    const kernel = worker?.inside.kernel ?? this.#main;
    for (const life of this.#books.lives.values()) {
      if (life.isOver || life.thread !== (worker?.name ?? 'main')) continue;
      const cell = this.#cells.get(life) ?? kernel.at(life.path);
      if (cell?.compiled === undefined) continue;
      this.#cells.set(life, cell);
      const { limitMessages, limitBytes } = cell.compiled.limits;
      const { size = 0, bytes = 0 } = cell.inbox ?? {};
      if (size > limitMessages || bytes > limitBytes)
        this.#books.fail(
          'mailbox_bound',
          `${life.path}: ${size} messages of ${bytes} bytes, ${limitMessages} of ${limitBytes} allowed`,
        );
    }
  }
}

function isOpen({ data, control }: VirtualPorts): boolean {
  return !data.isClosed && !control.isClosed;
}

function linkOf({ remotes }: Kernel, slot: number): Link | undefined {
  return remotes instanceof RouteTable ? remotes.linkTo(slot) : undefined;
}
