/** Threads as Node has them: a worker with the runtime's entry, called through Comlink. */
import { extname } from 'node:path';
import { MessageChannel, type MessagePort, Worker, type WorkerOptions } from 'node:worker_threads';
import { releaseProxy, transfer, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { LinkPorts } from '../link/port.ts';
import type { ThreadControl, WorkerBirth } from './thread-control.ts';
import type { MadeThread, ThreadFate, ThreadMaker, ThreadOrder } from './thread-maker.ts';

/** Makes a worker thread of the runtime's entry; the options are to be passed on as they are. */
export type CreateWorker = (entry: URL, options: WorkerOptions) => Worker;

const createByNode: CreateWorker = (entry, options) => new Worker(entry, options);

export function createNodeThreads(create: CreateWorker = createByNode): ThreadMaker {
  return { make: (order, fate) => makeWorker(create, order, fate), channel };
}

function makeWorker(create: CreateWorker, order: ThreadOrder, fate: ThreadFate): MadeThread {
  const { maxHeapMb, ...birth } = order;
  const calls = new MessageChannel();
  const [ours, theirs] = channel();
  const workerData: WorkerBirth = { ...birth, ...theirs, calls: calls.port2 };
  const worker = create(new URL(`./worker-entry${extname(import.meta.url)}`, import.meta.url), {
    workerData,
    transferList: [calls.port2, theirs.data, theirs.control],
    name: order.name,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
  });
  worker.on('error', (error) => fate.failed(error));
  worker.on('messageerror', () => fate.unreadable());
  for (const port of [calls.port1, ours.data, ours.control])
    port.once('close', () => fate.hungUp());
  const control = wrap<ThreadControl>(nodeEndpoint(calls.port1));
  worker.on('exit', () => {
    // Comlink keeps each call without an answer, and who waits for it, for as long as the process.
    control[releaseProxy]();
    calls.port1.close();
    fate.exited();
  });
  return {
    ports: ours,
    calls: control,
    connect: (slot, ports) => control.connect(slot, moved(ports.data), moved(ports.control)),
    terminate: () => worker.terminate(),
  };
}

type NodePorts = { readonly [K in keyof LinkPorts]: MessagePort };

function channel(): readonly [NodePorts, NodePorts] {
  const data = new MessageChannel();
  const control = new MessageChannel();
  return [
    { data: data.port1, control: control.port1 },
    { data: data.port2, control: control.port2 },
  ];
}

/** Every port of this maker's is Node's. */
function moved(port: LinkPorts['data']): LinkPorts['data'] {
  return transfer(port, [port as MessagePort]);
}
