/**
 * A reader beside a writer has one moment of the store kept for it: it connects to the writer's lock and hears a byte once
 * nothing that it can see will be written over. That holds until either of them ends the connection.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdersOf } from './writer-lock.ts';

/** Keeps what a reader that begins now can see; what it returns gives it up. */
export type Pin = () => () => void;

/** A reader that takes longer would have the file grow without end. */
const PIN_MS = 600_000;
const MARGIN_MS = 30_000;
const MAX_VISITORS = 16;
// A writer that lives answers within a few turns; who waited so long reads without, and looks whether it was written over.
const ANSWER_MS = 5_000;
const TRIES = 3;
const STEP_BACK_MS = 100;

/** The writer's side. Who comes before it is open waits. */
export class PinDesk {
  readonly #visitors = new Map<Socket, () => void>();
  #pin: Pin | undefined;
  #isClosed = false;

  /** Knocking is no error: most visitors only look whether somebody is there. */
  visit(visitor: Socket): void {
    visitor.on('error', () => undefined);
    if (this.#isClosed || this.#visitors.size === MAX_VISITORS) {
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
    this.#isClosed = true;
    for (const visitor of this.#visitors.keys()) {
      this.#leave(visitor);
      visitor.destroy();
    }
  }

  #admit(visitor: Socket, pin: Pin): void {
    try {
      this.#visitors.set(visitor, pin());
      visitor.write('p');
    } catch {
      // A database that has failed keeps nothing any more; the writer is told by its own commit.
      visitor.destroy();
    }
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

const NOT_KEPT: Pinned = { isKept: false, end: () => undefined };

/** Not kept where nobody writes, or the writer does not answer. */
export async function askForPin(directory: string): Promise<Pinned> {
  for (let left = TRIES; left > 0; left -= 1) {
    let hasMet = false;
    for await (const holder of holdersOf(directory)) {
      hasMet = true;
      const answer = await ask(holder);
      if (answer !== 'none') return answer;
    }
    if (!hasMet) return NOT_KEPT;
    // One who only wanted the lock has stepped back, or the writer ends.
    await sleep(STEP_BACK_MS);
  }
  return NOT_KEPT;
}

/** `none`: the holder ended the connection. */
async function ask(holder: Socket): Promise<Pinned | 'none'> {
  const untilMs = performance.now() + PIN_MS - MARGIN_MS;
  let isOpen = true;
  holder.on('error', () => undefined);
  const ended = new Promise<'none'>((resolve) => {
    holder.once('close', () => {
      isOpen = false;
      resolve('none');
    });
  });
  const answered = new Promise<'kept'>((resolve) => {
    holder.once('data', () => resolve('kept'));
  });
  const late = new AbortController();
  const waited = sleep(ANSWER_MS, 'late' as const, { signal: late.signal });
  // What comes later is of a later moment than the one that is read by then.
  const answer = await Promise.race([ended, answered, waited]);
  late.abort();
  waited.catch(() => undefined);
  if (answer === 'none') return answer;
  if (answer === 'late') {
    holder.destroy();
    return NOT_KEPT;
  }
  holder.unref();
  return {
    // By its own clock too: who was held up does not know yet that its time is over.
    get isKept() {
      return isOpen && performance.now() < untilMs;
    },
    end: () => holder.destroy(),
  };
}
