/** One actor in its thread: its mailbox, its incarnation, and the turn from message to handler. It survives restarts. */
import type { ActorRef, Down, ExitCause } from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import { codeOf, messageOf } from '../errors.ts';
import type { Timer } from '../host/host.ts';
import { type ChildHandle, type ChildOwner, ChildSet } from '../supervision/child-set.ts';
import { type AskEnvelope, isAsk } from './asks.ts';
import type { Compiled, KindEntry } from './compiled.ts';
import type { Kernel } from './kernel.ts';
import { createRef } from './ref.ts';
import { Ring } from './ring.ts';
import type { Runnable } from './scheduler.ts';
import { isDeferred, KernelSelf } from './self.ts';

export type CellStatus = 'created' | 'starting' | 'running' | 'ending' | 'waiting' | 'gone';

/** Told once, when the watched incarnation ends. */
export interface Watcher {
  readonly id: number | string;
  notify(down: Down): void;
}

/** Messages that one actor handles before the next one has its turn. */
const QUANTUM_MESSAGES = 256;

export class Cell implements Runnable, ChildHandle {
  nextReady: Runnable | undefined = undefined;
  readonly kernel: Kernel;
  readonly path: string;
  readonly ref: ActorRef<unknown>;
  readonly uid: number;
  readonly spec: ChildSpec<unknown, unknown>;
  readonly owner: ChildOwner;
  compiled: Compiled | undefined;
  status: CellStatus = 'created';
  incarnation = 0;
  state: unknown = undefined;
  self: KernelSelf | undefined = undefined;
  /** The message being handled: its ask, and its trace. */
  asking: AskEnvelope | undefined = undefined;
  trace: string | undefined = undefined;
  children: ChildSet | undefined = undefined;
  timers: Map<string, Timer> | undefined = undefined;
  abort: AbortController | undefined = undefined;
  lastError = '';
  /** Its uid where the main thread knows it, else that of the ancestor that main started in this thread. */
  recorderId = 0;
  #mailbox: Ring | undefined = undefined;
  #urgent: Ring | undefined = undefined;
  #watchers: Watcher[] | undefined = undefined;
  /** Asks taken and not yet answered: they fail when the incarnation ends. */
  #unanswered: Set<AskEnvelope> | undefined = undefined;
  #whenOver: (() => void)[] | undefined = undefined;
  #isReady = false;
  #isParked = false;
  #isHandling = false;
  #isStopRequested = false;
  #hasState = false;

  constructor(
    kernel: Kernel,
    at: { readonly path: string; readonly uid: number },
    spec: ChildSpec<unknown, unknown>,
    owner: ChildOwner,
  ) {
    this.kernel = kernel;
    this.path = at.path;
    this.uid = at.uid;
    this.ref = createRef(at.path, at.uid);
    this.spec = spec;
    this.owner = owner;
    this.compiled = kernel.compiledOf(spec);
  }

  get mailboxSize(): number {
    return this.#mailbox?.size ?? 0;
  }

  get isParked(): boolean {
    return this.#isParked;
  }

  // --- messages ---

  /** False when the mailbox refuses. */
  enqueue(kind: KindEntry, payload: unknown, meta: unknown): boolean {
    if (this.status === 'gone') return false;
    this.#mailbox ??= new Ring();
    const { limitMessages, overflow } = this.compiled?.definition.mailbox ?? NO_LIMIT;
    if (this.#mailbox.size >= limitMessages) {
      this.kernel.counters.refused += 1;
      if (overflow === 'reject') return false;
      if (overflow === 'drop-newest') return true;
      if (this.#mailbox.shift()) this.#dropTaken('mailbox_full');
    }
    this.#mailbox.push(kind, payload, meta);
    this.#makeReady();
    return true;
  }

  /** Timers, outcomes, downs: handled before the mailbox, refused by no limit. */
  enqueueUrgent(kind: KindEntry, payload: unknown, trace: string | undefined): void {
    if (this.status === 'gone') return;
    this.#urgent ??= new Ring();
    this.#urgent.push(kind, payload, trace);
    this.#makeReady();
  }

  runSlice(): void {
    this.#isReady = false;
    const { recorder, scheduler } = this.kernel;
    recorder.enter(this.recorderId, this.incarnation);
    let left = QUANTUM_MESSAGES;
    while (this.#isRunnable()) {
      if (left === 0 || !this.#handleNext()) break;
      left -= 1;
      if (scheduler.spend()) break;
    }
    recorder.leave();
    if (this.#isRunnable() && this.#hasMail()) this.#makeReady();
  }

  #isRunnable(): boolean {
    return this.status === 'running' && !this.#isParked;
  }

  #hasMail(): boolean {
    return this.mailboxSize > 0 || (this.#urgent?.size ?? 0) > 0;
  }

  #makeReady(): void {
    if (this.#isReady || !this.#isRunnable()) return;
    this.#isReady = true;
    this.kernel.scheduler.ready(this);
  }

  #handleNext(): boolean {
    const ring = this.#urgent !== undefined && this.#urgent.size > 0 ? this.#urgent : this.#mailbox;
    if (ring === undefined || !ring.shift() || ring.kind === undefined) return false;
    const { kind, payload, meta } = ring;
    ring.payload = undefined;
    ring.meta = undefined;
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
    const kind = late.index === LATE ? compiled?.kinds[late.name] : late;
    if (kind === undefined) {
      asking?.fail('unknown_kind', `${this.path} handles no such message`);
      this.asking = undefined;
      this.kernel.deadLetter(this.path, late.name, 'unknown_kind');
      return;
    }
    this.kernel.counters.handled += 1;
    this.#isHandling = true;
    if (compiled?.hasSubject === true)
      this.kernel.recorder.subject(subjectOf(compiled, kind.name, payload));
    this.kernel.recorder.message(kind.index);
    let result: unknown;
    try {
      result = kind.handler(this.state, payload, self as KernelSelf);
    } catch (error) {
      this.#isHandling = false;
      this.crash(error, kind.name);
      return;
    }
    this.#isHandling = false;
    if (isThenable(result)) {
      if (!isDeferred(result)) {
        this.#park(result, kind.name);
        return;
      }
      if (asking !== undefined) this.#answerLater(result, asking);
    } else if (asking !== undefined) {
      asking.reply(result);
    }
    this.asking = undefined;
    this.trace = undefined;
    if (this.#isStopRequested) this.#end(STOPPED, true);
  }

  #answerLater(promise: PromiseLike<unknown>, ask: AskEnvelope): void {
    this.#unanswered ??= new Set();
    this.#unanswered.add(ask);
    const unanswered = this.#unanswered;
    promise.then(
      (value) => {
        if (unanswered.delete(ask)) ask.reply(value);
      },
      (error: unknown) => {
        if (unanswered.delete(ask)) ask.fail('refused', `${codeOf(error)}: ${messageOf(error)}`);
      },
    );
  }

  #park(promise: PromiseLike<unknown>, kind: string): void {
    const { asking, incarnation } = this;
    this.#isParked = true;
    if (asking !== undefined) {
      this.#unanswered ??= new Set();
      this.#unanswered.add(asking);
    }
    const isOver = () => this.incarnation !== incarnation || !this.#isParked;
    promise.then(
      (value) => {
        if (asking !== undefined && this.#unanswered?.delete(asking) === true) asking.reply(value);
        if (isOver()) return;
        this.#isParked = false;
        this.asking = undefined;
        this.trace = undefined;
        if (this.#isStopRequested) this.#end(STOPPED, true);
        else if (this.#hasMail()) this.#makeReady();
      },
      (error: unknown) => {
        if (isOver()) return;
        this.#isParked = false;
        this.crash(error, kind);
      },
    );
  }

  // --- life ---

  /** One more incarnation; the owner hears `started` or `ended`. The mailbox is kept. */
  start(incarnation: number): void {
    this.incarnation = incarnation;
    this.status = 'starting';
    this.#isStopRequested = false;
    this.#isParked = false;
    this.#hasState = false;
    if (this.compiled !== undefined) {
      this.#startCompiled(incarnation);
      return;
    }
    this.kernel.resolveDefinition(this.spec).then(
      (compiled) => {
        this.compiled = compiled;
        if (this.#isStarting(incarnation)) this.#startCompiled(incarnation);
      },
      (error: unknown) => this.#startFailed(incarnation, error),
    );
  }

  crash(error: unknown, during: string): void {
    const code = codeOf(error) === 'uncoded' ? 'crashed' : codeOf(error);
    this.lastError = `${during}: ${code}: ${messageOf(error)}`;
    this.asking?.fail('actor_crashed', code);
    const subject = this.kernel.recorder.currentSubject();
    this.#end(
      {
        kind: 'crashed',
        code,
        message: `${during}: ${messageOf(error)}`,
        stack: stackOf(error),
        ...(subject === '' ? {} : { subject }),
      },
      false,
    );
  }

  /** Ends in order after the message being handled, or now where none is. */
  requestStop(): void {
    if (this.status === 'running' && !this.#isHandling && !this.#isParked) this.#end(STOPPED, true);
    else this.#isStopRequested = true;
  }

  async stop(timeoutMs: number): Promise<void> {
    if (this.status === 'waiting' || this.status === 'gone' || this.status === 'created') return;
    const over = new Promise<void>((resolve) => {
      this.#whenOver ??= [];
      this.#whenOver.push(resolve);
    });
    if (timeoutMs === 0) this.kill('killed');
    else if (this.status === 'running' && !this.#isParked) {
      this.#end(STOPPED, true);
    } else this.#isStopRequested = true;
    const timer = this.kernel.host.setTimer(timeoutMs, () => this.kill('shutdown_timeout'));
    await over;
    timer.cancel();
  }

  kill(code: string): void {
    if (this.status === 'waiting' || this.status === 'gone' || this.status === 'created') return;
    this.status = 'ending';
    void this.children?.stopAll();
    this.#over({ kind: 'killed', code });
  }

  dispose(): void {
    if (this.status !== 'waiting' && this.status !== 'created') this.kill('disposed');
    this.status = 'gone';
    this.kernel.remove(this);
    while (this.#mailbox?.shift() === true) this.#dropTaken('actor_dead');
    this.#mailbox = undefined;
    this.#urgent = undefined;
    this.#tellWatchers({ kind: 'unreachable', code: 'no_such_actor' });
  }

  watch(watcher: Watcher): void {
    this.#watchers ??= [];
    this.#watchers.push(watcher);
  }

  unwatch(id: number | string): void {
    this.#watchers = this.#watchers?.filter((watcher) => watcher.id !== id);
  }

  /** This actor's children, made at the first use: most actors have none. */
  ensureChildren(): ChildSet {
    this.children ??= new ChildSet(
      this.compiled?.definition.supervise?.(this.spec.start.args) ?? DEFAULT_SUPERVISION,
      this.kernel.childPorts(this),
    );
    return this.children;
  }

  /** A child set gave up: this actor ends with the cause. */
  escalate(cause: ExitCause): void {
    this.lastError = `${cause.code}: ${cause.message ?? ''}`;
    this.#end(cause, false);
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
      if (isThenable(state)) {
        state.then(
          (value) => this.#stateReady(incarnation, value),
          (error: unknown) => this.#startFailed(incarnation, error),
        );
      } else this.#stateReady(incarnation, state);
    } catch (error) {
      this.#startFailed(incarnation, error);
    }
  }

  #stateReady(incarnation: number, state: unknown): void {
    if (!this.#isStarting(incarnation)) return;
    this.state = state;
    this.#hasState = true;
    const { definition } = this.compiled as Compiled;
    const supervision = definition.supervise?.(this.spec.start.args);
    const specs = supervision?.children ?? [];
    if (specs.length === 0) {
      this.#running(incarnation);
      return;
    }
    this.ensureChildren()
      .startAll(specs as readonly ChildSpec<unknown, unknown>[])
      .then(
        () => this.#running(incarnation),
        (error: unknown) => this.#startFailed(incarnation, error),
      );
  }

  #running(incarnation: number): void {
    if (!this.#isStarting(incarnation)) return;
    this.status = 'running';
    this.owner.started(this, incarnation);
    if (this.#isStopRequested) this.#end(STOPPED, true);
    else if (this.#hasMail()) this.#makeReady();
  }

  #startFailed(incarnation: number, error: unknown): void {
    if (!this.#isStarting(incarnation)) return;
    const code = codeOf(error) === 'uncoded' ? 'start_failed' : codeOf(error);
    this.lastError = `start: ${code}: ${messageOf(error)}`;
    this.#end({ kind: 'crashed', code, message: messageOf(error), stack: stackOf(error) }, false);
  }

  /** An orderly end runs `stop` with a live Self; after a crash the Self is revoked before anything else. */
  #end(cause: ExitCause, isOrderly: boolean): void {
    if (this.status !== 'running' && this.status !== 'starting') return;
    const incarnation = this.incarnation;
    this.status = 'ending';
    this.#isParked = false;
    this.#cancelTimers();
    if (!isOrderly) this.#revoke();
    const { self } = this;
    const definition = this.compiled?.definition;
    const hasStop = definition?.stop !== undefined && this.#hasState;
    if (this.children === undefined && !hasStop) {
      this.#over(cause);
      return;
    }
    const finish = async () => {
      await this.children?.stopAll();
      if (hasStop) await definition.stop?.(this.state, self ?? new KernelSelf(this));
    };
    finish().then(
      () => this.#overOf(incarnation, cause),
      (error: unknown) => {
        this.lastError = `stop: ${codeOf(error)}: ${messageOf(error)}`;
        this.kernel.counters.failed_stops += 1;
        this.#overOf(incarnation, cause);
      },
    );
  }

  #overOf(incarnation: number, cause: ExitCause): void {
    if (this.status === 'ending' && this.incarnation === incarnation) this.#over(cause);
  }

  #over(cause: ExitCause): void {
    this.#cancelTimers();
    this.#revoke();
    this.status = 'waiting';
    this.#isParked = false;
    if (cause.kind !== 'stopped') this.kernel.counters.crashes += 1;
    this.state = undefined;
    this.children = undefined;
    this.asking = undefined;
    this.trace = undefined;
    while (this.#urgent?.shift() === true) this.kernel.counters.stale_outcomes += 1;
    const unanswered = this.#unanswered;
    this.#unanswered = undefined;
    for (const ask of unanswered ?? []) ask.fail('actor_crashed', cause.code);
    this.#tellWatchers(cause);
    const whenOver = this.#whenOver;
    this.#whenOver = undefined;
    this.owner.ended(this, this.incarnation, cause);
    for (const tell of whenOver ?? []) tell();
  }

  #revoke(): void {
    this.self = undefined;
    this.abort?.abort();
    this.abort = undefined;
  }

  #cancelTimers(): void {
    for (const timer of this.timers?.values() ?? []) timer.cancel();
    this.timers = undefined;
  }

  #tellWatchers(cause: ExitCause): void {
    const watchers = this.#watchers;
    this.#watchers = undefined;
    for (const watcher of watchers ?? []) {
      watcher.notify({ ref: this.ref, incarnation: this.incarnation, cause });
    }
  }

  #dropTaken(reason: string): void {
    const ring = this.#mailbox;
    if (ring?.kind === undefined) return;
    const { kind, meta } = ring;
    if (isAsk(meta)) meta.fail(reason === 'mailbox_full' ? 'mailbox_full' : 'actor_dead', reason);
    this.kernel.deadLetter(this.path, kind.name, reason);
  }
}

const STOPPED: ExitCause = { kind: 'stopped', code: 'shutdown' };
/** The index of an entry that was made before the definition was known. */
export const LATE = -1;
const NO_LIMIT = { limitMessages: 1_024, overflow: 'reject' } as const;
const DEFAULT_SUPERVISION = { strategy: 'one_for_one', intensity: 5, periodMs: 30_000 } as const;

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

function subjectOf(compiled: Compiled, kind: string, payload: unknown): string {
  try {
    return compiled.definition.subject?.(kind, payload) ?? '';
  } catch {
    return '';
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? '') : '';
}
