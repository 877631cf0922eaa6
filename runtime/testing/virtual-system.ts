/** A system on a virtual machine: nothing happens in it but what a test drives, and no time passes but what it gives. */
import { createSystem } from '../create-system.ts';
import { createNodeHost } from '../host/node-host.ts';
import type { System, SystemOptions } from '../system.ts';
import { VirtualHost } from './virtual-host.ts';

export interface VirtualSystemOptions extends Omit<SystemOptions, 'threads' | 'host'> {
  /** Of the system's chance; the same seed gives the same life. Default 1. */
  readonly seed?: number;
  /** Milliseconds since the Unix epoch at the start. */
  readonly wallMs?: number;
}

/** Turns of the real loop without work in the virtual one: what promises had to say is said by then. */
const QUIET_TURNS = 2;
/** Code that has to be loaded takes real time, which is not the system's. */
const PATIENCE_TURNS = 1_000;
const RUN_LIMIT_MS = 60_000;

export class VirtualSystem {
  readonly system: System;
  readonly host: VirtualHost;
  readonly #loop = createNodeHost();

  constructor(system: System, host: VirtualHost) {
    this.system = system;
    this.host = host;
  }

  /** Until nothing is left to do without time: messages are handled, promises have settled, timers wait. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; ) {
      await this.#realTurn();
      quiet = this.host.turn() ? 0 : quiet + 1;
    }
  }

  /** Lets `ms` pass: each timer that is due fires at its instant, and what it causes is done before the next one. */
  async advance(ms: number): Promise<void> {
    let isOver = false;
    await this.settle();
    this.host.setTimer(ms, () => {
      isOver = true;
    });
    while (!isOver) {
      this.host.advance();
      await this.settle();
    }
  }

  /**
   * What `work` gives, while the system is driven and time passes as it is needed: an ask's reply, a probe's message.
   * Rejects with what `work` rejects with, and where `limitMs` of virtual time do not settle it.
   */
  async run<T>(work: Promise<T>, limitMs: number = RUN_LIMIT_MS): Promise<T> {
    let isSettled = false;
    const note = () => {
      isSettled = true;
    };
    work.then(note, note);
    const endMs = this.host.monotonicMs() + limitMs;
    for (let idle = 0; !isSettled; ) {
      await this.settle();
      if (isSettled) break;
      idle = this.host.advance() ? 0 : idle + 1;
      if (this.host.monotonicMs() > endMs || idle > PATIENCE_TURNS)
        throw new Error(`not settled within ${limitMs} ms of virtual time`);
    }
    return work;
  }

  /** Stops the system; its deadlines are of virtual time. */
  async stop(): Promise<void> {
    await this.run(this.system.stop());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #realTurn(): Promise<void> {
    return new Promise((resolve) => this.#loop.nextTurn(resolve));
  }
}

/** Inline, with the production scheduler and supervisors. Rejects as `createSystem` does. */
export async function createVirtualSystem({
  seed = 1,
  wallMs,
  ...options
}: VirtualSystemOptions): Promise<VirtualSystem> {
  const host = new VirtualHost({ seed, ...(wallMs === undefined ? {} : { wallMs }) });
  return new VirtualSystem(await createSystem({ ...options, threads: 'inline', host }), host);
}
