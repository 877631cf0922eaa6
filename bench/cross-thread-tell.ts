/**
 * How fast do messages cross to another thread, with a backlog? The peer posts each with `postMessage`, as plain code does.
 * A good number is 3 for 100 bytes and 2 for a kilobyte: frames of up to 256 messages pay the crossing once. Limited by
 * what the sender writes of each message; both threads share two cores with the harness. A megabyte moves with its message on
 * both sides, so a good number is 0.5 or more: what is left is to allocate it, and the credits that keep what is under way small.
 */
import { Worker } from 'node:worker_threads';
import { child, refTo, supervisor, transfer } from '../runtime/index.ts';
import type { BenchCase, Contest } from './bench-case.ts';
import { openThreads } from './open-system.ts';
import { type Parcel, type SinkProtocol, sinkActor } from './players.ts';

const MESSAGES = 200_000;
const SHORT = 'a short line of text';
const LONG = SHORT.repeat(47);
const MEGABYTE = 1_048_576;

interface Load extends Parcel {
  /** Moves with the message. */
  readonly memory?: ArrayBuffer;
}
type MakeLoad = (i: number) => Load;

const short: MakeLoad = (i) => parcel(i, SHORT);
const long: MakeLoad = (i) => parcel(i, LONG);
const heavy: MakeLoad = (i) => ({ ...parcel(i, SHORT), memory: new ArrayBuffer(MEGABYTE) });

export const crossThreadTell = tellCase('100-bytes', short, MESSAGES, 3);
export const crossThreadTellKb = tellCase('1-kb', long, MESSAGES / 4, 2);
export const crossThreadTellMb = tellCase('1-mb', heavy, 200, 0.5);

function tellCase(size: string, make: MakeLoad, messages: number, bar: number): BenchCase {
  return {
    name: `cross-thread-tell/${size}`,
    unit: 'messages/s',
    peerName: 'postMessage each',
    bar,
    open: (scale) => openContest(make, messages * scale),
  };
}

async function openContest(make: MakeLoad, count: number): Promise<Contest> {
  const system = await openThreads({ pool: 1, spare: false });
  const root = supervisor('root', {
    strategy: 'one_for_one',
    intensity: 0,
    periodMs: 1,
    children: [child(sinkActor, { id: 'sink', args: null, placement: 'pool' })],
  });
  await system.started(system.spawn(root));
  const sink = refTo<SinkProtocol>('bench', 'root/sink');
  const worker = new Worker(new URL('./echo-worker.js', import.meta.url));
  let sent = 0;
  let posted = 0;
  return {
    async ours() {
      for (let i = 0; i < count; i += 1) {
        const load = make(i);
        if (load.memory !== undefined) transfer(load.memory);
        while (!system.tell(sink, 'take', load))
          await new Promise((resolve) => setImmediate(resolve));
      }
      sent += count;
      await system.ask(sink, 'reached', sent, { inMs: 60_000 });
      return count;
    },
    async peer() {
      posted += count;
      const done = new Promise((resolve) => worker.once('message', resolve));
      for (let i = 0; i < count; i += 1) {
        const load = make(i);
        worker.postMessage(load, load.memory === undefined ? [] : [load.memory]);
      }
      worker.postMessage({ goal: posted });
      await done;
      return count;
    },
    async close() {
      await worker.terminate();
      await system.stop();
    },
  };
}

function parcel(i: number, text: string): Parcel {
  return {
    id: i,
    node: 'node-17',
    name: 'cpu.load',
    value: i * 0.5,
    at: 1_800_000_000_000 + i,
    text,
  };
}
