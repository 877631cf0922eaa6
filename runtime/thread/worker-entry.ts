/** The one entry of every worker thread: a kernel, a link to main, and the calls that main makes. */

import { isMainThread, type MessagePort, workerData } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { RuntimeError } from '../errors.ts';
import { createNodeHost, externalBytes } from '../host/node-host.ts';
import { giveWayToMain } from '../host/priority.ts';
import type { Cell } from '../kernel/cell.ts';
import { Kernel } from '../kernel/kernel.ts';
import type { ControlMessage } from '../link/control-message.ts';
import { RouteTable } from '../link/route-table.ts';
import type { ChildOwner } from '../supervision/child-handle.ts';
import type { ThreadWorld } from '../system.ts';
import { FlightRecorder } from './flight-recorder.ts';
import { Heartbeat } from './heartbeat.ts';
import { setUpThread } from './resolve.ts';
import type { CodeName } from './spare.ts';
import {
  firstUidOf,
  type Place,
  type StartRequest,
  type ThreadControl,
  type ThreadReport,
  type WorkerBirth,
} from './thread-control.ts';

const MAIN_SLOT = 0;

if (isMainThread || (workerData as Partial<WorkerBirth> | null)?.calls === undefined) {
  throw new RuntimeError(
    'bad_option',
    'this module is for worker threads that the runtime makes; it was loaded in another thread',
  );
}

class WorkerThread implements ThreadControl {
  readonly #birth: WorkerBirth;
  readonly #recorder: FlightRecorder;
  readonly #kernel: Kernel;
  readonly #routes: RouteTable;
  readonly #cells = new Map<number, Cell>();
  #world: ThreadWorld = { deps: undefined };
  readonly #heartbeat: Heartbeat;

  constructor(birth: WorkerBirth) {
    this.#birth = birth;
    this.#recorder = new FlightRecorder(birth.page);
    this.#kernel = new Kernel({
      thread: birth.name,
      host: createNodeHost(),
      recorder: this.#recorder,
      inspection: {
        hears: () => Atomics.load(birth.heard, 0) === 1,
        emit: (event) => this.#tellMain({ type: 'event', event }),
      },
      firstUid: firstUidOf(birth.number),
    });
    this.#routes = new RouteTable({
      kernel: this.#kernel,
      locate: (path) => this.#tellMain({ type: 'locate', path }),
      onControl: (message) => this.#control(message),
    });
    this.#kernel.remotes = this.#routes;
    this.#routes.connect(MAIN_SLOT, { data: birth.data, control: birth.control });
    this.#heartbeat = new Heartbeat(this.#kernel.host, () => this.#recorder.beat(externalBytes()));
  }

  async setUp(): Promise<void> {
    const { setup, name } = this.#birth;
    this.#world = await setUpThread(setup, {
      name,
      isMain: false,
      clock: this.#kernel.host,
      inspect: () =>
        Promise.reject(
          new RuntimeError('thread_unavailable', 'only the main thread sees the whole system'),
        ),
    });
    this.#kernel.deps = this.#world.deps;
    this.#kernel.tracing = this.#world.tracing;
    const { resolve } = this.#world;
    if (resolve !== undefined) this.#kernel.resolve = resolve;
  }

  async preload(names: readonly CodeName[]): Promise<void> {
    await Promise.all(names.map((name) => this.#kernel.resolveDefinition(name)));
  }

  adopt({ name, isUrgent }: Place): void {
    this.#kernel.thread = name;
    if (!isUrgent) giveWayToMain();
  }

  async start({ uid, path, spec, incarnation }: StartRequest): Promise<void> {
    let cell = this.#cells.get(uid);
    if (cell === undefined) {
      cell = this.#kernel.createRoot(path, spec, this.#ownerOf(uid), uid);
      this.#cells.set(uid, cell);
    }
    // Main may have given the one before up while this thread was too busy to hear of it.
    cell.kill('killed');
    cell.start(incarnation);
  }

  async stop(uid: number, timeoutMs: number): Promise<void> {
    await this.#cells.get(uid)?.stop(timeoutMs);
  }

  kill(uid: number, code: string): void {
    this.#cells.get(uid)?.kill(code);
  }

  dispose(uid: number): void {
    this.#cells.get(uid)?.dispose();
    this.#cells.delete(uid);
  }

  connect(slot: number, data: MessagePort, control: MessagePort): void {
    const link = this.#routes.connect(slot, { data, control });
    link.onClose(() => {
      if (this.#routes.linkTo(slot) === link)
        this.#routes.lost(slot, { kind: 'thread-lost', code: 'link_closed' });
    });
  }

  inspect(): ThreadReport {
    const { counters, asks } = this.#kernel;
    return {
      actors: this.#kernel.snapshot(),
      counters: { ...counters, asks_timed_out: asks.timedOut, asks_open: asks.size },
      loopDelayMs: this.#heartbeat.delays(),
    };
  }

  async close(): Promise<void> {
    this.#kernel.asks.stop();
    await this.#world.close?.();
    this.#heartbeat.stop();
    // The answer to this very call has to leave before its port closes.
    this.#kernel.host.nextTurn(() => {
      this.#routes.close();
      this.#birth.calls.close();
    });
  }

  /** The child set that it belongs to is on main. */
  #ownerOf(uid: number): ChildOwner {
    return {
      started: (incarnation) => this.#tellMain({ type: 'started', uid, incarnation }),
      ended: (incarnation, cause) => this.#tellMain({ type: 'ended', uid, incarnation, cause }),
    };
  }

  #control(message: ControlMessage): void {
    if (message.type === 'unreadable') {
      throw new RuntimeError('bad_frame', 'another thread cannot read what this one wrote');
    }
    if (message.type !== 'located') return;
    if (message.slot === -1) this.#routes.closed(message.path);
    else this.#routes.opened(message.path, message.slot);
  }

  #tellMain(message: ControlMessage): void {
    this.#routes.linkTo(MAIN_SLOT)?.control(message);
  }
}

const birth = workerData as WorkerBirth;
expose(new WorkerThread(birth), nodeEndpoint(birth.calls));
