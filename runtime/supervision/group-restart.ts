/** rest_for_one and one_for_all: stops a group in reverse, waits, starts it in order; again when one of it fails meanwhile. */
import { createDeferred, type Deferral } from '../deferred.ts';
import type { Host } from '../host/host.ts';
import type { Child } from './child.ts';

export interface GroupRestartPorts {
  readonly host: Host;
  /** In start order: whom the failure of one takes along, itself too. */
  groupOf(failed: Child): readonly Child[];
  halt(child: Child): Promise<void>;
  /** A member that its end takes out for good. */
  giveUp(child: Child): void;
  launch(child: Child): void;
}

interface Failure {
  readonly child: Child;
  readonly delayMs: number;
}

export class GroupRestart {
  readonly #ports: GroupRestartPorts;
  readonly #failures: Failure[] = [];
  #isRunning = false;
  #isCancelled = false;
  #pause: Deferral<void> | undefined = undefined;

  constructor(ports: GroupRestartPorts) {
    this.#ports = ports;
  }

  /** A restart under way takes it over. Settles when the group runs. */
  async add(child: Child, delayMs: number): Promise<void> {
    this.#failures.push({ child, delayMs });
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#failures.length > 0 && !this.#isCancelled) await this.#restart();
    this.#isRunning = false;
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#pause?.resolve();
  }

  async #restart(): Promise<void> {
    for (const child of await this.#bringDown()) {
      if (this.#isCancelled) return;
      if (child.stage === 'gone') continue;
      // Whose start fails is heard of by `add`, at once or when its parent has been told, and takes the rest along.
      if (!(await this.#start(child)) && !isGone(child)) return;
      if (this.#failures.length > 0) return;
    }
  }

  /** Those who have to start now, in order. What fails meanwhile goes along: a lost thread ends many, and is one event. */
  async #bringDown(): Promise<readonly Child[]> {
    const failed: Child[] = [];
    let group: readonly Child[] = [];
    let waitMs = 0;
    while (this.#failures.length > 0 && !this.#isCancelled) {
      for (const { child, delayMs } of this.#failures.splice(0)) {
        failed.push(child);
        waitMs = Math.max(waitMs, delayMs);
      }
      group = failed
        .map((child) => this.#ports.groupOf(child))
        .reduce((widest, next) => (next.length > widest.length ? next : widest));
      for (const child of [...group].reverse()) await this.#bringDownOne(child);
      if (this.#failures.length > 0) continue;
      await this.#sleep(waitMs);
      waitMs = 0;
    }
    return group;
  }

  /** A temporary child is not brought back, by its neighbours' strategy neither. */
  async #bringDownOne(child: Child): Promise<void> {
    await this.#ports.halt(child);
    if (child.spec.restart === 'temporary') this.#ports.giveUp(child);
  }

  #start(child: Child): Promise<boolean> {
    const started = child.whenStarted();
    this.#ports.launch(child);
    return started.then(
      () => true,
      () => false,
    );
  }

  async #sleep(ms: number): Promise<void> {
    const pause = createDeferred<void>();
    this.#pause = pause;
    const timer = this.#ports.host.setTimer(ms, () => pause.resolve());
    await pause.promise;
    timer.cancel();
    this.#pause = undefined;
  }
}

function isGone({ stage }: Child): boolean {
  return stage === 'gone';
}
