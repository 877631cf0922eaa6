/** The children of one actor: started in order, restarted by the strategy, stopped in reverse. It runs in the parent's thread. */
import type { ActorRef, ChildEnded, ExitCause } from '../actor.ts';
import {
  type Backoff,
  type ChildSpec,
  checkChildSpec,
  type RestartLimit,
  type Supervision,
} from '../child-spec.ts';
import { RuntimeError } from '../errors.ts';
import { STOPPED, toCrash } from '../kernel/exit-cause.ts';
import type { Child, ChildOwner } from './child.ts';
import type { ChildSetPorts } from './child-set-ports.ts';
import { GroupRestart } from './group-restart.ts';
import {
  affectedBy,
  backoffDelayMs,
  chargeRestart,
  DEFAULT_BACKOFF,
  isCharged,
  isRestarted,
} from './restart-policy.ts';

export const DEFAULT_START_TIMEOUT_MS = 30_000;
/** Of a child whose limit is used up: its delay is the longest one. */
const LAST_BACKOFF_STEP = 64;

export class ChildSet implements ChildOwner {
  readonly #ports: ChildSetPorts;
  readonly #supervision: Supervision;
  readonly #backoff: Backoff;
  /** By id, in start order. */
  readonly #children = new Map<string, Child>();
  #group: GroupRestart | undefined = undefined;
  #history: readonly number[] = [];
  #isStopping = false;
  restarts = 0;

  constructor(supervision: Supervision, ports: ChildSetPorts) {
    this.#supervision = supervision;
    this.#backoff =
      supervision.backoff === undefined
        ? DEFAULT_BACKOFF
        : { ...DEFAULT_BACKOFF, ...supervision.backoff };
    this.#ports = ports;
  }

  /** Whether a child has used up a limit and has not run long enough since to be trusted again. */
  get isDegraded(): boolean {
    for (const child of this.#children.values())
      if (child.trouble?.isExhausted === true && !this.#hasRunLong(child)) return true;
    return false;
  }

  at(id: string): Child | undefined {
    return this.#children.get(id);
  }

  /** In start order. */
  all(): IterableIterator<Child> {
    return this.#children.values();
  }

  list(): readonly { readonly id: string; readonly ref: ActorRef<unknown> }[] {
    return Array.from(this.#children.values(), ({ spec, ref }) => ({ id: spec.id, ref }));
  }

  /** Of a supervision that has been checked. One after the other; rejects with the first child's failure, the ones before it running. */
  async startAll(specs: readonly ChildSpec<unknown, unknown>[]): Promise<void> {
    for (const spec of specs) {
      if (this.#isStopping) throw refusal(this.#ports.address);
      const child = this.#add(spec);
      const started = child.whenStarted();
      this.#launch(child);
      await started;
    }
  }

  spawn(spec: ChildSpec<unknown, unknown>): ActorRef<unknown> {
    if (this.#isStopping) throw refusal(this.#ports.address);
    const child = this.#add(checkChildSpec(spec));
    this.#launch(child);
    return child.newRef();
  }

  /** Settles when the child's present start has succeeded; rejects with its failure. */
  async whenStarted(ref: ActorRef<unknown>): Promise<void> {
    for (const child of this.#children.values()) {
      if (child.ref.address !== ref.address) continue;
      if (child.stage !== 'running') await child.whenStarted();
      return;
    }
    throw new RuntimeError(
      'start_failed',
      `${ref.address} is not a child of ${this.#ports.address}`,
    );
  }

  /** Undefined when it is gone already. */
  stopChild(id: string): Promise<void> | undefined {
    const child = this.#children.get(id);
    return child === undefined ? undefined : this.#stopOne(child);
  }

  /** Undefined when it is done. */
  #stopOne(child: Child): Promise<void> | undefined {
    const halting = this.#halt(child);
    if (halting !== undefined) return halting.then(() => this.#remove(child, STOPPED));
    this.#remove(child, STOPPED);
    return undefined;
  }

  /** In reverse start order; no restart happens any more. */
  async stopAll(): Promise<void> {
    for (const child of this.#closeDown()) {
      const stopping = this.#stopOne(child);
      if (stopping !== undefined) await stopping;
    }
  }

  /** At once and for good: whoever could wait for them is over itself. */
  killAll(code: string): void {
    const cause: ExitCause = { kind: 'killed', code };
    for (const child of this.#closeDown()) {
      this.#remove(child, cause);
      child.settleStart(cause);
    }
  }

  started(child: Child): void {
    if (child.stage !== 'starting') return;
    child.cancelTimer();
    child.stage = 'running';
    child.settleStart();
    // One that comes and goes is no news, and how long it has run is nobody's question.
    if (child.spec.restart === 'temporary') return;
    // Whole milliseconds: a fraction costs each child an object.
    child.startedAtMs = Math.trunc(this.#ports.host.monotonicMs());
    const { inspection } = this.#ports;
    const type = child.incarnation === 1 ? 'actor.started' : 'actor.restarted';
    if (!inspection.hears(type)) return;
    const { address } = child.newRef();
    const { incarnation } = child;
    inspection.emit(type === 'actor.started' ? { type, address } : { type, address, incarnation });
  }

  ended(child: Child, cause: ExitCause): void {
    if (child.stage === 'stopping') {
      // Who has no time to stop in is killed by order.
      if (cause.code !== 'killed') this.#report(child, cause, -1);
      return;
    }
    // A static child's first start is its parent's start: the failure is the parent's, not a restart.
    const isFirstStart = child.stage === 'starting' && child.incarnation === 1 && child.isAwaited;
    child.cancelTimer();
    child.stage = 'restarting';
    if (isFirstStart || this.#isStopping) this.#report(child, cause, -1);
    if (isFirstStart && !this.#isStopping) this.#remove(child, cause);
    child.settleStart(cause);
    if (!isFirstStart && !this.#isStopping) this.#decide(child, cause);
  }

  #decide(child: Child, cause: ExitCause): void {
    const verdict = cause.kind === 'stopped' ? 'restart' : this.#judge(child, cause);
    if (typeof verdict !== 'string') {
      this.#report(child, cause, -1);
      this.#ports.escalate(verdict);
    } else if (verdict === 'stop' || !isRestarted(child.spec.restart, cause)) {
      this.#giveUp(child, cause);
    } else if (this.#charge(child, cause)) {
      this.#restart(child, cause);
    }
  }

  /** What to do, or the cause with which to escalate. A judge that throws has its supervisor crash. */
  #judge(child: Child, cause: ExitCause): 'restart' | 'stop' | ExitCause {
    try {
      const verdict = this.#supervision.decide?.(child.toEnded(cause)) ?? 'restart';
      return verdict === 'escalate' ? cause : verdict;
    } catch (error) {
      return toCrash(error, { fallback: 'crashed', during: 'decide', subject: '' });
    }
  }

  /** It ended by itself and is not coming back. */
  #giveUp(child: Child, cause: ExitCause): void {
    const { restart, significant } = child.spec;
    const ended = child.toEnded(cause);
    this.#report(child, cause, -1);
    // One that was to end, and did, is no news, and there may be thousands in a second.
    this.#remove(child, cause, restart !== 'temporary' || cause.kind !== 'stopped');
    this.#tellParent(ended, () => undefined);
    if (significant === true && this.#isPurposeServed()) this.#ports.shutDown();
  }

  #isPurposeServed(): boolean {
    switch (this.#supervision.autoShutdown) {
      case 'any_significant':
        return true;
      case 'all_significant':
        return ![...this.#children.values()].some(({ spec }) => spec.significant === true);
      default:
        return false;
    }
  }

  /** False when a limit is reached and the supervisor gives up. */
  #charge(child: Child, cause: ExitCause): boolean {
    if (!isCharged(cause)) return true;
    const nowMs = this.#ports.host.monotonicMs();
    let exceeded: RestartLimit | undefined;
    if (!this.#isDegrading) {
      const { history, isExhausted } = chargeRestart(this.#history, nowMs, this.#supervision);
      this.#history = history;
      if (isExhausted) exceeded = this.#supervision;
    }
    const own = child.spec.restartLimit ?? (this.#isDegrading ? this.#supervision : undefined);
    if (own !== undefined) {
      const trouble = child.ensureTrouble();
      const { history, isExhausted } = chargeRestart(trouble.history, nowMs, own);
      trouble.history = history;
      if (isExhausted) exceeded = own;
    }
    return exceeded === undefined || this.#exhaust(child, cause, exceeded);
  }

  /** It has no end of its own to guard: what is charged to one child must not delay another. */
  get #isDegrading(): boolean {
    return this.#supervision.whenExhausted === 'degrade';
  }

  #exhaust(child: Child, cause: ExitCause, { intensity, periodMs }: RestartLimit): boolean {
    const degraded = this.#isDegrading;
    const { address, inspection } = this.#ports;
    if (inspection.hears('supervisor.exhausted'))
      inspection.emit({ type: 'supervisor.exhausted', address, child: child.spec.id, degraded });
    if (degraded) {
      const trouble = child.ensureTrouble();
      trouble.isExhausted = true;
      trouble.backoffStep = LAST_BACKOFF_STEP;
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

  #restart(child: Child, cause: ExitCause): void {
    this.restarts += 1;
    // Whoever lost its thread to another's fault starts again at once.
    const delayMs = isCharged(cause) ? this.#nextDelayMs(child) : 0;
    this.#report(child, cause, delayMs);
    const ended = child.toEnded(cause);
    this.#tellParent(ended, () => {
      // Its group may have started it again while its parent was being told.
      if (child.incarnation === ended.incarnation) this.#recover(child, delayMs);
    });
  }

  #recover(child: Child, delayMs: number): void {
    if (this.#isStopping || child.stage !== 'restarting') return;
    if (this.#supervision.strategy === 'one_for_one') {
      child.timer = this.#ports.host.setTimer(delayMs, () => {
        if (!this.#isStopping) this.#launch(child);
      });
      return;
    }
    this.#group ??= this.#createGroup();
    this.#group.add(child, delayMs).catch((error: unknown) => {
      this.#ports.escalate({ kind: 'crashed', code: 'internal_error', message: String(error) });
    });
  }

  #createGroup(): GroupRestart {
    return new GroupRestart({
      host: this.#ports.host,
      groupOf: (failed) =>
        affectedBy(this.#supervision.strategy, [...this.#children.values()], failed),
      halt: async (child) => this.#halt(child),
      giveUp: (child) => this.#remove(child, STOPPED),
      launch: (child) => this.#launch(child),
    });
  }

  #add(spec: ChildSpec<unknown, unknown>): Child {
    const { maxChildren = Number.POSITIVE_INFINITY } = this.#supervision;
    const { address } = this.#ports;
    if (this.#children.has(spec.id))
      throw new RuntimeError('duplicate_child', `${address} has a child '${spec.id}' already`);
    if (this.#children.size >= maxChildren) {
      throw new RuntimeError(
        'too_many_children',
        `${address} has ${maxChildren} children already, as many as it may`,
        { retryable: true },
      );
    }
    const child = this.#ports.place(spec, this);
    this.#children.set(spec.id, child);
    return child;
  }

  #launch(child: Child): void {
    child.stage = 'starting';
    child.incarnation += 1;
    const { incarnation } = child;
    child.start(incarnation);
    if (child.stage !== 'starting' || child.incarnation !== incarnation) return;
    const timeoutMs = this.#supervision.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
    child.timer = this.#ports.host.setTimer(timeoutMs, () => child.kill('start_timeout'));
  }

  /** Undefined when it is over. */
  #halt(child: Child): Promise<void> | undefined {
    child.cancelTimer();
    if (child.stage === 'running' || child.stage === 'starting') {
      child.stage = 'stopping';
      const halting = child.stop(child.spec.shutdownTimeoutMs);
      if (halting !== undefined) child.ensureTrouble().halting = halting;
    }
    const halting = child.trouble?.halting;
    if (halting !== undefined) return halting.then(() => this.#halted(child));
    this.#halted(child);
    return undefined;
  }

  #halted(child: Child): void {
    if (child.trouble !== undefined) child.trouble.halting = undefined;
    if (child.stage !== 'gone') child.stage = 'restarting';
    child.settleStart(STOPPED);
  }

  #closeDown(): readonly Child[] {
    this.#isStopping = true;
    this.#group?.cancel();
    return [...this.#children.values()].reverse();
  }

  #remove(child: Child, cause: ExitCause, isNews = true): void {
    if (child.stage === 'gone') return;
    child.leave();
    this.#children.delete(child.spec.id);
    child.dispose();
    const { inspection } = this.#ports;
    if (isNews && inspection.hears('actor.stopped'))
      inspection.emit({ type: 'actor.stopped', address: child.newRef().address, cause });
    this.#ports.removed(child.spec.id, cause);
  }

  #hasRunLong({ stage, startedAtMs }: Child): boolean {
    const ranMs = this.#ports.host.monotonicMs() - startedAtMs;
    return stage === 'running' && ranMs >= this.#backoff.resetAfterMs;
  }

  #nextDelayMs(child: Child): number {
    const trouble = child.ensureTrouble();
    const ranMs = this.#ports.host.monotonicMs() - child.startedAtMs;
    if (child.startedAtMs > 0 && ranMs >= this.#backoff.resetAfterMs) {
      trouble.backoffStep = 0;
      trouble.isExhausted = false;
    }
    const { host } = this.#ports;
    const delayMs = backoffDelayMs(this.#backoff, trouble.backoffStep, () => host.random());
    trouble.backoffStep += 1;
    child.startedAtMs = 0;
    return delayMs;
  }

  #tellParent(ended: ChildEnded, then: () => void): void {
    const waiting = this.#ports.childEnded(ended);
    if (waiting === undefined) then();
    else waiting.then(then, then);
  }

  /** Once for each abnormal end; -1: it is not restarted for it. */
  #report(child: Child, cause: ExitCause, restartInMs: number): void {
    const { inspection } = this.#ports;
    if (cause.kind === 'stopped' || !inspection.hears('actor.crashed')) return;
    const { address } = child.newRef();
    const { stack = '' } = cause;
    inspection.emit({ type: 'actor.crashed', address, cause, stack, restartInMs });
  }
}

function refusal(address: string): RuntimeError {
  return new RuntimeError('system_stopped', `${address} is stopping and starts no child`);
}
