/** One thread and its ways, for tests that play the other threads by hand. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Deadline } from '../../../runtime/actor.ts';
import { createNodeHost } from '../../../runtime/host/node-host.ts';
import { PromiseEnd } from '../../../runtime/kernel/asks.ts';
import { Kernel } from '../../../runtime/kernel/kernel.ts';
import type { ControlMessage } from '../../../runtime/link/control-message.ts';
import { FrameCodec, type WireFrame } from '../../../runtime/link/frame.ts';
import { RouteTable } from '../../../runtime/link/route-table.ts';
import { FlightRecorder } from '../../../runtime/thread/flight-recorder.ts';

/** The other end of a link: what it was sent, and its control port. */
export interface Peer {
  readonly triples: unknown[];
  readonly said: ControlMessage[];
  readonly data: MessagePort;
  readonly control: MessagePort;
}

/** An actor of another thread. */
export const A = { address: 't/a#7' };

/** How an ask of A ended: its code. */
export function codeOfAsk(kernel: Kernel, kind: string, deadline: Deadline): Promise<unknown> {
  const end = new PromiseEnd();
  kernel.ask({ ref: A, kind, payload: kind, deadline, chain: [], trace: undefined }, end);
  return end.promise.catch(({ code }: { code: string }) => code);
}

export function createThread() {
  const located: string[] = [];
  const kernel = new Kernel({
    thread: 'pool-0',
    host: createNodeHost(),
    recorder: new FlightRecorder(),
    inspection: { hears: () => false, emit: () => undefined },
    firstUid: 1,
  });
  const routes = new RouteTable({
    kernel,
    locate: (path) => located.push(path),
    onControl: () => undefined,
  });
  kernel.remotes = routes;
  const connect = (slot: number): Peer => {
    const data = new MessageChannel();
    const control = new MessageChannel();
    const codec = new FrameCodec();
    const triples: unknown[] = [];
    data.port2.on('message', (frame: unknown) => {
      if (Array.isArray(frame)) triples.push(...frame);
      else if (typeof frame === 'string') triples.push(...codec.decode({ frame, beside: [] }));
      else triples.push(...codec.decode(frame as WireFrame));
    });
    const said: ControlMessage[] = [];
    control.port2.on('message', (message: ControlMessage) => said.push(message));
    routes.connect(slot, { data: data.port1, control: control.port1 });
    return { triples, said, data: data.port2, control: control.port2 };
  };
  return { kernel, routes, located, connect };
}

export const say = (peer: Peer, message: ControlMessage) => peer.control.postMessage(message);
