/**
 * How fast does an actor of another thread answer? One question at a time beside a bare `postMessage` there and back (a good
 * number is 0.77: nothing is faster than that), and a hundred at once beside comlink (3) and piscina (2).
 */
import { MessageChannel, Worker } from 'node:worker_threads';
import { type Remote, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { Piscina } from 'piscina';
import { type ActorRef, child, refTo, type System, supervisor } from '../runtime/index.ts';
import type { BenchCase, Contest } from './bench-case.ts';
import { openThreads } from './open-system.ts';
import { type EchoProtocol, echoActor } from './players.ts';

const ROUND_TRIPS = 5_000;
const ASKS = 40_000;
const IN_FLIGHT = 100;
const MINUTE = { inMs: 60_000 };

interface Echo {
  number(n: number): number;
}

async function openEcho(): Promise<{ system: System; echo: ActorRef<EchoProtocol> }> {
  const system = await openThreads({ pool: 1, spare: false });
  const root = supervisor('root', {
    strategy: 'one_for_one',
    intensity: 0,
    periodMs: 1,
    children: [child(echoActor, { id: 'echo', args: null, placement: 'pool' })],
  });
  await system.started(system.spawn(root));
  return { system, echo: refTo<EchoProtocol>('bench', 'root/echo') };
}

async function inBatches(count: number, one: (n: number) => Promise<unknown>): Promise<number> {
  for (let done = 0; done < count; done += IN_FLIGHT)
    await Promise.all(Array.from({ length: IN_FLIGHT }, (_, i) => one(i)));
  return count;
}

export const crossThreadRtt: BenchCase = {
  name: 'cross-thread-rtt',
  unit: 'round trips/s',
  peerName: 'postMessage there and back',
  bar: 0.77,
  async open(scale): Promise<Contest> {
    const { system, echo } = await openEcho();
    const worker = new Worker(new URL('./peers/echo-workers.js', import.meta.url), {
      workerData: { role: 'post' },
    });
    const trips = ROUND_TRIPS * scale;
    let answered: () => void = () => undefined;
    worker.on('message', () => answered());
    return {
      async ours() {
        for (let i = 0; i < trips; i += 1) await system.ask(echo, 'number', i, MINUTE);
        return trips;
      },
      async peer() {
        for (let i = 0; i < trips; i += 1) {
          await new Promise<void>((resolve) => {
            answered = resolve;
            worker.postMessage(i);
          });
        }
        return trips;
      },
      async close() {
        await worker.terminate();
        await system.stop();
      },
    };
  },
};

export const crossThreadAskComlink: BenchCase = {
  name: 'cross-thread-ask/comlink',
  unit: 'answers/s',
  peerName: 'comlink',
  bar: 3,
  async open(scale): Promise<Contest> {
    const { system, echo } = await openEcho();
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(new URL('./peers/echo-workers.js', import.meta.url), {
      workerData: { role: 'comlink', port: port2 },
      transferList: [port2],
    });
    const remote: Remote<Echo> = wrap<Echo>(nodeEndpoint(port1));
    const count = ASKS * scale;
    return {
      ours: () => inBatches(count, (n) => system.ask(echo, 'number', n, MINUTE)),
      peer: () => inBatches(count / 4, (n) => remote.number(n)),
      async close() {
        port1.close();
        await worker.terminate();
        await system.stop();
      },
    };
  },
};

export const crossThreadAskPiscina: BenchCase = {
  name: 'cross-thread-ask/piscina',
  unit: 'answers/s',
  peerName: 'piscina, atomics sync',
  bar: 2,
  async open(scale): Promise<Contest> {
    const { system, echo } = await openEcho();
    const pool = new Piscina({
      filename: new URL('./peers/echo-task.js', import.meta.url).href,
      name: 'echo',
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: IN_FLIGHT,
      atomics: 'sync',
    });
    const count = ASKS * scale;
    return {
      ours: () => inBatches(count, (n) => system.ask(echo, 'number', n, MINUTE)),
      peer: () => inBatches(count / 4, (n) => pool.run(n)),
      async close() {
        await pool.destroy();
        await system.stop();
      },
    };
  },
};
