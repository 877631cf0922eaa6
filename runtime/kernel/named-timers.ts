/** One actor's timers by name: setting a name again replaces it. They end with the incarnation. */
import type { Host, Timer } from '../host/host.ts';

export class NamedTimers {
  #timers: Map<string, Timer> | undefined = undefined;

  get isEmpty(): boolean {
    return (this.#timers?.size ?? 0) === 0;
  }

  set(host: Host, name: string, delayMs: number, fire: () => void): void {
    this.cancel(name);
    this.#timers ??= new Map();
    const timer = host.setTimer(delayMs, () => {
      if (this.#timers?.get(name) !== timer) return;
      this.#timers.delete(name);
      fire();
    });
    this.#timers.set(name, timer);
  }

  cancel(name: string): void {
    this.#timers?.get(name)?.cancel();
    this.#timers?.delete(name);
  }

  cancelAll(): void {
    for (const timer of this.#timers?.values() ?? []) timer.cancel();
    this.#timers = undefined;
  }
}
