/** `Self` as the kernel gives it: every call goes through the cell that it belongs to, as long as it does. */
import type {
  ActorRef,
  ActorState,
  Deadline,
  Deferred,
  ReminderTime,
  Self,
  Settled,
  WorkOptions,
} from '../actor.ts';
import type { ChildSpec } from '../child-spec.ts';
import type { Clock } from '../clock.ts';
import { type AskError, RuntimeError, StaleIncarnation } from '../errors.ts';
import { pack } from '../transfer.ts';
import { type AskEnd, PromiseEnd } from './asks.ts';
import type { Cell } from './cell.ts';
import type { KindEntry } from './compiled.ts';
import { DeferredAnswer } from './deferred-answer.ts';
import { cancelReminder, remind } from './kept-reminders.ts';
import { KeptState } from './kept-state.ts';
import type { AskRequest } from './remotes.ts';

export class KernelSelf implements Self<unknown> {
  readonly #cell: Cell;
  readonly #incarnation: number;

  constructor(cell: Cell) {
    this.#cell = cell;
    this.#incarnation = cell.incarnation;
  }

  get ref(): ActorRef<unknown> {
    return this.#cell.ref;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  get clock(): Clock {
    return this.#cell.kernel.host;
  }

  get random(): () => number {
    const { host } = this.#cell.kernel;
    return () => host.random();
  }

  get signal(): AbortSignal {
    const cell = this.#cell;
    if (cell.self !== this) return AbortSignal.abort();
    return cell.ensureExtras().work.signal();
  }

  /** One each time: whoever has none does not pay for it. */
  get state(): ActorState {
    return new KeptState(this.#cell, this);
  }

  get trace(): string | undefined {
    return this.#cell.trace;
  }

  set trace(trace: string | undefined) {
    KernelSelf.#live(this).trace = trace;
  }

  tell(ref: ActorRef<unknown>, kind: string, payload: unknown): boolean {
    const cell = KernelSelf.#live(this);
    return cell.kernel.send(ref, kind, pack(payload), cell.trace, cell);
  }

  ask(ref: ActorRef<unknown>, kind: string, payload: unknown, deadline: Deadline): Promise<never> {
    const cell = KernelSelf.#live(this);
    const end = new PromiseEnd();
    cell.kernel.ask(requestOf(cell, ref, kind, payload, deadline), end);
    return end.promise as Promise<never>;
  }

  ready(ref: ActorRef<unknown>, deadline: Deadline): Promise<number> {
    const end = new PromiseEnd();
    KernelSelf.#live(this).kernel.ready(ref, deadline, end);
    return end.promise as Promise<number>;
  }

  request(
    ref: ActorRef<unknown>,
    kind: string,
    payload: unknown,
    deadline: Deadline,
    done: string,
    about: unknown,
  ): void {
    const cell = KernelSelf.#live(this);
    const end = new MessageEnd(cell, this, entryOf(cell, done), about);
    cell.ensureExtras().requests += 1;
    cell.kernel.ask(requestOf(cell, ref, kind, payload, deadline), end);
  }

  defer<T>(): Deferred<T> {
    return new DeferredAnswer<T>();
  }

  after(name: string, delayMs: number, kind: string, payload: unknown): void {
    const cell = KernelSelf.#live(this);
    const entry = entryOf(cell, kind);
    cell.ensureExtras().timers.set(cell.kernel.host, name, delayMs, () => {
      cell.enqueueUrgent(entry, payload, undefined);
    });
  }

  cancel(name: string): void {
    KernelSelf.#live(this).extras?.timers.cancel(name);
  }

  async remind(name: string, when: ReminderTime, kind: string, payload: unknown): Promise<void> {
    await remind(KernelSelf.#live(this), this, name, when, kind, payload);
  }

  async cancelReminder(name: string): Promise<void> {
    await cancelReminder(KernelSelf.#live(this), this, name);
  }

  run<T>(
    work: (options: WorkOptions) => Promise<T>,
    done: string,
    toPayload: (outcome: Settled<T>) => unknown,
  ): () => void {
    const cell = KernelSelf.#live(this);
    const entry = entryOf(cell, done);
    const { trace } = cell;
    const { work: allWork } = cell.ensureExtras();
    const running = allWork.begin();
    const settle = (outcome: Settled<T>) => {
      allWork.end(running);
      if (cell.self !== this) {
        cell.kernel.counters.stale_outcomes += 1;
        return;
      }
      try {
        cell.enqueueUrgent(entry, toPayload(outcome), trace);
      } catch (error) {
        cell.crash(error, done);
      }
    };
    begin(work, running).then(
      (value) => settle({ ok: true, value }),
      (error: unknown) => settle({ ok: false, error }),
    );
    return () => running.abort();
  }

  watch(ref: ActorRef<unknown>): void {
    const cell = KernelSelf.#live(this);
    const entry = cell.compiled?.down;
    const extras = cell.ensureExtras();
    extras.watched ??= new Map();
    extras.watched.set(ref.address, ref);
    cell.kernel.watch(ref, {
      id: cell.uid,
      notify: (down) => {
        if (cell.self !== this) return;
        extras.watched?.delete(ref.address);
        if (entry !== undefined) cell.enqueueUrgent(entry, down, undefined);
      },
    });
  }

  unwatch(ref: ActorRef<unknown>): void {
    const cell = KernelSelf.#live(this);
    cell.extras?.watched?.delete(ref.address);
    cell.kernel.unwatch(ref, cell.uid);
  }

  spawn<Q, A>(spec: ChildSpec<Q, A>): ActorRef<Q> {
    const cell = KernelSelf.#live(this);
    // Its children are stopped already: nobody would stop another one.
    if (cell.status === 'ending')
      throw new RuntimeError('system_stopped', `${cell.path} is stopping and starts no child`);
    const children = cell.ensureChildren();
    return children.spawn(spec as ChildSpec<unknown, unknown>) as ActorRef<Q>;
  }

  stopChild(id: string): Promise<void> {
    return KernelSelf.#live(this).children?.stopChild(id) ?? DONE;
  }

  children(): readonly { readonly id: string; readonly ref: ActorRef<unknown> }[] {
    return this.#cell.children?.list() ?? [];
  }

  stop(): void {
    KernelSelf.#live(this).requestStop();
  }

  /** Static: a private method of its own costs each instance a slot. */
  static #live(self: KernelSelf): Cell {
    const cell = self.#cell;
    if (cell.self !== self) throw new StaleIncarnation(cell.ref.address, self.#incarnation);
    return cell;
  }
}

const DONE = Promise.resolve();

/** The outcome of a request is a message to the incarnation that made it. */
class MessageEnd implements AskEnd {
  readonly #cell: Cell;
  readonly #self: KernelSelf;
  readonly #entry: KindEntry;
  readonly #about: unknown;
  readonly #trace: string | undefined;

  constructor(cell: Cell, self: KernelSelf, entry: KindEntry, about: unknown) {
    this.#cell = cell;
    this.#self = self;
    this.#entry = entry;
    this.#about = about;
    this.#trace = cell.trace;
  }

  replied(value: unknown): void {
    this.#settle({ ok: true, value });
  }

  failed(error: AskError): void {
    this.#settle({ ok: false, error });
  }

  #settle(outcome: Settled<unknown>): void {
    const cell = this.#cell;
    if (cell.self !== this.#self) {
      cell.kernel.counters.stale_outcomes += 1;
      return;
    }
    cell.ensureExtras().requests -= 1;
    cell.enqueueUrgent(this.#entry, { about: this.#about, outcome }, this.#trace);
  }
}

function requestOf(
  from: Cell,
  ref: ActorRef<unknown>,
  kind: string,
  payload: unknown,
  deadline: Deadline,
): AskRequest {
  const { asking, path, trace } = from;
  const chain = asking === undefined ? [path] : [...asking.chain, path];
  return { ref, kind, payload: pack(payload), deadline, chain, trace, from };
}

/** Work that throws at once is met where work that rejects is. */
function begin<T>(work: (options: WorkOptions) => Promise<T>, options: WorkOptions): Promise<T> {
  try {
    return Promise.resolve(work(options));
  } catch (error) {
    return Promise.reject(error);
  }
}

function entryOf(cell: Cell, kind: string): KindEntry {
  const entry = cell.compiled?.kinds[kind];
  if (entry === undefined)
    throw new RuntimeError('unknown_kind', `${cell.path} handles no '${kind}'`);
  return entry;
}
