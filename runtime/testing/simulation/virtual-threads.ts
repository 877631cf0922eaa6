/** Makes threads of the simulator: the production thread's inside on a virtual thread, called from main by messages. */
import { codeOf, messageOf, RuntimeError } from '../../errors.ts';
import type { Link } from '../../link/link.ts';
import type { LinkPorts } from '../../link/port.ts';
import { RouteTable } from '../../link/route-table.ts';
import type { SystemEvent, ThreadWorld } from '../../system.ts';
import type { ThreadCalls } from '../../thread/thread-control.ts';
import type {
  MadeThread,
  ThreadFate,
  ThreadMaker,
  ThreadOrder,
} from '../../thread/thread-maker.ts';
import { WorkerThread } from '../../thread/worker-thread.ts';
import type { VirtualMachine } from './virtual-machine.ts';
import { copyOf, type VirtualPort, type VirtualPorts } from './virtual-port.ts';
import type { VirtualThread } from './virtual-thread.ts';

/** A worker of the simulator. */
export interface VirtualWorker {
  readonly name: string;
  readonly host: VirtualThread;
  readonly inside: WorkerThread;
  /** Main's end and its own of their link. */
  readonly ports: readonly [VirtualPorts, VirtualPorts];
  /** 0 until it has a place. */
  slot: number;
  /** As a thread that is lost: nothing of it happens any more, and main hears so later. */
  lose(): void;
}

/** A link between two workers, with both sides once they are connected. */
export interface JoinedLink {
  readonly ports: readonly [VirtualPorts, VirtualPorts];
  readonly links: [Link | undefined, Link | undefined];
}

export interface VirtualThreadsOptions {
  readonly machine: VirtualMachine;
  readonly main: VirtualThread;
  world(worker: () => VirtualWorker): Promise<ThreadWorld>;
  /** Every event of a thread's own, before it is told to main. */
  onEvent(event: SystemEvent): void;
  /** In the very moment. */
  lost(worker: VirtualWorker): void;
}

interface Call {
  readonly id: number;
  readonly method: keyof ThreadCalls;
  readonly args: readonly unknown[];
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

export class VirtualThreads implements ThreadMaker {
  readonly workers: VirtualWorker[] = [];
  joined: JoinedLink[] = [];
  readonly #options: VirtualThreadsOptions;

  constructor(options: VirtualThreadsOptions) {
    this.#options = options;
  }

  channel(): readonly [LinkPorts, LinkPorts] {
    const ports = this.#options.machine.link();
    this.joined.push({ ports, links: [undefined, undefined] });
    return ports;
  }

  make(order: ThreadOrder, fate: ThreadFate): MadeThread {
    const { machine, main, world, onEvent, lost } = this.#options;
    const exit = machine.pair(main, main);
    const lose = () => {
      if (host.isOver) return;
      // What it was doing when it ended is what its page goes on saying.
      const last = new Uint8Array(order.page).slice();
      host.end();
      lost(worker);
      exit[0].on('message', () => {
        new Uint8Array(order.page).set(last);
        fate.exited();
      });
      exit[1].postMessage('exit');
    };
    const host = machine.thread((error) => {
      fate.failed(error);
      lose();
    });
    const ports = machine.link(main, host);
    const calls = machine.pair(main, host);
    const inside = new WorkerThread({
      name: order.name,
      number: order.number,
      page: order.page,
      heard: order.heard,
      ports: ports[1],
      host,
      setUp: () => world(() => worker),
      externalBytes: () => 0,
      giveWay: () => undefined,
      hangUp: lose,
      observe: onEvent,
    });
    const worker: VirtualWorker = { name: order.name, host, inside, ports, slot: 0, lose };
    this.workers.push(worker);
    calls[1].on('message', (call) => void this.#answer(worker, calls[1], call as Call));
    const made = callsOver(calls[0]);
    return {
      ports: ports[0],
      calls: made,
      connect: (slot, joined) => made.connect(slot, joined.data, joined.control),
      terminate: async () => lose(),
    };
  }

  async #answer(worker: VirtualWorker, port: VirtualPort, call: Call): Promise<void> {
    const { id, method, args } = call;
    try {
      if (method === 'adopt') worker.slot = (args[0] as { readonly slot: number }).slot;
      if (method === 'connect')
        for (const end of args.slice(1)) (end as VirtualPort).moveTo(worker.host);
      const { inside } = worker;
      const perform = inside[method] as (...given: unknown[]) => unknown;
      const result = perform.call(inside, ...args);
      if (method === 'connect') this.#connected(worker, args);
      port.postMessage({ id, value: await result } satisfies Answer);
    } catch (error) {
      port.postMessage({ id, error: `${codeOf(error)}: ${messageOf(error)}` } satisfies Answer);
    }
  }

  #connected({ inside }: VirtualWorker, [slot, data]: readonly unknown[]): void {
    const { remotes } = inside.kernel;
    if (!(remotes instanceof RouteTable)) return;
    this.joined = this.joined.filter(({ ports }) => !ports.some((end) => end.data.isClosed));
    for (const { ports, links } of this.joined) {
      const side = ports.findIndex((end) => end.data === data);
      if (side !== -1) links[side] = remotes.linkTo(slot as number);
    }
  }
}

function callsOver(port: VirtualPort): ThreadCalls {
  const open: ((answer: Answer) => void)[] = [];
  port.on('message', (value) => {
    const answer = value as Answer;
    open[answer.id]?.(answer);
    delete open[answer.id];
  });
  const call =
    (method: keyof ThreadCalls) =>
    (...args: readonly unknown[]): Promise<never> =>
      new Promise((resolve, reject) => {
        const id = open.length;
        open.push(({ value, error }) => {
          if (error === undefined) resolve(value as never);
          else reject(new RuntimeError('thread_unavailable', error));
        });
        port.postMessage({ id, method, args: copyOf(args) });
      });
  return {
    setUp: call('setUp'),
    preload: call('preload'),
    adopt: call('adopt'),
    start: call('start'),
    stop: call('stop'),
    kill: call('kill'),
    dispose: call('dispose'),
    connect: call('connect'),
    inspect: call('inspect'),
    close: call('close'),
  };
}
