/** A tiny actor system with a seeded scheduler, virtual time and scripted crashes: whoever has mail may be next. Not the kernel. */
import type {
  ActorRef,
  ChildEnded,
  Deferred,
  ExitCause,
  Self,
  Settled,
} from '../../../runtime/actor.ts';
import type { ChildSpec } from '../../../runtime/child-spec.ts';
import { createDeferred } from '../../../runtime/deferred.ts';
import { AskError, codeOf, StaleIncarnation } from '../../../runtime/errors.ts';
import type { AnyDefinition } from '../../../runtime/system.ts';

interface Mail {
  readonly kind: string;
  readonly payload: unknown;
  readonly reply?: Deferred<unknown>;
}

interface Timer {
  readonly atMs: number;
  readonly order: number;
  fire(): void;
}

export interface WorldOptions {
  random(): number;
  readonly deps: unknown;
  readonly definitions: Readonly<Record<string, AnyDefinition>>;
  readonly wallMs: number;
}

class Cell {
  readonly path: string;
  readonly spec: ChildSpec<never, unknown>;
  readonly parent: Cell | undefined;
  readonly children = new Map<string, Cell>();
  readonly mail: Mail[] = [];
  readonly urgent: Mail[] = [];
  readonly timers = new Map<string, Timer>();
  status: 'starting' | 'running' | 'parked' | 'waiting' | 'gone' = 'starting';
  incarnation = 0;
  state: unknown = undefined;
  self: Self<never> | undefined = undefined;
  readonly unanswered = new Set<Deferred<unknown>>();
  lastSubject = '';

  constructor(path: string, spec: ChildSpec<never, unknown>, parent: Cell | undefined) {
    this.path = path;
    this.spec = spec;
    this.parent = parent;
  }
}

/** Share of steps in which time passes although somebody has mail. */
const EARLY_TIMER = 0.15;
const EARLY_MS = 50;
const STEPS_TO_SETTLE = 200_000;

export class SeededWorld {
  readonly #options: WorldOptions;
  readonly #cells = new Map<string, Cell>();
  readonly #timers = new Set<Timer>();
  readonly crashes: string[] = [];
  nowMs = 1_000;
  #order = 0;
  #isOver = false;

  constructor(options: WorldOptions) {
    this.#options = options;
  }

  spawn(spec: ChildSpec<never, unknown>): ActorRef<never> {
    return this.#add(`test/${spec.id}`, spec, undefined);
  }

  /** Asks from outside and runs the world until the reply is there. */
  async call(path: string, kind: string, payload: unknown): Promise<unknown> {
    const asked = { settled: undefined as Settled<unknown> | undefined };
    this.#ask({ address: path }, kind, payload, 60_000).then(
      (value) => {
        asked.settled = { ok: true, value };
      },
      (error: unknown) => {
        asked.settled = { ok: false, error };
      },
    );
    await this.until(() => asked.settled !== undefined, `${path} answered ${kind}`);
    if (asked.settled?.ok === true) return asked.settled.value;
    throw asked.settled?.error;
  }

  paths(): readonly string[] {
    return [...this.#cells.values()].filter((c) => c.status === 'running').map((c) => c.path);
  }

  /** Ends an incarnation; its restart, if any, follows as a supervisor would have it. */
  crash(path: string, cause: ExitCause = { kind: 'crashed', code: 'scripted' }): void {
    const cell = this.#cells.get(path);
    if (cell === undefined || cell.status === 'gone' || cell.status === 'waiting') return;
    this.crashes.push(path);
    this.#end(cell, cause);
  }

  /** Nothing of it runs any more, as after a kill. */
  kill(): void {
    this.#isOver = true;
    for (const cell of this.#cells.values()) cell.self = undefined;
    this.#timers.clear();
  }

  /** One message of one actor, picked by the seed; or, where none has mail, the next timer. False at rest. */
  async step(): Promise<boolean> {
    await settled();
    const ready = [...this.#cells.values()].filter(
      (cell) => cell.status === 'running' && cell.urgent.length + cell.mail.length > 0,
    );
    const cell = ready[Math.floor(this.#options.random() * ready.length)];
    const isTimersTurn = cell === undefined || this.#options.random() < EARLY_TIMER;
    const withinMs = cell === undefined ? Number.POSITIVE_INFINITY : this.nowMs + EARLY_MS;
    if (isTimersTurn && this.#fireNext(withinMs)) return true;
    if (cell === undefined) return false;
    this.#handle(cell);
    await settled();
    return true;
  }

  async until(isDone: () => boolean, what: string): Promise<void> {
    for (let steps = 0; !isDone(); steps += 1) {
      if (steps > STEPS_TO_SETTLE) throw new Error(`not after ${steps} steps: ${what}`);
      if (!(await this.step())) throw new Error(`the world is at rest, but not: ${what}`);
    }
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    while (this.#nextTimer(untilMs) !== undefined || this.#hasMail()) await this.step();
    this.nowMs = untilMs;
  }

  #hasMail(): boolean {
    return [...this.#cells.values()].some(
      (cell) => cell.status === 'running' && cell.urgent.length + cell.mail.length > 0,
    );
  }

  #nextTimer(untilMs: number): Timer | undefined {
    const due = [...this.#timers].filter((timer) => timer.atMs <= untilMs);
    return due.sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
  }

  #fireNext(untilMs: number): boolean {
    const timer = this.#nextTimer(untilMs);
    if (timer === undefined) return false;
    this.#timers.delete(timer);
    this.nowMs = Math.max(this.nowMs, timer.atMs);
    timer.fire();
    return true;
  }

  #setTimer(delayMs: number, fire: () => void): Timer {
    this.#order += 1;
    const timer = { atMs: this.nowMs + delayMs, order: this.#order, fire };
    this.#timers.add(timer);
    return timer;
  }

  #add(path: string, spec: ChildSpec<never, unknown>, parent: Cell | undefined): ActorRef<never> {
    if (this.#cells.has(path)) throw new Error(`duplicate_child ${path}`);
    const cell = new Cell(path, spec, parent);
    this.#cells.set(path, cell);
    parent?.children.set(spec.id, cell);
    this.#start(cell);
    return { address: path };
  }

  #definitionOf(cell: Cell): AnyDefinition {
    const definition = this.#options.definitions[cell.spec.start.export];
    if (definition === undefined) throw new Error(`no definition ${cell.spec.start.export}`);
    return definition;
  }

  #start(cell: Cell): void {
    cell.incarnation += 1;
    cell.status = 'starting';
    const self = this.#createSelf(cell);
    cell.self = self;
    const begin = async () =>
      this.#definitionOf(cell).start(self, cell.spec.start.args, this.#options.deps);
    begin().then(
      (state) => {
        if (cell.self !== self) return;
        cell.state = state;
        cell.status = 'running';
      },
      (error: unknown) => {
        if (cell.self === self) this.#end(cell, { kind: 'crashed', code: codeOf(error) });
      },
    );
  }

  #end(cell: Cell, cause: ExitCause): void {
    const { incarnation, parent } = cell;
    this.#halt(cell, 'waiting');
    if (this.#isOver) return;
    const isRestarted = cell.spec.restart === 'permanent';
    if (!isRestarted) this.#forget(cell);
    const restart = () => {
      if (isRestarted && cell.status === 'waiting') {
        this.#setTimer(100, () => {
          if (cell.status === 'waiting') this.#start(cell);
        });
      }
    };
    const supervisor = parent?.self;
    if (parent === undefined || supervisor === undefined || parent.status === 'starting') {
      restart();
      return;
    }
    const subject = cause.subject ?? cell.lastSubject;
    const ended: ChildEnded = {
      id: cell.spec.id,
      ref: { address: cell.path },
      incarnation,
      cause: { ...cause, ...(subject === '' ? {} : { subject }) },
    };
    const heard = this.#definitionOf(parent).childEnded?.(parent.state, ended, supervisor);
    Promise.resolve(heard).then(restart, restart);
  }

  #halt(cell: Cell, status: 'waiting' | 'gone'): void {
    for (const kid of [...cell.children.values()]) {
      this.#halt(kid, 'gone');
      this.#forget(kid);
    }
    for (const timer of cell.timers.values()) this.#timers.delete(timer);
    cell.timers.clear();
    cell.self = undefined;
    cell.state = undefined;
    cell.status = status;
    cell.urgent.length = 0;
    for (const reply of cell.unanswered) reply.reject(askError('actor_crashed', cell.path));
    cell.unanswered.clear();
  }

  #forget(cell: Cell): void {
    cell.status = 'gone';
    for (const { reply } of cell.mail) reply?.reject(askError('actor_dead', cell.path));
    cell.parent?.children.delete(cell.spec.id);
    if (this.#cells.get(cell.path) === cell) this.#cells.delete(cell.path);
  }

  #handle(cell: Cell): void {
    const mail = cell.urgent.shift() ?? cell.mail.shift();
    const { self } = cell;
    if (mail === undefined || self === undefined) return;
    const definition = this.#definitionOf(cell);
    cell.lastSubject = definition.subject?.(mail.kind as never, mail.payload) ?? '';
    const handler = definition.receive[mail.kind as never] as
      | ((state: unknown, payload: unknown, self: unknown) => unknown)
      | undefined;
    try {
      if (handler === undefined) throw new Error(`${cell.path} handles no ${mail.kind}`);
      const result = handler(cell.state, mail.payload, self);
      const { reply } = mail;
      if (reply === undefined) return;
      cell.unanswered.add(reply);
      Promise.resolve(result).then(
        (value) => {
          if (cell.unanswered.delete(reply)) reply.resolve(value);
        },
        () => {
          if (cell.unanswered.delete(reply)) reply.reject(askError('refused', cell.path));
        },
      );
    } catch (error) {
      mail.reply?.reject(askError('actor_crashed', cell.path));
      this.#end(cell, { kind: 'crashed', code: codeOf(error), message: String(error) });
    }
  }

  #ask(ref: ActorRef<never>, kind: string, payload: unknown, inMs: number): Promise<unknown> {
    const reply = createDeferred<unknown>();
    const late = this.#setTimer(inMs, () => reply.reject(askError('ask_timeout', ref.address)));
    const done = () => this.#timers.delete(late);
    reply.promise.then(done, done);
    if (!this.#send(ref, { kind, payload, reply })) {
      reply.reject(askError('actor_dead', ref.address));
    }
    return reply.promise;
  }

  #send(ref: ActorRef<never>, mail: Mail): boolean {
    const cell = this.#cells.get(ref.address);
    if (cell === undefined || cell.status === 'gone') return false;
    cell.mail.push(mail);
    return true;
  }

  #createSelf(cell: Cell): Self<never> {
    const isLive = () => cell.self === self && !this.#isOver;
    const live = () => {
      if (!isLive()) throw new StaleIncarnation(cell.path, incarnation);
    };
    const { incarnation } = cell;
    const abort = new AbortController();
    const urgent = (kind: string, payload: unknown) => {
      if (isLive()) cell.urgent.push({ kind, payload });
    };
    const cancel = (name: string) => {
      const timer = cell.timers.get(name);
      if (timer !== undefined) this.#timers.delete(timer);
      cell.timers.delete(name);
    };
    const self = {
      ref: { address: cell.path },
      incarnation,
      clock: { wallMs: () => this.#options.wallMs + this.nowMs, monotonicMs: () => this.nowMs },
      random: () => this.#options.random(),
      signal: abort.signal,
      trace: undefined,
      tell: (ref: ActorRef<never>, kind: string, payload: unknown) => {
        live();
        return this.#send(ref, { kind, payload });
      },
      ask: (ref: ActorRef<never>, kind: string, payload: unknown, { inMs }: { inMs: number }) => {
        live();
        return this.#ask(ref, kind, payload, inMs);
      },
      request: (
        ref: ActorRef<never>,
        kind: string,
        payload: unknown,
        deadline: { inMs: number },
        done: string,
        about: unknown,
      ) => {
        self.run(
          () => self.ask(ref, kind, payload, deadline),
          done,
          (outcome: Settled<unknown>) => ({ about, outcome }),
        );
      },
      defer: () => createDeferred(),
      after: (name: string, delayMs: number, kind: string, payload: unknown) => {
        live();
        cancel(name);
        const timer = this.#setTimer(delayMs, () => {
          cell.timers.delete(name);
          urgent(kind, payload);
        });
        cell.timers.set(name, timer);
      },
      cancel,
      run: (
        work: (signal: AbortSignal) => Promise<unknown>,
        done: string,
        toPayload: (outcome: Settled<unknown>) => unknown,
      ) => {
        live();
        const begin = async () => work(abort.signal);
        begin().then(
          (value) => urgent(done, toPayload({ ok: true, value })),
          (error: unknown) => urgent(done, toPayload({ ok: false, error })),
        );
      },
      watch: () => undefined,
      unwatch: () => undefined,
      spawn: (spec: ChildSpec<never, unknown>) => {
        live();
        return this.#add(`${cell.path}/${spec.id}`, spec, cell);
      },
      stopChild: async (id: string) => {
        const kid = cell.children.get(id);
        if (kid === undefined) return;
        this.#halt(kid, 'gone');
        this.#forget(kid);
      },
      children: () => [],
      stop: () => this.#end(cell, { kind: 'stopped', code: 'shutdown' }),
    } as unknown as Self<never>;
    return self;
  }
}

function askError(code: 'ask_timeout' | 'actor_dead' | 'actor_crashed' | 'refused', path: string) {
  return new AskError(code, path, 'scripted');
}

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
