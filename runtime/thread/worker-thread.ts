/** A thread's inside, whatever it runs on: a kernel, a link to main, and the calls that main makes. */
import { RuntimeError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Cell } from '../kernel/cell.ts';
import { Kernel } from '../kernel/kernel.ts';
import type { ControlMessage } from '../link/control-message.ts';
import type { LinkPorts, Port } from '../link/port.ts';
import { LOST, NOWHERE, RouteTable } from '../link/route-table.ts';
import { everything, type Inspection } from '../observe/inspection.ts';
import type { ChildOwner } from '../supervision/child.ts';
import type { SystemEvent, ThreadContext, ThreadWorld } from '../system.ts';
import { FlightRecorder } from './flight-recorder.ts';
import { Heartbeat } from './heartbeat.ts';
import type { CodeName } from './spare.ts';
import {
  firstUidOf,
  type Place,
  type StartRequest,
  type ThreadControl,
  type ThreadReport,
} from './thread-control.ts';

const MAIN_SLOT = 0;

/** What a thread stands on. */
export interface WorkerPlace {
  readonly name: string;
  readonly number: number;
  /** Of its flight recorder. */
  readonly page: SharedArrayBuffer;
  /** Shared: 1 while anybody hears the system's events. */
  readonly heard: Int32Array;
  /** Its ends of the link to main. */
  readonly ports: LinkPorts;
  readonly host: Host;
  setUp(context: ThreadContext): Promise<ThreadWorld>;
  /** Memory of its buffers. */
  externalBytes(): number;
  /** It lets main go first. */
  giveWay(): void;
  /** Main calls no more: what kept the thread alive is gone. */
  hangUp(): void;
  /** Hears every event, also those that are too many to tell main. */
  observe?(event: SystemEvent): void;
}

export class WorkerThread implements ThreadControl {
  readonly kernel: Kernel;
  readonly #place: WorkerPlace;
  readonly #recorder: FlightRecorder;
  readonly #routes: RouteTable;
  readonly #cells = new Map<number, Cell>();
  #world: ThreadWorld = { deps: undefined };
  readonly #heartbeat: Heartbeat;

  constructor(place: WorkerPlace) {
    this.#place = place;
    this.#recorder = new FlightRecorder(place.page);
    this.kernel = new Kernel({
      thread: place.name,
      host: place.host,
      recorder: this.#recorder,
      inspection: this.#inspection(),
      firstUid: firstUidOf(place.number),
    });
    this.#routes = new RouteTable({
      kernel: this.kernel,
      locate: (path) => this.#tellMain({ type: 'locate', path }),
      onControl: (message) => this.#control(message),
    });
    this.kernel.remotes = this.#routes;
    this.#routes.connect(MAIN_SLOT, place.ports);
    this.#heartbeat = new Heartbeat(this.kernel.host, () =>
      this.#recorder.beat(place.externalBytes()),
    );
  }

  async setUp(): Promise<void> {
    this.#world = await this.#place.setUp({
      name: this.#place.name,
      isMain: false,
      clock: this.kernel.host,
      inspect: () =>
        Promise.reject(
          new RuntimeError('thread_unavailable', 'only the main thread sees the whole system'),
        ),
    });
    this.kernel.deps = this.#world.deps;
    this.kernel.tracing = this.#world.tracing;
    const { resolve } = this.#world;
    if (resolve !== undefined) this.kernel.code.resolve = resolve;
  }

  async preload(names: readonly CodeName[]): Promise<void> {
    await Promise.all(names.map((name) => this.kernel.code.load(name)));
  }

  adopt({ name, isUrgent }: Place): void {
    this.kernel.thread = name;
    if (!isUrgent) this.#place.giveWay();
  }

  async start({ uid, path, spec, incarnation }: StartRequest): Promise<void> {
    let cell = this.#cells.get(uid);
    if (cell === undefined) {
      cell = this.kernel.createRoot(path, spec, this.#ownerOf(uid), uid);
      this.#cells.set(uid, cell);
    }
    // Main may have given the one before up while this thread was too busy to hear of it.
    cell.kill('killed');
    cell.start(incarnation);
    // What its neighbours sent it before it was here comes before what they send it now.
    this.#routes.here(path);
  }

  async stop(uid: number, timeoutMs: number): Promise<void> {
    await this.#cells.get(uid)?.stop(timeoutMs);
  }

  kill(uid: number, code: string): boolean {
    const cell = this.#cells.get(uid);
    cell?.kill(code);
    return cell !== undefined;
  }

  dispose(uids: readonly number[]): void {
    for (const uid of uids) {
      const cell = this.#cells.get(uid);
      this.#cells.delete(uid);
      cell?.dispose();
    }
  }

  connect(slot: number, data: Port, control: Port): void {
    const link = this.#routes.connect(slot, { data, control });
    link.onClose(() => {
      if (this.#routes.linkTo(slot) === link)
        this.#routes.lost(slot, { kind: 'thread-lost', code: 'link_closed' });
    });
  }

  inspect(): ThreadReport {
    const { counters, asks } = this.kernel;
    return {
      actors: this.kernel.snapshot(),
      counters: { ...counters, asks_timed_out: asks.timedOut, asks_open: asks.size },
      loopDelayMs: this.#heartbeat.delays(),
    };
  }

  async close(): Promise<void> {
    this.kernel.asks.stop();
    await this.#world.close?.();
    this.#heartbeat.stop();
    // The answer to this very call has to leave before its port closes.
    this.kernel.host.nextTurn(() => {
      this.#routes.close();
      this.#place.hangUp();
    });
  }

  /** The child set that it belongs to is on main. */
  #ownerOf(uid: number): ChildOwner {
    return {
      started: ({ incarnation }) => this.#tellMain({ type: 'started', uid, incarnation }),
      ended: ({ incarnation }, cause) => {
        if (this.#cells.has(uid)) this.#tellMain({ type: 'ended', uid, incarnation, cause });
      },
    };
  }

  #control(message: ControlMessage): void {
    if (message.type === 'unreadable') {
      throw new RuntimeError('bad_frame', 'another thread cannot read what this one wrote');
    }
    if (message.type !== 'located') return;
    if (message.slot === NOWHERE) this.#routes.closed(message.path);
    else if (message.slot === LOST) this.#routes.closed(message.path, 'thread_lost');
    else this.#routes.opened(message.path, message.slot);
  }

  #inspection(): Inspection {
    const { heard, observe } = this.#place;
    const isHeard = () => Atomics.load(heard, 0) === 1;
    const tell = (event: SystemEvent) => this.#tellMain({ type: 'event', event });
    if (observe === undefined) return { hears: isHeard, emit: tell };
    return everything((event) => {
      observe(event);
      if (isHeard()) tell(event);
    });
  }

  #tellMain(message: ControlMessage): void {
    this.#routes.linkTo(MAIN_SLOT)?.control(message);
  }
}
