/** The actors of one thread: finds them, sends to them, and hands to the links what belongs to other threads. */
import type { ActorRef, ChildEnded, Deadline, Mailbox } from '../actor.ts';
import { type ChildSpec, checkSupervision, type Supervision } from '../child-spec.ts';
import { AskError, codeOf, RuntimeError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { type Inspection, NOBODY, Ration } from '../observe/inspection.ts';
import type { Child, ChildOwner } from '../supervision/child.ts';
import { ChildSet } from '../supervision/child-set.ts';
import type { ChildSetPorts } from '../supervision/child-set-ports.ts';
import { DEFAULT_SUPERVISION } from '../supervision/restart-policy.ts';
import type { ActorSnapshot, ThreadWorld } from '../system.ts';
import type { FlightRecorder } from '../thread/flight-recorder.ts';
import { type AskEnd, type AskEnvelope, Asks, isAsk, type OpenAsk } from './asks.ts';
import type { Border } from './border.ts';
import { Cell } from './cell.ts';
import { type KindEntry, lateEntry } from './compiled.ts';
import type { Taken } from './inbox.ts';
import { type CachedRef, LOCAL_CELL, OUTBOUND, pathOf, rememberCell, uidOf } from './ref.ts';
import type { AskRequest, Remotes } from './remotes.ts';
import { awaitRoom, READY } from './room-line.ts';
import { Scheduler } from './scheduler.ts';
import { addSnapshots } from './snapshot.ts';
import { ThreadCode } from './thread-code.ts';
import { noSuchActor, type Watcher } from './watchers.ts';

export interface KernelOptions {
  readonly thread: string;
  readonly host: Host;
  readonly recorder: FlightRecorder;
  readonly inspection: Inspection;
  /** Where a child that is not for this thread is started; undefined where this thread can't. */
  readonly placeElsewhere?: (
    spec: ChildSpec<unknown, unknown>,
    path: string,
    owner: ChildOwner,
  ) => Child;
  /** The first uid that this thread gives. */
  readonly firstUid: number;
  /** Where no threads part the actors, and what they send is to be checked all the same. */
  readonly border?: Border;
}

export class Kernel {
  /** Where it runs; a worker gets its place after its birth. */
  thread: string;
  readonly host: Host;
  readonly recorder: FlightRecorder;
  readonly scheduler: Scheduler;
  readonly asks: Asks;
  readonly counters = {
    handled: 0,
    refused: 0,
    dead_letters: 0,
    invalid_messages: 0,
    crashes: 0,
    stale_outcomes: 0,
    expired_asks: 0,
    failed_stops: 0,
    frames_sent: 0,
    frames_received: 0,
    messages_sent: 0,
    messages_received: 0,
  };
  remotes: Remotes | undefined = undefined;
  /** What every actor of this thread gets; set once by the thread setup, before the first spawn. */
  deps: unknown = undefined;
  /** Set as `deps` is. */
  tracing: ThreadWorld['tracing'] = undefined;
  code = new ThreadCode(this);
  #options: KernelOptions;
  readonly #border: Border | undefined;
  /** By path, those that stand below no other cell of this thread; their descendants are found from them. */
  readonly #roots = new Map<string, Cell>();
  readonly #lateEntries = new Map<string, KindEntry>();
  readonly #deadLetters = new Ration();
  readonly #refusals = new Ration();
  #nextUid: number;

  constructor(options: KernelOptions) {
    this.#options = options;
    this.#border = options.border;
    this.thread = options.thread;
    this.host = options.host;
    this.recorder = options.recorder;
    this.scheduler = new Scheduler(options.host, () => this.remotes?.flush());
    this.asks = new Asks(options.host);
    this.#nextUid = options.firstUid;
  }

  /** `from`: undefined where the sender is no actor. */
  send(
    ref: ActorRef<unknown>,
    kind: string,
    payload: unknown,
    trace: string | undefined,
    from?: Cell,
  ): boolean {
    const remembered = (ref as CachedRef)[OUTBOUND];
    if (remembered !== undefined && remembered.kernel === this && !remembered.way.isStale) {
      return remembered.way.send(kind, payload, trace ?? 0);
    }
    const cell = this.find(ref);
    if (cell !== undefined) {
      if (this.#border === undefined) return this.sendTo(cell, kind, payload, trace);
      return this.#border.send(cell, kind, payload, trace, from);
    }
    if (this.remotes !== undefined && this.#isElsewhere(ref)) {
      return this.remotes.send(ref, kind, payload, trace);
    }
    this.deadLetter(ref.address, kind, 'no_such_actor');
    return false;
  }

  sendTo(
    cell: Cell,
    kind: string,
    payload: unknown,
    meta: AskEnvelope | string | undefined,
    isChecked = false,
  ): boolean {
    const entry = this.entryOf(cell, kind, isChecked);
    if (entry === undefined) {
      this.deadLetter(cell.path, kind, 'unknown_kind');
      return false;
    }
    return cell.enqueue(entry, payload, meta);
  }

  /** `end` hears of it once, at once where it cannot be sent. */
  ask(request: AskRequest, end: AskEnd): void {
    if (this.tracing === undefined) this.#ask(request, end);
    else this.tracing.ask(request, end, (traced, heard) => this.#ask(traced, heard));
  }

  /** `end` hears for how many messages to `ref` there is room, once there is; or why not. */
  ready(ref: ActorRef<unknown>, deadline: Deadline, end: AskEnd): void {
    // Nobody is asked, so nobody's chain or span goes along.
    const request = { ref, kind: READY, payload: null, deadline, chain: [], trace: undefined };
    this.#ask(request, {
      replied: (room) => {
        this.remotes?.hasRoom(ref.address, room as number);
        end.replied(room);
      },
      failed: (error) => end.failed(error),
    });
  }

  #ask(request: AskRequest, end: AskEnd): void {
    const { ref, kind, payload, deadline, chain, trace, from } = request;
    const remembered = (ref as CachedRef)[OUTBOUND];
    const way = remembered?.kernel === this && !remembered.way.isStale ? remembered.way : undefined;
    const cell = way === undefined ? this.find(ref) : undefined;
    const path = way?.path ?? cell?.path ?? pathOf(ref.address);
    if (chain.includes(path)) {
      const detail = [...chain, path].join(' → ');
      end.failed(new AskError('ask_cycle', ref.address, kind, { detail }));
      return;
    }
    const ask = this.asks.open(request, end);
    if (cell !== undefined) ask.wayBack = this.#border?.wayBack(cell, from);
    const { id } = ask;
    // One ask too many, or one whose signal is aborted already, is nobody's message.
    if (!this.asks.isOpen(ask)) return;
    if (way !== undefined) {
      ask.slot = way.slot;
      if (!way.send(kind, payload, [id, deadline.inMs, trace ?? 0, chain])) {
        ask.fail('mailbox_full', 'not sent');
      }
    } else if (cell !== undefined) this.askLocal(cell, request, ask);
    else if (this.remotes !== undefined && this.#isElsewhere(ref)) {
      this.remotes.ask(id, request);
    } else ask.fail('actor_dead', 'no such actor');
  }

  /** An open ask of an actor of this thread. */
  askLocal(
    cell: Cell,
    { kind, payload: given, from }: Pick<AskRequest, 'kind' | 'payload' | 'from'>,
    ask: OpenAsk,
  ): void {
    let payload = given;
    try {
      if (this.#border !== undefined) payload = this.#border.pass(given, from, cell);
    } catch (error) {
      ask.fail('not_encodable', codeOf(error));
      return;
    }
    if (this.entryOf(cell, kind) === undefined) {
      if (kind === READY) awaitRoom(cell, ask);
      else ask.fail('unknown_kind', `${cell.path} handles no such message`);
    } else if (!this.sendTo(cell, kind, payload, ask, this.#border?.parts(from, cell))) {
      ask.fail('mailbox_full', 'its mailbox refuses');
    }
  }

  /** The entry of a kind, but for the one that the runtime answers; where the definition is still being loaded, one that is looked up when it is handled. `isChecked`: by its schema. */
  entryOf(cell: Cell, kind: string, isChecked = false): KindEntry | undefined {
    const { compiled } = cell;
    if (compiled !== undefined) return (isChecked ? compiled.checked : compiled.kinds)[kind];
    if (kind === READY) return undefined;
    const key = `${isChecked}/${kind}`;
    const late = this.#lateEntries.get(key) ?? lateEntry(kind, isChecked);
    this.#lateEntries.set(key, late);
    return late;
  }

  watch(ref: ActorRef<unknown>, watcher: Watcher): void {
    const cell = this.find(ref);
    if (cell !== undefined) cell.ensureExtras().watchers.add(watcher);
    else if (this.remotes !== undefined && this.#isElsewhere(ref))
      this.remotes.watch(ref.address, watcher);
    else watcher.notify(noSuchActor(ref));
  }

  unwatch(ref: ActorRef<unknown>, id: number | string): void {
    const cell = this.find(ref);
    if (cell !== undefined) cell.extras?.watchers.remove(id);
    else this.remotes?.unwatch(ref.address, id);
  }

  deadLetter(path: string, kind: string, reason: string): void {
    this.counters.dead_letters += 1;
    const { inspection } = this.#options;
    if (this.#deadLetters.mayTell(inspection, 'dead_letter', this.host.monotonicMs()))
      inspection.emit({ type: 'dead_letter', address: path, kind, reason });
  }

  /** A full mailbox loses a message: this one, or the oldest. */
  refused(cell: Cell, kind: string, overflow: Mailbox['overflow']): void {
    this.counters.refused += 1;
    const { inspection } = this.#options;
    if (this.#refusals.mayTell(inspection, 'mailbox.refused', this.host.monotonicMs()))
      inspection.emit({ type: 'mailbox.refused', address: cell.path, kind, overflow });
  }

  /** A message that was taken and is not handled. */
  giveUp(cell: Cell, taken: Taken | undefined, reason: 'mailbox_full' | 'actor_dead'): void {
    if (taken === undefined) return;
    if (isAsk(taken.meta)) taken.meta.fail(reason, 'given up before it was handled');
    this.deadLetter(cell.path, taken.kind.name, reason);
  }

  find(ref: ActorRef<unknown>): Cell | undefined {
    const cached = (ref as CachedRef)[LOCAL_CELL];
    if (cached?.status === 'gone') rememberCell(ref, undefined);
    else if (cached?.kernel === this) return cached;
    const uid = uidOf(ref.address);
    const cell = this.at(pathOf(ref.address));
    if (cell === undefined || (uid !== 0 && cell.uid !== uid)) return undefined;
    rememberCell(ref, cell);
    return cell;
  }

  /** Of a ref that `find` has not found: nothing stands at its path here. By a name alone it would have been found. */
  #isElsewhere({ address }: ActorRef<unknown>): boolean {
    return uidOf(address) === 0 || this.at(pathOf(address)) === undefined;
  }

  at(path: string): Cell | undefined {
    const root = this.#roots.get(path);
    if (root !== undefined) return root;
    const cut = path.lastIndexOf('/');
    if (cut === -1) return undefined;
    const child = this.at(path.slice(0, cut))?.children?.at(path.slice(cut + 1));
    return child instanceof Cell ? child : undefined;
  }

  /** A cell at a path of its own, that its owner starts. `uid` is given where the main thread has chosen it. */
  createRoot(
    path: string,
    spec: ChildSpec<unknown, unknown>,
    owner: ChildOwner,
    uid = this.nextUid(),
  ): Cell {
    const cell = new Cell(this, { uid, path, parent: undefined }, spec, owner);
    this.#roots.set(path, cell);
    return cell;
  }

  nextUid(): number {
    const uid = this.#nextUid;
    this.#nextUid += 1;
    return uid;
  }

  removeRoot(cell: Cell): void {
    if (this.#roots.get(cell.path) === cell) this.#roots.delete(cell.path);
  }

  /** A cell's children, under the supervision that its definition asks for; `checked`, where that has been asked. */
  createChildren(parent: Cell, checked?: Supervision): ChildSet {
    const asked = checked ?? parent.compiled?.definition.supervise?.(parent.spec.start.args);
    if (asked !== undefined && checked === undefined) checkSupervision(asked);
    return new ChildSet(asked ?? DEFAULT_SUPERVISION, this.#childPorts(parent));
  }

  #childPorts(parent: Cell): ChildSetPorts {
    return {
      host: this.host,
      address: parent.path,
      place: (spec, owner) => this.#place(parent, spec, owner),
      escalate: (cause) => parent.fail(cause),
      shutDown: () => parent.requestStop(),
      childEnded: (ended: ChildEnded) => {
        const { self, compiled } = parent;
        if (self === undefined || parent.status !== 'running') return undefined;
        const failed = (error: unknown) => {
          if (parent.self === self) parent.crash(error, 'childEnded');
        };
        try {
          return compiled?.definition.childEnded?.(parent.state, ended, self)?.catch(failed);
        } catch (error) {
          failed(error);
          return undefined;
        }
      },
      removed: () => undefined,
      inspection: this.#options.inspection,
    };
  }

  #place(parent: Cell, spec: ChildSpec<unknown, unknown>, owner: ChildOwner): Child {
    const { thread } = this;
    const { placeElsewhere } = this.#options;
    const isHere =
      spec.placement === 'with-parent' || (spec.placement === 'main' && thread === 'main');
    if (!isHere && placeElsewhere !== undefined)
      return placeElsewhere(spec, `${parent.path}/${spec.id}`, owner);
    if (!isHere && thread !== 'main') {
      throw new RuntimeError(
        'placement_unsupported',
        `${parent.path}/${spec.id}: an actor on ${thread} starts its children with-parent only`,
      );
    }
    return new Cell(this, { uid: this.nextUid(), path: '', parent }, spec, owner);
  }

  /** Its system is over: a ref that remembers an actor of it keeps nothing of the system. */
  close(): void {
    const { thread, host, recorder } = this;
    this.#options = { thread, host, recorder, inspection: NOBODY, firstUid: 0 };
    this.remotes = undefined;
    this.tracing = undefined;
    this.deps = undefined;
    this.code = new ThreadCode(this);
  }

  snapshot(): readonly ActorSnapshot[] {
    const found: ActorSnapshot[] = [];
    const nowMs = this.host.monotonicMs();
    for (const [path, cell] of this.#roots) addSnapshots(found, cell, path, nowMs);
    return found;
  }
}
