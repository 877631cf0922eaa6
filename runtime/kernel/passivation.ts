/** When an actor whose child spec says so has been idle long enough to be passive; one for each. The cell knows how to end. */
import type { ExitCause } from '../actor.ts';
import type { Timer } from '../host/host.ts';
import { DEFAULT_START_TIMEOUT_MS } from '../supervision/child-set.ts';
import type { Cell } from './cell.ts';

/** Its end is nobody's business: it is not over for those who watch it, nor for its supervisor. */
export const PASSIVATED: ExitCause = { kind: 'stopped', code: 'passivated' };

export class Passivation {
  readonly #cell: Cell;
  readonly #afterMs: number;
  #timer: Timer | undefined = undefined;
  #handledAtMs = 0;

  constructor(cell: Cell, afterMs: number) {
    this.#cell = cell;
    this.#afterMs = afterMs;
  }

  /** It has handled something, just now. */
  handled(): void {
    this.#handledAtMs = this.#cell.kernel.host.monotonicMs();
  }

  /** It runs. */
  running(): void {
    this.handled();
    this.#plan(this.#afterMs);
  }

  /** Starts the same incarnation again: to all but itself it was never over. Nobody else sees to it that this start ends. */
  wake(): void {
    this.cancel();
    const cell = this.#cell;
    this.#timer = cell.kernel.host.setTimer(DEFAULT_START_TIMEOUT_MS, () =>
      cell.kill('start_timeout'),
    );
    cell.start(cell.incarnation);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #plan(inMs: number): void {
    this.cancel();
    this.#timer = this.#cell.kernel.host.setTimer(inMs, () => {
      const idleMs = this.#cell.kernel.host.monotonicMs() - this.#handledAtMs;
      if (idleMs < this.#afterMs) this.#plan(this.#afterMs - idleMs);
      else if (!this.#cell.passivate()) this.#plan(this.#afterMs);
    });
  }
}

/** A cell that runs, where its child spec wants it passive when it is idle. */
export function passivateLater(cell: Cell): void {
  const { passivateAfterMs } = cell.spec;
  if (passivateAfterMs === undefined) return;
  const extras = cell.ensureExtras();
  extras.passivation ??= new Passivation(cell, passivateAfterMs);
  extras.passivation.running();
}

/** Whether it neither has children nor waits for anything that would be lost with its `Self`. */
export function isIdle({ children, inbox, extras }: Cell): boolean {
  return (
    inbox?.hasMail !== true &&
    (children === undefined || children.list().length === 0) &&
    (extras === undefined || extras.isIdle)
  );
}
