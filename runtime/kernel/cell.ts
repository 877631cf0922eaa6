/** One actor in its thread: its mailbox, its incarnation, and the turn from message to handler. It survives restarts. */
import type { ActorRef, ExitCause } from '../actor.ts';
import { type ChildSpec, checkSupervision, type Supervision } from '../child-spec.ts';
import { isThenable } from '../deferred.ts';
import { InvalidMessage } from '../schema.ts';
import { Child, type ChildOwner } from '../supervision/child.ts';
import type { ChildSet } from '../supervision/child-set.ts';
import { type AskEnvelope, isAsk } from './asks.ts';
import { CellExtras, type CellPlace, newRefOfCell, pathOfCell, refOfCell } from './cell-extras.ts';
import { type Compiled, entryFor, type KindEntry, subjectOf } from './compiled.ts';
import { DeferredAnswer } from './deferred-answer.ts';
import { STOPPED, toCrash } from './exit-cause.ts';
import { EARLY, Inbox } from './inbox.ts';
import { announce } from './kept-reminders.ts';
import type { Kernel } from './kernel.ts';
import { dropped, makeRoom } from './make-room.ts';
import { isIdle, PASSIVATED, passivateLater } from './passivation.ts';
import { payloadBytes } from './payload-bytes.ts';
import { refuse } from './refusal.ts';
import type { Runnable } from './scheduler.ts';
import { KernelSelf } from './self.ts';
import { stopInOrder } from './stop-in-order.ts';

export type CellStatus =
  | 'created'
  | 'starting'
  | 'running'
  | 'ending'
  | 'passive'
  | 'waiting'
  | 'gone';

/** Messages that one actor handles before the next one has its turn. */
const QUANTUM_MESSAGES = 256;

/** What a cell is beside its status: bits of one number, as there may be a million cells. */
const READY = 1;
const PARKED = 2;
const HANDLING = 4;
const STOP_REQUESTED = 8;
const HAS_STATE = 16;

/** Kept small: there may be a million. What most actors never have is in `extras`, made when it is first needed. */
export class Cell extends Child implements Runnable {
  nextReady: Runnable | undefined = undefined;
  readonly kernel: Kernel;
  readonly parent: Cell | undefined;
  readonly uid: number;
  compiled: Compiled | undefined;
  status: CellStatus = 'created';
  state: unknown = undefined;
  self: KernelSelf | undefined = undefined;
  /** The message being handled: its ask, and its trace. */
  asking: AskEnvelope | undefined = undefined;
  trace: string | undefined = undefined;
  children: ChildSet | undefined = undefined;
  /** Its uid where the main thread knows it, else that of the ancestor that main started in this thread. */
  readonly recorderId: number;
  extras: CellExtras | undefined = undefined;
  inbox: Inbox | undefined = undefined;
  #flags = 0;

  constructor(kernel: Kernel, at: CellPlace, spec: ChildSpec<unknown, unknown>, owner: ChildOwner) {
    super(spec, owner);
    this.kernel = kernel;
    this.parent = at.parent;
    this.uid = at.uid;
    this.recorderId = at.parent?.recorderId ?? at.uid;
    this.compiled = kernel.code.of(spec.start);
    if (at.parent === undefined) this.ensureExtras().path = at.path;
  }

  get path(): string {
    return pathOfCell(this);
  }

  get ref(): ActorRef<unknown> {
    return this.extras?.ref ?? refOfCell(this);
  }

  newRef(): ActorRef<unknown> {
    return newRefOfCell(this);
  }

  ensureExtras(): CellExtras {
    this.extras ??= new CellExtras();
    return this.extras;
  }

  /** False when the mailbox refuses. */
  enqueue(kind: KindEntry, payload: unknown, meta: unknown): boolean {
    if (this.status === 'gone') return false;
    const limits = this.compiled?.limits ?? EARLY;
    this.inbox ??= new Inbox();
    const bytes = limits.limitBytes === 0 ? 0 : payloadBytes(payload, limits.limitBytes);
    if (!this.inbox.hasRoom(limits, bytes) && !makeRoom(this, kind, limits, bytes))
      return limits.overflow === 'drop-newest' && dropped(payload);
    this.inbox.put(kind, payload, meta, bytes);
    this.#makeReady();
    return true;
  }

  /** Timers, outcomes, downs: handled before the mailbox, refused by no limit. */
  enqueueUrgent(kind: KindEntry, payload: unknown, trace: string | undefined): void {
    if (this.status === 'gone') return;
    this.inbox ??= new Inbox();
    this.inbox.putUrgent(kind, payload, trace);
    this.#makeReady();
  }

  runSlice(): void {
    this.#flags &= ~READY;
    const { recorder, scheduler } = this.kernel;
    recorder.enter(this.recorderId, this.incarnation);
    if (this.status === 'passive') this.extras?.passivation?.wake();
    let left = QUANTUM_MESSAGES;
    while (this.#isRunnable()) {
      if (left === 0 || !this.#handleNext()) break;
      left -= 1;
      if (scheduler.spend()) break;
    }
    recorder.leave();
    this.extras?.passivation?.handled();
    if (this.inbox?.hasMail === true) this.#makeReady();
    this.inbox?.line?.look();
  }

  #isRunnable(): boolean {
    return this.status === 'running' && (this.#flags & PARKED) === 0;
  }

  #makeReady(): void {
    if ((this.#flags & READY) !== 0 || !(this.#isRunnable() || this.status === 'passive')) return;
    this.#flags |= READY;
    this.kernel.scheduler.ready(this);
  }

  #handleNext(): boolean {
    const ring = this.inbox?.next();
    if (ring?.kind === undefined) return false;
    const { kind, payload, meta } = ring;
    ring.forget();
    if (isAsk(meta)) {
      if (meta.deadlineMs <= this.kernel.host.monotonicMs()) {
        this.kernel.counters.expired_asks += 1;
        meta.fail('ask_timeout', 'expired before it was handled');
        return true;
      }
      this.asking = meta;
      this.trace = meta.trace;
    } else {
      this.trace = meta as string | undefined;
    }
    this.#handle(kind, payload);
    return true;
  }

  #handle(late: KindEntry, payload: unknown): void {
    const { asking, self, compiled } = this;
    const kind = entryFor(compiled, late);
    if (kind === undefined) {
      refuse(this, late.name, 'unknown_kind', `${this.path} handles no such message`);
      return;
    }
    this.kernel.counters.handled += 1;
    this.#flags |= HANDLING;
    if (compiled?.hasSubject === true)
      this.kernel.recorder.subject(subjectOf(compiled, kind.name, payload));
    this.kernel.recorder.message(kind.index);
    let result: unknown;
    try {
      result = kind.handler(this.state, payload, self as KernelSelf);
    } catch (error) {
      this.#flags &= ~HANDLING;
      if (error instanceof InvalidMessage) refuse(this, kind.name, error.code, error.message);
      else this.crash(error, kind.name, this.kernel.recorder.currentSubject());
      return;
    }
    this.#flags &= ~HANDLING;
    if (result instanceof DeferredAnswer) {
      if (asking !== undefined) result.follow(asking, this.ensureExtras().unanswered);
    } else if (isThenable(result)) {
      this.#park(result, kind.name);
      return;
    } else if (asking !== undefined) {
      asking.reply(result);
    }
    this.asking = undefined;
    this.trace = undefined;
    if ((this.#flags & STOP_REQUESTED) !== 0) this.#end(STOPPED, true);
  }

  #park(promise: PromiseLike<unknown>, kind: string): void {
    const { asking, incarnation } = this;
    const subject = this.compiled?.hasSubject === true ? this.kernel.recorder.currentSubject() : '';
    this.#flags |= PARKED;
    this.ensureExtras().unanswered.park(asking, this.kernel.host.monotonicMs());
    const isOver = () => this.incarnation !== incarnation || (this.#flags & PARKED) === 0;
    promise.then(
      (value) => {
        if (isOver()) return;
        this.extras?.unanswered.answerParked(value);
        this.#flags &= ~PARKED;
        this.asking = undefined;
        this.trace = undefined;
        this.#goOn();
      },
      (error: unknown) => {
        if (isOver()) return;
        this.#flags &= ~PARKED;
        this.crash(error, kind, subject);
      },
    );
  }

  /** One more incarnation; the owner hears `started` or `ended`. The mailbox is kept. */
  start(incarnation: number): void {
    this.incarnation = incarnation;
    this.status = 'starting';
    this.#flags &= ~(PARKED | STOP_REQUESTED | HAS_STATE);
    if (this.compiled !== undefined) {
      this.#startCompiled(incarnation);
      return;
    }
    this.kernel.code.load(this.spec.start).then(
      (compiled) => {
        this.compiled = compiled;
        if (this.#isStarting(incarnation)) this.#startCompiled(incarnation);
      },
      (error: unknown) => this.#startFailed(incarnation, error),
    );
  }

  crash(error: unknown, during: string, subject = ''): void {
    this.fail(toCrash(error, { fallback: 'crashed', during, subject }));
  }

  /** Ends abnormally: by its own crash, or by that of a child set that gave up. */
  fail(cause: ExitCause): void {
    this.ensureExtras().lastError = `${cause.code}: ${cause.message ?? ''}`;
    this.asking?.fail('actor_crashed', cause.code);
    this.#end(cause, false);
  }

  /** Ends in order after the message being handled, or now where none is. */
  requestStop(): void {
    if (this.status === 'passive') this.#over(STOPPED);
    else if (this.status === 'running' && (this.#flags & (HANDLING | PARKED)) === 0)
      this.#end(STOPPED, true);
    else this.#flags |= STOP_REQUESTED;
  }

  /** Ends as long as nobody needs it; false where somebody may. */
  passivate(): boolean {
    if (!this.#isRunnable() || (this.#flags & READY) !== 0 || !isIdle(this)) return false;
    this.#end(PASSIVATED, true);
    if (this.status === 'ending') void this.ensureExtras().over(this, this.spec.shutdownTimeoutMs);
    return true;
  }

  stop(timeoutMs: number): Promise<void> | undefined {
    if (timeoutMs === 0) this.kill('killed');
    else if (this.#isLive) this.requestStop();
    return this.#isLive ? this.ensureExtras().over(this, timeoutMs) : undefined;
  }

  kill(code: string): void {
    if (!this.#isLive) return;
    this.status = 'ending';
    this.children?.killAll(code);
    this.#over({ kind: 'killed', code });
  }

  dispose(): void {
    this.kill('disposed');
    this.status = 'gone';
    // A ref that is kept keeps this cell, and no more of what its thread's setup gave.
    this.compiled = undefined;
    if (this.parent === undefined) this.kernel.removeRoot(this);
    while (this.inbox?.size) this.kernel.giveUp(this, this.inbox.dropOldest(), 'actor_dead');
    this.inbox?.line?.end();
    this.extras?.watchers.tell(this, { kind: 'unreachable', code: 'no_such_actor' });
  }

  /** This actor's children, made at the first use: most actors have none. */
  ensureChildren(supervision?: Supervision): ChildSet {
    this.children ??= this.kernel.createChildren(this, supervision);
    return this.children;
  }

  get #isLive(): boolean {
    return this.status !== 'created' && this.status !== 'waiting' && this.status !== 'gone';
  }

  #isStarting(incarnation: number): boolean {
    return this.status === 'starting' && this.incarnation === incarnation;
  }

  #startCompiled(incarnation: number): void {
    const { definition } = this.compiled as Compiled;
    const self = new KernelSelf(this);
    this.self = self;
    try {
      const state: unknown = definition.start(self, this.spec.start.args, this.kernel.deps);
      if (isThenable(state)) this.#awaitState(incarnation, state);
      else this.#stateReady(incarnation, state);
    } catch (error) {
      this.#startFailed(incarnation, error);
    }
  }

  #awaitState(incarnation: number, state: PromiseLike<unknown>): void {
    state
      .then((value) => this.#stateReady(incarnation, value))
      // Also what `supervise` throws after an awaited start.
      .then(undefined, (error: unknown) => this.#startFailed(incarnation, error));
  }

  #stateReady(incarnation: number, state: unknown): void {
    if (!this.#isStarting(incarnation)) return;
    this.state = state;
    this.#flags |= HAS_STATE;
    const { definition } = this.compiled as Compiled;
    const supervision = definition.supervise?.(this.spec.start.args);
    const specs = supervision === undefined ? undefined : checkSupervision(supervision).children;
    if (specs === undefined || specs.length === 0) {
      this.#running(incarnation);
      return;
    }
    this.ensureChildren(supervision)
      .startAll(specs as readonly ChildSpec<unknown, unknown>[])
      .then(
        () => this.#running(incarnation),
        (error: unknown) => this.#startFailed(incarnation, error),
      );
  }

  #running(incarnation: number): void {
    if (!this.#isStarting(incarnation)) return;
    this.status = 'running';
    this.owner.started(this);
    announce(this);
    passivateLater(this);
    this.#goOn();
  }

  #goOn(): void {
    if ((this.#flags & STOP_REQUESTED) !== 0) this.#end(STOPPED, true);
    else if (this.inbox?.hasMail === true) this.#makeReady();
  }

  #startFailed(incarnation: number, error: unknown): void {
    if (!this.#isStarting(incarnation)) return;
    this.fail(toCrash(error, { fallback: 'start_failed', during: 'start', subject: '' }));
  }

  /** An orderly end runs `stop` with a live Self; after a crash the Self is revoked before anything else. */
  #end(cause: ExitCause, isOrderly: boolean): void {
    if (this.status !== 'running' && this.status !== 'starting') return;
    const incarnation = this.incarnation;
    this.status = 'ending';
    this.#flags &= ~PARKED;
    this.extras?.timers.cancelAll();
    if (!isOrderly) this.#revoke();
    const hasStop = this.compiled?.definition.stop !== undefined && (this.#flags & HAS_STATE) !== 0;
    if (this.children === undefined && !hasStop) {
      this.#over(cause);
      return;
    }
    void stopInOrder(this, hasStop).then(() => {
      if (this.status === 'ending' && this.incarnation === incarnation) this.#over(cause);
    });
  }

  #over(ending: ExitCause): void {
    // Somebody wanted its end while it became passive.
    const cause = ending === PASSIVATED && (this.#flags & STOP_REQUESTED) !== 0 ? STOPPED : ending;
    const isPassive = cause === PASSIVATED;
    this.#revoke();
    this.status = isPassive ? 'passive' : 'waiting';
    this.#flags &= ~PARKED;
    if (cause.kind !== 'stopped') this.kernel.counters.crashes += 1;
    this.state = undefined;
    this.children = undefined;
    this.asking = undefined;
    this.trace = undefined;
    this.kernel.counters.stale_outcomes += this.inbox?.dropUrgent() ?? 0;
    const whenOver = this.extras?.ended(this, cause, isPassive);
    if (!isPassive) this.owner.ended(this, cause);
    else if (this.inbox?.hasMail === true) this.#makeReady();
    else this.inbox = undefined;
    whenOver?.resolve();
  }

  #revoke(): void {
    this.self = undefined;
    this.extras?.forget(this);
  }
}
