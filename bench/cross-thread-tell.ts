/**
 * How fast do small messages cross to another thread, with a backlog? The peer posts each with `postMessage`, as plain code
 * does. A good number is 2.5: frames of up to 256 messages pay the crossing once. Limited by msgpack and by the receiver's
 * decoding; both threads share two cores with the harness.
 */
import { Worker } from 'node:worker_threads';
import { child, createSystem, refTo, supervisor } from '../runtime/index.ts';
import type { BenchCase } from './bench-case.ts';
import { SETUP } from './plain-setup.ts';
import { type Parcel, type SinkProtocol, sinkActor } from './players.ts';

const MESSAGES = 200_000;

export const crossThreadTell: BenchCase = {
  name: 'cross-thread-tell/100-bytes',
  unit: 'messages/s',
  peerName: 'postMessage each',
  bar: 2.5,
  async open(scale) {
    const count = MESSAGES * scale;
    const system = await createSystem({ name: 'bench', threads: { pool: 1 }, thread: SETUP });
    await system.started(
      system.spawn(
        supervisor('root', {
          strategy: 'one_for_one',
          intensity: 0,
          periodMs: 1,
          children: [child(sinkActor, { id: 'sink', args: null, placement: 'pool' })],
        }),
      ),
    );
    const sink = refTo<SinkProtocol>('bench', 'root/sink');
    const worker = new Worker(new URL('./echo-worker.js', import.meta.url));
    let sent = 0;
    let posted = 0;
    return {
      async ours() {
        for (let i = 0; i < count; ) {
          if (system.tell(sink, 'take', parcel(i))) i += 1;
          else await new Promise((resolve) => setImmediate(resolve));
        }
        sent += count;
        await system.ask(sink, 'reached', sent, { inMs: 60_000 });
        return count;
      },
      async peer() {
        posted += count;
        const done = new Promise((resolve) => worker.once('message', resolve));
        for (let i = 0; i < count; i += 1) worker.postMessage(parcel(i));
        worker.postMessage({ goal: posted });
        await done;
        return count;
      },
      async close() {
        await worker.terminate();
        await system.stop();
      },
    };
  },
};

function parcel(i: number): Parcel {
  return {
    id: i,
    node: 'node-17',
    name: 'cpu.load',
    value: i * 0.5,
    at: 1_800_000_000_000 + i,
    text: 'a short line of text',
  };
}
