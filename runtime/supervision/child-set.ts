/** The children of one actor: started in order, restarted by the strategy, stopped in reverse. It runs in the parent's thread. */
import type { ActorRef, ChildEnded, ExitCause } from '../actor.ts';
import type { Backoff, ChildSpec, Supervision } from '../child-spec.ts';
import { createDeferred, type Deferral } from '../deferred.ts';
import { RuntimeError } from '../errors.ts';
import type { Timer } from '../host/host.ts';
import type { ChildHandle, ChildOwner, ChildSetPorts } from './child-handle.ts';
import {
  affectedBy,
  backoffDelayMs,
  chargeRestart,
  DEFAULT_BACKOFF,
  isCharged,
  isRestarted,
} from './restart-policy.ts';

interface Child {
  readonly spec: ChildSpec<unknown, unknown>;
  readonly handle: ChildHandle;
  status: 'starting' | 'running' | 'restarting' | 'stopping' | 'gone';
  incarnation: number;
  startedAtMs: number;
  backoffStep: number;
  timer: Timer | undefined;
  startTimer: Timer | undefined;
  /** Who waits for the incarnation that is starting. */
  starting: Deferral<void> | undefined;
  /** Its stop under way: whoever stops it too waits for this one. */
  halting: Promise<void> | undefined;
}

const DEFAULT_START_TIMEOUT_MS = 30_000;

export class ChildSet implements ChildOwner {
  readonly #ports: ChildSetPorts;
  readonly #supervision: Supervision;
  readonly #backoff: Backoff;
  readonly #children: Child[] = [];
  #history: readonly number[] = [];
  #isStopping = false;
  #isRecovering = false;
  #failedMeanwhile: Child | undefined = undefined;
  #pause: Deferral<void> | undefined = undefined;
  isDegraded = false;
  restarts = 0;

  constructor(supervision: Supervision, ports: ChildSetPorts) {
    this.#supervision = supervision;
    this.#backoff = { ...DEFAULT_BACKOFF, ...supervision.backoff };
    this.#ports = ports;
  }

  list(): readonly {
    readonly id: string;
    readonly ref: ActorRef<unknown>;
    readonly status: string;
    readonly incarnation: number;
  }[] {
    return this.#children.map(({ spec, handle, status, incarnation }) => ({
      id: spec.id,
      ref: handle.ref,
      status,
      incarnation,
    }));
  }

  /** One after the other; rejects with the first child's failure, the ones before it running. */
  async startAll(specs: readonly ChildSpec<unknown, unknown>[]): Promise<void> {
    for (const spec of specs) {
      if (this.#isStopping) throw refusal(this.#ports.address);
      const child = this.#add(spec);
      const started = this.#awaitStart(child);
      this.#launch(child);
      await started;
    }
  }

  spawn(spec: ChildSpec<unknown, unknown>): ActorRef<unknown> {
    if (this.#isStopping) throw refusal(this.#ports.address);
    const child = this.#add(spec);
    this.#launch(child);
    return child.handle.ref;
  }

  /** Settles when the child's present start has succeeded; rejects with its failure. */
  async whenStarted(ref: ActorRef<unknown>): Promise<void> {
    const { address } = this.#ports;
    const child = this.#children.find(({ handle }) => handle.ref.address === ref.address);
    if (child === undefined)
      throw new RuntimeError('start_failed', `${ref.address} is not a child of ${address}`);
    if (child.status !== 'running') await this.#awaitStart(child);
  }

  async stopChild(id: string): Promise<void> {
    const child = this.#children.find(({ spec }) => spec.id === id);
    if (child !== undefined) await this.#stopOne(child);
  }

  async #stopOne(child: Child): Promise<void> {
    await this.#halt(child);
    this.#remove(child, { kind: 'stopped', code: 'shutdown' });
  }

  /** In reverse start order; no restart happens any more. */
  async stopAll(): Promise<void> {
    this.#isStopping = true;
    this.#pause?.resolve();
    for (const child of [...this.#children].reverse()) await this.#stopOne(child);
  }

  /** At once and for good: whoever could wait for them is over itself. */
  killAll(code: string): void {
    this.#isStopping = true;
    this.#pause?.resolve();
    for (const child of [...this.#children].reverse()) {
      const cause: ExitCause = { kind: 'killed', code };
      this.#remove(child, cause);
      child.starting?.reject(toError(child, cause));
    }
  }

  started(handle: ChildHandle, incarnation: number): void {
    const child = this.#find(handle, incarnation);
    if (child === undefined || child.status !== 'starting') return;
    child.startTimer?.cancel();
    child.status = 'running';
    child.startedAtMs = this.#ports.host.monotonicMs();
    child.starting?.resolve();
    child.starting = undefined;
  }

  ended(handle: ChildHandle, incarnation: number, cause: ExitCause): void {
    const child = this.#find(handle, incarnation);
    if (child === undefined || child.status === 'gone' || child.status === 'stopping') return;
    const wasStarting = child.status === 'starting';
    child.startTimer?.cancel();
    child.status = 'restarting';
    const starting = child.starting;
    child.starting = undefined;
    if (this.#isStopping) {
      starting?.reject(toError(child, cause));
      return;
    }
    // A static child's first start is its parent's start: the failure is the parent's, not a restart.
    if (wasStarting && incarnation === 1 && starting !== undefined) {
      this.#remove(child, cause);
      starting.reject(toError(child, cause));
      return;
    }
    starting?.reject(toError(child, cause));
    this.#decide(child, cause);
  }

  #decide(child: Child, cause: ExitCause): void {
    if (!isRestarted(child.spec.restart, cause)) {
      const ended: ChildEnded = this.#toEnded(child, cause);
      // One that was to end, and did, is no news, and there may be thousands in a second.
      const isNews = child.spec.restart !== 'temporary' || cause.kind !== 'stopped';
      this.#remove(child, cause, isNews);
      this.#tellParent(ended, () => undefined);
      return;
    }
    if (
      cause.kind !== 'stopped' &&
      this.#supervision.escalateCodes?.includes(cause.code) === true
    ) {
      this.#ports.escalate(cause);
      return;
    }
    if (!this.#charge(child, cause)) return;
    this.restarts += 1;
    // Whoever lost its thread to another's fault starts again at once.
    const delayMs = isCharged(cause) ? this.#nextDelayMs(child) : 0;
    this.#report(child, cause, delayMs);
    const ended = this.#toEnded(child, cause);
    this.#tellParent(ended, () => {
      // Its group may have started it again while its parent was being told.
      if (child.incarnation === ended.incarnation) this.#recover(child, delayMs);
    });
  }

  /** False when the supervisor gives up. */
  #charge(child: Child, cause: ExitCause): boolean {
    if (!isCharged(cause)) return true;
    const { intensity, periodMs, whenExhausted } = this.#supervision;
    const charged = chargeRestart(this.#history, this.#ports.host.monotonicMs(), {
      intensity,
      periodMs,
    });
    this.#history = charged.history;
    if (!charged.isExhausted) return true;
    const degraded = whenExhausted === 'degrade';
    this.#ports.emit({
      type: 'supervisor.exhausted',
      address: this.#ports.address,
      child: child.spec.id,
      degraded,
    });
    if (degraded) {
      this.isDegraded = true;
      child.backoffStep = 64;
      return true;
    }
    this.#report(child, cause, -1);
    this.#ports.escalate({
      kind: 'crashed',
      code: 'restart_intensity',
      message: `${child.spec.id} ended more than ${intensity} times in ${periodMs} ms, last by ${cause.code}: ${cause.message ?? ''}`,
    });
    return false;
  }

  #recover(child: Child, delayMs: number): void {
    if (this.#isStopping || child.status !== 'restarting') return;
    if (this.#supervision.strategy === 'one_for_one') {
      child.timer = this.#ports.host.setTimer(delayMs, () => {
        child.timer = undefined;
        if (!this.#isStopping && child.status === 'restarting') this.#launch(child);
      });
      return;
    }
    if (this.#isRecovering) {
      const earlier = this.#failedMeanwhile;
      if (
        earlier === undefined ||
        this.#children.indexOf(child) < this.#children.indexOf(earlier)
      ) {
        this.#failedMeanwhile = child;
      }
      return;
    }
    this.#recoverGroup(child, delayMs).catch((error: unknown) => {
      this.#ports.escalate({ kind: 'crashed', code: 'internal_error', message: String(error) });
    });
  }

  /** rest_for_one and one_for_all: stop the others in reverse, wait, start all in order; again when one fails meanwhile. */
  async #recoverGroup(first: Child, delayMs: number): Promise<void> {
    this.#isRecovering = true;
    let failed: Child | undefined = first;
    let waitMs = delayMs;
    while (failed !== undefined && !this.#isStopping) {
      this.#failedMeanwhile = undefined;
      const indices = affectedBy(
        this.#supervision.strategy,
        this.#children.indexOf(failed),
        this.#children.length,
      );
      const group = indices.flatMap((i) => this.#children[i] ?? []);
      for (const child of [...group].reverse()) await this.#halt(child);
      await this.#sleep(waitMs);
      if (this.#isStopping) break;
      failed = (await this.#startInOrder(group)) ?? this.#failedMeanwhile;
      if (failed !== undefined) waitMs = this.#nextDelayMs(failed);
    }
    this.#isRecovering = false;
  }

  async #startInOrder(group: readonly Child[]): Promise<Child | undefined> {
    for (const child of group) {
      if (this.#isStopping || child.status === 'gone') continue;
      if (this.#failedMeanwhile === child) this.#failedMeanwhile = undefined;
      const started = this.#awaitStart(child);
      this.#launch(child);
      const ok = await started.then(
        () => true,
        () => false,
      );
      if (!ok && this.#children.includes(child)) return child;
      if (this.#failedMeanwhile !== undefined) return this.#failedMeanwhile;
    }
    return this.#failedMeanwhile;
  }

  #add(spec: ChildSpec<unknown, unknown>): Child {
    if (this.#children.some((child) => child.spec.id === spec.id)) {
      throw new RuntimeError(
        'duplicate_child',
        `${this.#ports.address} has a child '${spec.id}' already`,
      );
    }
    const handle = this.#ports.place(spec, this);
    const child: Child = {
      spec,
      handle,
      status: 'starting',
      incarnation: 0,
      startedAtMs: 0,
      backoffStep: 0,
      timer: undefined,
      startTimer: undefined,
      starting: undefined,
      halting: undefined,
    };
    this.#children.push(child);
    return child;
  }

  #launch(child: Child): void {
    child.status = 'starting';
    child.incarnation += 1;
    const { incarnation } = child;
    const timeoutMs = this.#supervision.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
    child.handle.start(incarnation);
    if (child.status !== 'starting' || child.incarnation !== incarnation) return;
    child.startTimer = this.#ports.host.setTimer(timeoutMs, () =>
      child.handle.kill('start_timeout'),
    );
  }

  #awaitStart(child: Child): Promise<void> {
    child.starting ??= createDeferred<void>();
    return child.starting.promise;
  }

  async #halt(child: Child): Promise<void> {
    child.timer?.cancel();
    child.timer = undefined;
    child.startTimer?.cancel();
    if (child.status === 'running' || child.status === 'starting') {
      child.status = 'stopping';
      child.halting = child.handle.stop(child.spec.shutdownTimeoutMs);
    }
    await child.halting;
    child.halting = undefined;
    if (child.status !== 'gone') child.status = 'restarting';
    child.starting?.reject(toError(child, { kind: 'stopped', code: 'shutdown' }));
    child.starting = undefined;
  }

  #remove(child: Child, cause: ExitCause, isNews = true): void {
    if (child.status === 'gone') return;
    child.status = 'gone';
    child.timer?.cancel();
    child.startTimer?.cancel();
    this.#children.splice(this.#children.indexOf(child), 1);
    child.handle.dispose();
    const { address } = child.handle.ref;
    if (isNews) this.#ports.emit({ type: 'actor.stopped', address, cause });
    this.#ports.removed(child.spec.id, cause);
  }

  #nextDelayMs(child: Child): number {
    const ranMs = this.#ports.host.monotonicMs() - child.startedAtMs;
    if (child.startedAtMs > 0 && ranMs >= this.#backoff.resetAfterMs) child.backoffStep = 0;
    const { host } = this.#ports;
    const delayMs = backoffDelayMs(this.#backoff, child.backoffStep, () => host.random());
    child.backoffStep += 1;
    child.startedAtMs = 0;
    return delayMs;
  }

  async #sleep(ms: number): Promise<void> {
    const pause = createDeferred<void>();
    this.#pause = pause;
    const timer = this.#ports.host.setTimer(ms, () => pause.resolve());
    await pause.promise;
    timer.cancel();
    this.#pause = undefined;
  }

  #tellParent(ended: ChildEnded, then: () => void): void {
    const waiting = this.#ports.childEnded(ended);
    if (waiting === undefined) then();
    else waiting.then(then, then);
  }

  #toEnded(child: Child, cause: ExitCause): ChildEnded {
    return { id: child.spec.id, ref: child.handle.ref, incarnation: child.incarnation, cause };
  }

  #report(child: Child, cause: ExitCause, restartInMs: number): void {
    this.#ports.emit({
      type: 'actor.crashed',
      address: child.handle.ref.address,
      cause,
      stack: cause.stack ?? '',
      restartInMs,
    });
  }

  #find(handle: ChildHandle, incarnation: number): Child | undefined {
    return this.#children.find(
      (child) => child.handle === handle && child.incarnation === incarnation,
    );
  }
}

function toError(child: Child, cause: ExitCause): Error & { readonly exit: ExitCause } {
  const detail = cause.message === undefined ? '' : `: ${cause.message}`;
  const error = new RuntimeError(
    'start_failed',
    `${child.spec.id} ended by ${cause.code}${detail}`,
  );
  return Object.assign(error, { code: cause.code, exit: cause });
}

function refusal(address: string): RuntimeError {
  return new RuntimeError('system_stopped', `${address} is stopping and starts no child`);
}
