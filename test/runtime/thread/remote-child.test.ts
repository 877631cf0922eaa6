/** A child in another thread as its supervisor sees it, the thread's inside being the real one: runtime/SEMANTICS.md L4, S1. */
import { MessageChannel } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, type ExitCause } from '../../../runtime/actor.ts';
import { createNodeHost } from '../../../runtime/host/node-host.ts';
import type { RouteTable } from '../../../runtime/link/route-table.ts';
import { FlightRecorder } from '../../../runtime/thread/flight-recorder.ts';
import { RemoteChild } from '../../../runtime/thread/remote-child.ts';
import type { ThreadCalls } from '../../../runtime/thread/thread-control.ts';
import type { ThreadSlot } from '../../../runtime/thread/thread-slot.ts';
import { WorkerThread } from '../../../runtime/thread/worker-thread.ts';
import { until } from '../../support/within.ts';
import { counterActor } from '../support/actors.ts';

const test = suite('children in another thread');

test('L4 one that its thread does not know is over when it is killed', async () => {
  const host = createNodeHost();
  const [data, control] = [new MessageChannel(), new MessageChannel()];
  const inside = new WorkerThread({
    name: 'worker-1',
    number: 1,
    page: new FlightRecorder().page,
    heard: new Int32Array(new SharedArrayBuffer(4)),
    ports: { data: data.port1, control: control.port1 },
    host,
    setUp: async () => ({ deps: undefined }),
    externalBytes: () => 0,
    giveWay: () => undefined,
    hangUp: () => undefined,
  });
  // Its start never comes to the thread.
  const calls: Partial<ThreadCalls> = {
    start: async () => undefined,
    kill: async (uid, code) => inside.kill(uid, code),
  };
  const slot: Pick<ThreadSlot, 'ready' | 'call' | 'slot'> = {
    slot: 1,
    ready: Promise.resolve(),
    call: (_what, make) => make(calls as ThreadCalls),
  };
  const opened: string[] = [];
  const routes: Pick<RouteTable, 'opening' | 'opened' | 'closed'> = {
    opening: () => undefined,
    opened: (path) => opened.push(path),
    closed: () => undefined,
  };
  const ends: [number, ExitCause][] = [];
  const remote = new RemoteChild({
    uid: 7,
    path: 't/a',
    spec: child(counterActor, { id: 'a', args: {} }) as never,
    owner: {
      started: () => undefined,
      ended: ({ incarnation }, cause) => ends.push([incarnation, cause]),
    },
    slot: slot as ThreadSlot,
    routes: routes as RouteTable,
    host,
    disposed: () => undefined,
  });
  try {
    remote.start(3);
    await until('it was called', () => opened.length === 1);
    remote.kill('start_timeout');
    await until('it is over', () => ends.length > 0);
    assert.equal(ends, [[3, { kind: 'killed', code: 'start_timeout' }]]);
  } finally {
    await inside.close();
    data.port2.close();
    control.port2.close();
  }
});

test.run();
