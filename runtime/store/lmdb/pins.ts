/**
 * A reader beside a writer has one moment of the store kept for it: it connects to the writer's lock and hears a byte once
 * nothing that it can see will be written over. That holds until either of them ends the connection.
 */
import type { Socket } from 'node:net';
import { connectToHolder } from './writer-lock.ts';

/** Keeps what a reader that begins now can see; what it returns gives it up. */
export type Pin = () => () => void;

/** A reader that takes longer would have the file grow without end. */
const PIN_MS = 600_000;
const MAX_VISITORS = 16;
// A writer that lives answers within a few turns; who waited so long reads without, and looks whether it was written over.
const ANSWER_MS = 5_000;

/** The writer's side. Who comes before it is open waits. */
export class PinDesk {
  readonly #visitors = new Map<Socket, () => void>();
  #pin: Pin | undefined;

  /** Knocking is no error: most visitors only look whether somebody is there. */
  visit(visitor: Socket): void {
    visitor.on('error', () => undefined);
    if (this.#visitors.size === MAX_VISITORS) {
      visitor.destroy();
      return;
    }
    this.#visitors.set(visitor, () => undefined);
    visitor.unref();
    visitor.resume();
    visitor.once('close', () => this.#leave(visitor));
    visitor.setTimeout(PIN_MS, () => visitor.destroy());
    if (this.#pin !== undefined) this.#admit(visitor, this.#pin);
  }

  open(pin: Pin): void {
    this.#pin = pin;
    for (const visitor of this.#visitors.keys()) this.#admit(visitor, pin);
  }

  /** Before the database is closed: a pin is of the database. */
  close(): void {
    this.#pin = undefined;
    for (const visitor of this.#visitors.keys()) {
      this.#leave(visitor);
      visitor.destroy();
    }
  }

  #admit(visitor: Socket, pin: Pin): void {
    this.#visitors.set(visitor, pin());
    visitor.write('p');
  }

  #leave(visitor: Socket): void {
    this.#visitors.get(visitor)?.();
    this.#visitors.delete(visitor);
  }
}

/** The reader's side. */
export interface Pinned {
  readonly isKept: boolean;
  end(): void;
}

/** Not kept where nobody writes, or the writer does not answer. */
export async function askForPin(directory: string): Promise<Pinned> {
  const socket = await connectToHolder(directory);
  if (socket === undefined) return { isKept: false, end: () => undefined };
  let isKept = false;
  await new Promise<void>((resolve) => {
    const timer = AbortSignal.timeout(ANSWER_MS);
    timer.addEventListener('abort', () => resolve(), { once: true });
    socket.once('data', () => {
      isKept = true;
      resolve();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      isKept = false;
      resolve();
    });
  });
  socket.unref();
  return {
    get isKept() {
      return isKept;
    },
    end: () => socket.destroy(),
  };
}
