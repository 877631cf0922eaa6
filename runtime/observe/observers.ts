/** Who hears a system's events: its observers, and the subscribers of Node's diagnostics channels. It stands on main. */
import { type Channel, channel } from 'node:diagnostics_channel';
import { isThenable } from '../deferred.ts';
import { EVENT_TYPES, type SystemEvent } from '../system.ts';
import type { Inspection } from './inspection.ts';

/** May be asynchronous: nobody waits for it. */
export type Observer = (event: SystemEvent) => unknown;

/** A channel is named so, followed by a dot and the type of its events. */
const CHANNEL_PREFIX = 'palyra.runtime';

export class Observers implements Inspection {
  /** 1 while anybody hears; the system's other threads look at it. */
  readonly heard = new Int32Array(new SharedArrayBuffer(4));
  /** Calls of an observer that threw or rejected. */
  failures = 0;
  readonly #system: string;
  readonly #channels: Readonly<Record<string, Channel>>;
  /** Replaced, never changed: one may leave while it is told. */
  #observers: readonly { readonly hear: Observer }[] = [];

  constructor(system: string) {
    this.#system = system;
    this.#channels = Object.fromEntries(
      EVENT_TYPES.map((type) => [type, channel(`${CHANNEL_PREFIX}.${type}`)]),
    );
  }

  /** Returns how it leaves; twice is once. */
  add(hear: Observer): () => void {
    const entry = { hear };
    this.#observers = [...this.#observers, entry];
    this.look();
    return () => {
      this.#observers = this.#observers.filter((other) => other !== entry);
      this.look();
    };
  }

  /** Nobody is told when a channel gets its first subscriber: the other threads learn of it at main's next beat. */
  look(): void {
    const isHeard = EVENT_TYPES.some((type) => this.hears(type));
    Atomics.store(this.heard, 0, isHeard ? 1 : 0);
  }

  hears(type: SystemEvent['type']): boolean {
    return this.#observers.length > 0 || this.#channels[type]?.hasSubscribers === true;
  }

  /** What an observer throws reaches nobody else. */
  emit(event: SystemEvent): void {
    for (const { hear } of this.#observers) {
      try {
        const result = hear(event);
        if (isThenable(result)) result.then(undefined, () => this.#failed());
      } catch {
        this.#failed();
      }
    }
    const listened = this.#channels[event.type];
    if (listened?.hasSubscribers === true) listened.publish({ system: this.#system, event });
  }

  #failed(): void {
    this.failures += 1;
  }
}
