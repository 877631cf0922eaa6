/** The threads of a system: which child goes where, and what a lost thread means for each. Runs on main. */
import type { ExitCause } from '../actor.ts';
import type { ChildSpec, Placement } from '../child-spec.ts';
import { codeOf, messageOf, RuntimeError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { ControlMessage } from '../link/control-message.ts';
import type { Link } from '../link/link.ts';
import { LOST, NOWHERE, RouteTable } from '../link/route-table.ts';
import type { Observers } from '../observe/observers.ts';
import type { ChildOwner } from '../supervision/child.ts';
import type { SystemEvent, ThreadOptions } from '../system.ts';
import { NO_DELAY } from './heartbeat.ts';
import { RemoteChild } from './remote-child.ts';
import { SpareThread } from './spare.ts';
import { Thread } from './thread.ts';
import type { ThreadReport, WorkerBirth } from './thread-control.ts';
import type { ThreadMaker } from './thread-maker.ts';
import { type ThreadLoss, ThreadSlot } from './thread-slot.ts';

export interface ThreadPoolOptions extends ThreadOptions {
  readonly name: string;
  readonly setup: WorkerBirth['setup'];
  readonly host: Host;
  readonly maker: ThreadMaker;
  readonly observers: Observers;
}

const DEFAULT_STALL_WARN_MS = 2_000;
const DEFAULT_STALL_KILL_MS = 10_000;
const DEFAULT_HEAP_MB = 256;
const DEFAULT_EXTERNAL_MB = 512;
const INSPECT_TIMEOUT_MS = 500;

export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #slots: ThreadSlot[] = [];
  readonly #children = new Map<number, RemoteChild>();
  #routes: RouteTable | undefined = undefined;
  #kernel: Kernel | undefined = undefined;
  readonly #spare: SpareThread;
  #lastNumber = 0;
  #isStopping = false;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    this.#spare = new SpareThread({
      host: options.host,
      isWanted: options.spare ?? true,
      create: () => this.#createThread(),
    });
  }

  async start(kernel: Kernel): Promise<void> {
    this.#kernel = kernel;
    this.#routes = new RouteTable({
      kernel,
      onControl: (message, link) => this.#control(message, link),
    });
    kernel.remotes = this.#routes;
    const urgent = Object.values(this.#options.groups ?? {}).flatMap((group) =>
      group.urgent === true ? group.threads : [],
    );
    for (let i = 0; i < this.#options.pool; i += 1) this.#addSlot(`pool-${i}`, urgent.includes(i));
    await Promise.all(this.#slots.map((slot) => slot.start()));
    this.#spare.fill();
  }

  place(spec: ChildSpec<unknown, unknown>, path: string, owner: ChildOwner): RemoteChild {
    const kernel = this.#kernel;
    const routes = this.#routes;
    if (kernel === undefined || routes === undefined || this.#isStopping) {
      throw new RuntimeError('system_stopped', `${path}: the threads are not running`);
    }
    const slot = this.#slotFor(spec);
    slot.actors += 1;
    this.#spare.heardOf(spec.start);
    const child = new RemoteChild({
      uid: kernel.nextUid(),
      path,
      spec,
      owner,
      slot,
      routes,
      host: this.#options.host,
      disposed: (gone) => {
        slot.actors -= 1;
        this.#children.delete(gone.uid);
      },
    });
    this.#children.set(child.uid, child);
    return child;
  }

  async inspect(): Promise<
    readonly (ThreadReport & {
      readonly name: string;
      readonly state: ThreadSlot['state'];
      readonly restarts: number;
      readonly externalBytes: number;
    })[]
  > {
    return Promise.all(
      this.#slots.map(async (slot) => {
        const { name, state, restarts, externalBytes } = slot;
        const report: ThreadReport = await slot
          .call('inspect', (thread) => thread.inspect(), INSPECT_TIMEOUT_MS)
          .then(
            (heard) => {
              slot.counters.heard(heard.counters);
              return heard;
            },
            () => ({ actors: [], counters: {}, loopDelayMs: NO_DELAY }),
          );
        const counters = slot.counters.total();
        return { name, state, restarts, externalBytes, ...report, counters };
      }),
    );
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    await Promise.all([
      ...this.#slots.map((slot) => slot.stop(deadlineMs)),
      this.#spare.stop(deadlineMs),
    ]);
    this.#routes?.close();
  }

  #createThread(): Thread {
    const { setup, host, maxHeapMb, maker, observers } = this.#options;
    this.#lastNumber += 1;
    return new Thread({
      number: this.#lastNumber,
      name: `worker-${this.#lastNumber}`,
      setup,
      host,
      heard: observers.heard,
      maxHeapMb: maxHeapMb ?? DEFAULT_HEAP_MB,
      maker,
    });
  }

  #addSlot(name: string, isUrgent = false): ThreadSlot {
    const { host, stallWarnMs, stallKillMs, maxExternalMb } = this.#options;
    const slot = new ThreadSlot({
      slot: this.#slots.length + 1,
      name,
      isUrgent,
      host,
      limits: {
        stallWarnMs: stallWarnMs ?? DEFAULT_STALL_WARN_MS,
        stallKillMs: stallKillMs ?? DEFAULT_STALL_KILL_MS,
        maxExternalMb: maxExternalMb ?? DEFAULT_EXTERNAL_MB,
      },
      take: () => this.#spare.take(),
      connect: (at, ports) => this.#routes?.connect(at.slot, ports),
      ready: ({ worker }) => this.#tell({ type: 'thread.started', thread: name, worker }),
      notStarted: (_at, error) => {
        const [code, message] = [codeOf(error), messageOf(error)];
        this.#tell({ type: 'thread.not_started', thread: name, code, message });
      },
      stalled: (_at, forMs, { actor, subject }) => {
        const culprit = this.#children.get(actor)?.path ?? '';
        this.#tell({ type: 'thread.stalled', thread: name, forMs, culprit, subject });
      },
      lost: (at, loss) => this.#lost(at, loss),
    });
    this.#slots.push(slot);
    return slot;
  }

  #slotFor(spec: ChildSpec<unknown, unknown>): ThreadSlot {
    const { placement } = spec;
    if (placement === 'own') {
      // The thread of one that has gone is used again: none would ever end it.
      const free = this.#slots.slice(this.#options.pool).find(({ actors }) => actors === 0);
      if (free !== undefined) return free;
      const slot = this.#addSlot(`own-${this.#slots.length}`);
      slot.start().catch(() => undefined);
      return slot;
    }
    const pool = this.#slots.slice(0, this.#options.pool);
    const chosen =
      typeof placement === 'object'
        ? this.#hashed(placement, pool)
        : pool.reduce((least, slot) => (slot.actors < least.actors ? slot : least));
    if (chosen === undefined)
      throw new RuntimeError('thread_unavailable', 'the pool has no thread');
    return chosen;
  }

  #hashed(
    { hash, group = '' }: Extract<Placement, { readonly hash: string }>,
    pool: readonly ThreadSlot[],
  ): ThreadSlot | undefined {
    const threads = this.#options.groups?.[group]?.threads;
    const number = hashOf(hash);
    return threads === undefined
      ? pool[number % pool.length]
      : pool[threads[number % threads.length] ?? 0];
  }

  /** One event: the actor that was running is charged, its neighbours are told that they were not. Whether one is. */
  #lost(slot: ThreadSlot, { code, recording }: ThreadLoss): boolean {
    const here = [...this.#children.values()].filter(
      (child) => child.slot === slot && child.isLive,
    );
    // What cannot be read was written earlier, a port was closed earlier: who runs now has no part in it.
    const isLate = code === 'bad_frame' || code === 'link_closed';
    const culprit = isLate ? undefined : here.find((child) => child.uid === recording.actor);
    this.#tell({
      type: 'thread.lost',
      thread: slot.name,
      code,
      culprit: culprit?.path ?? '',
      subject: recording.subject,
      actors: here.length,
    });
    const cause: ExitCause = { kind: 'thread-lost', code, culprit: false };
    const charged = { ...cause, culprit: true, subject: recording.subject };
    const ends = here.map((child) => ({
      child,
      incarnation: child.incarnation,
      cause: child === culprit ? charged : cause,
    }));
    this.#routes?.lost(slot.slot, cause, new Map(ends.map((end) => [end.child.path, end])));
    for (const end of ends) end.child.lost(end.cause);
    return culprit !== undefined;
  }

  #tell(event: SystemEvent): void {
    const { observers } = this.#options;
    if (observers.hears(event.type)) observers.emit(event);
  }

  #control(message: ControlMessage, link: Link): void {
    switch (message.type) {
      case 'started':
        this.#children.get(message.uid)?.started(message.incarnation);
        return;
      case 'ended':
        this.#children.get(message.uid)?.ended(message.incarnation, message.cause);
        return;
      case 'event':
        this.#tell(message.event);
        return;
      case 'unreadable':
        this.#slots[link.slot - 1]?.kill('bad_frame');
        return;
      case 'locate':
        this.#answerLocate(message.path, link);
        return;
      default:
        return;
    }
  }

  /** 0 is main. A way between two workers is opened when one of them first asks for it, and told once it is there. */
  #answerLocate(path: string, link: Link): void {
    const answer = async (slot: number) => {
      // It was not there when it asked: what it sends to one that is by now must not come after what it sent it since.
      const found = slot === link.slot ? NOWHERE : slot;
      const isWay = found <= 0 || (await this.#join(link.slot, found));
      link.control({ type: 'located', path, slot: isWay ? found : LOST });
    };
    if (this.#kernel?.at(path) !== undefined) void answer(0);
    else this.#routes?.whereIs(path, (slot) => void answer(slot));
  }

  async #join(from: number, to: number): Promise<boolean> {
    const [low, high] = [this.#slots[Math.min(from, to) - 1], this.#slots[Math.max(from, to) - 1]];
    if (low === undefined || high === undefined) return false;
    const pair = `${low.slot}-${high.slot}`;
    const stamp = `${low.restarts}/${high.restarts}`;
    const known = this.#joined.get(pair);
    if (known?.stamp === stamp) return known.done;
    const [ours, theirs] = this.#options.maker.channel();
    const done = Promise.all([
      low.connectTo(high.slot, ours),
      high.connectTo(low.slot, theirs),
    ]).then(
      () => true,
      () => {
        // One of them was too busy to answer: the next who asks tries again.
        if (this.#joined.get(pair)?.stamp === stamp) this.#joined.delete(pair);
        return false;
      },
    );
    this.#joined.set(pair, { stamp, done });
    return done;
  }

  /** Pairs of workers with a direct link, and the workers' generations that it joins. */
  readonly #joined = new Map<string, { readonly stamp: string; readonly done: Promise<boolean> }>();
}

/**
 * A key keeps its slot over restarts. FNV-1a, whose lowest bit is no more than the parity of the characters', then
 * mixed (Murmur3's last step) so that the few bits which choose a slot depend on all.
 */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) {
    hash ^= key.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
