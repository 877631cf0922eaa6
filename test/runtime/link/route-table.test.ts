/** Ways between two threads as one of them sees them, the other one played by hand: runtime/SEMANTICS.md M, A, W. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, type Deadline, type Down, defineActor } from '../../../runtime/actor.ts';
import { createNodeHost } from '../../../runtime/host/node-host.ts';
import { PromiseEnd } from '../../../runtime/kernel/asks.ts';
import { Kernel } from '../../../runtime/kernel/kernel.ts';
import type { ControlMessage } from '../../../runtime/link/control-message.ts';
import { FrameCodec, type WireFrame } from '../../../runtime/link/frame.ts';
import { NOWHERE, RouteTable } from '../../../runtime/link/route-table.ts';
import { FlightRecorder } from '../../../runtime/thread/flight-recorder.ts';
import { until, within } from '../../support/within.ts';

/** The other end of a link: what it was sent, and its control port. */
interface Peer {
  readonly triples: unknown[];
  readonly said: ControlMessage[];
  readonly data: MessagePort;
  readonly control: MessagePort;
}

const A = { address: 't/a#7' };

interface WatchingProtocol {
  unwatchNow(nothing: null): void;
}
const watchingActor = defineActor<WatchingProtocol, object, null, null, unknown>({
  module: 'here',
  export: 'watchingActor',
  name: 'watching',
  mailbox: { limitMessages: 8, overflow: 'reject' },
  start(self) {
    self.watch(A as never);
    return null;
  },
  receive: { unwatchNow: (_state, _nothing, self) => self.unwatch(A as never) },
  down: () => undefined,
});

interface ListenerProtocol {
  add(text: string): void;
  total(text: string): string;
}

/** How an ask of A ended: its code. */
function codeOfAsk(kernel: Kernel, kind: string, deadline: Deadline): Promise<unknown> {
  const end = new PromiseEnd();
  kernel.ask({ ref: A, kind, payload: kind, deadline, chain: [], trace: undefined }, end);
  return end.promise.catch(({ code }: { code: string }) => code);
}

function createThread() {
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

const say = (peer: Peer, message: ControlMessage) => peer.control.postMessage(message);
const test = suite('ways between threads');

test('M2 W1 what waits for a way to open is not lost to late news of the old one', async () => {
  const { kernel, routes, located, connect } = createThread();
  try {
    const peer = connect(2);
    const downs: Down[] = [];
    routes.opening('t/a');
    routes.opened('t/a', 2);
    for (const n of [1, 2]) kernel.send(A, 'add', n, undefined);
    await until('both have left', () => peer.triples.length >= 6);
    say(peer, { type: 'gone', path: 't/a' });
    await until('the way is looked for again', () => {
      kernel.send({ address: 't/a' }, 'probe', null, undefined);
      return located.length > 0;
    });
    kernel.watch(A, { id: 1, notify: (down) => downs.push(down) });
    kernel.send(A, 'add', 3, undefined);
    say(peer, { type: 'gone', path: 't/a' });
    say(peer, {
      type: 'down',
      id: 'nobody',
      address: '',
      incarnation: 0,
      cause: { kind: 'stopped', code: '' },
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    routes.opened('t/a', 2);
    await until('what waited has left', () => peer.triples.includes(3), 1_000);
    routes.lost(2, { kind: 'thread-lost', code: 'thread_exit' });
    assert.is(downs.length, 1);
  } finally {
    routes.close();
  }
});

test('M1 what a message sends while it is read leaves behind it, and no other is lost', async () => {
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    routes.opening('t/a');
    routes.opened('t/a', 2);
    let reads = 0;
    const sending = {
      of: ['outer'],
      get more() {
        reads += 1;
        if (reads === 1) kernel.send(A, 'add', { of: ['inner'] }, undefined);
        return true;
      },
    };
    const all = [{ of: ['first'] }, sending, { of: ['last'] }];
    for (const payload of all) kernel.send(A, 'add', payload, undefined);
    await until('all have left', () => peer.triples.length >= 12);
    const payloads = peer.triples.filter((_, i) => i % 3 === 2);
    const texts = payloads.map((payload) => (payload as { of: string[] }).of[0]);
    assert.equal(texts, ['first', 'outer', 'last', 'inner']);
    assert.is(kernel.counters.dead_letters, 0);
  } finally {
    routes.close();
  }
});

test('a way that is given up frees its number, behind what was sent over it', async () => {
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    routes.opening('t/a');
    routes.opened('t/a', 2);
    kernel.send(A, 'add', 1, undefined);
    routes.closed('t/a');
    routes.opening('t/b');
    routes.opened('t/b', 2);
    kernel.send({ address: 't/b#8' }, 'add', 2, undefined);
    await until('all have left', () => peer.triples.length >= 9);
    assert.equal(peer.triples, [[1, 't/a#7', 'add'], 0, 1, 1, -2, null, [1, 't/b#8', 'add'], 0, 2]);
  } finally {
    routes.close();
  }
});

test('M8 a link that never runs empty lets go of what has left', async () => {
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    routes.opening('t/a');
    routes.opened('t/a', 2);
    const early: WeakRef<object>[] = [];
    for (let sent = 0; sent < 40_000; ) {
      const payload = { sent };
      if (kernel.send(A, 'add', payload, undefined)) {
        sent += 1;
        if (sent < 1_000) early.push(new WeakRef(payload));
      } else {
        say(peer, { type: 'credit', messages: 1_024, bytes: 0 });
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    peer.triples.splice(0);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await until('the first ones are gone', () => {
      collect();
      return early.every((payload) => payload.deref() === undefined);
    });
  } finally {
    routes.close();
  }
});

test('W3 a watch ends with the incarnation that watches', async () => {
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    routes.opening('t/a');
    routes.opened('t/a', 2);
    const spec = child(watchingActor, { id: 'w', args: null });
    const owner = { started: () => undefined, ended: () => undefined };
    const cell = kernel.createRoot('t/w', spec as never, owner);
    const heard = () => peer.said.map(({ type }) => type);
    cell.start(1);
    await until('it watches', () => heard().length === 1);
    cell.kill('killed');
    await until('it watches no more', () => heard().length === 2);
    cell.start(2);
    await until('its next incarnation watches', () => heard().length === 3);
    assert.equal(heard(), ['watch', 'unwatch', 'watch']);
  } finally {
    routes.close();
  }
});

test('W3 a watch ends also while its way is still being opened', async () => {
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    const watcher = { id: 9, notify: () => undefined };
    routes.opening('t/a');
    kernel.watch(A, watcher);
    kernel.watch(A, { ...watcher, id: 10 });
    kernel.unwatch(A, 9);
    routes.opened('t/a', 2);
    await until('the other one is there', () => peer.said.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.is(peer.said.length, 1);
  } finally {
    routes.close();
  }
});

test('T1 a thread that wrote what cannot be read is told to end, and nothing later of it is believed', async () => {
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    const codec = new FrameCodec();
    peer.data.postMessage('\u00c1\0\0');
    peer.data.postMessage(codec.encode([[1, 't/b#9', 'add'], 0, { n: 1 }]).frame);
    await until('it was told', () => peer.said.length > 0);
    await until('both frames are counted', () => kernel.counters.dead_letters === 2);
    assert.equal(peer.said, [{ type: 'unreadable' }]);
    assert.is(kernel.counters.messages_received, 0);
  } finally {
    routes.close();
  }
});

test('T1 a list that is no list of whole triples is as unreadable as bytes that are none', async () => {
  const to = [1, 't/b#9', 'add'];
  const ask = [1, 500, 0, []];
  const lists: readonly (readonly unknown[])[] = [
    [],
    [to, 0],
    [to, 0, 1, to],
    [to.slice(1), 0, 1],
    [[...to, 'more'], 0, 1],
    [[1, 2, 'add'], 0, 1],
    [to, ask.slice(1), 1],
    [to, [...ask, 'more'], 1],
    [to, [1, 500, 0, 'chain'], 1],
    [to, null, 1],
    [-1, 1, ['ask_timeout']],
    [-1, 1, 'ask_timeout'],
    [null, 0, 1],
  ];
  for (const list of lists) {
    for (const wire of [list, new FrameCodec().encode(list).frame]) {
      const { kernel, routes, connect } = createThread();
      try {
        const peer = connect(2);
        peer.data.postMessage(wire);
        peer.data.postMessage([to, 0, 1]);
        await until('both are counted', () => kernel.counters.dead_letters === 2);
        await until('it was told', () => peer.said.length > 0);
        assert.equal(peer.said, [{ type: 'unreadable' }], JSON.stringify(list));
        assert.is(kernel.counters.messages_received, 0);
      } finally {
        routes.close();
      }
    }
  }
});

test('A4 W1 T3 a new link to a thread ends what waited for the old one', async () => {
  const { kernel, routes, located, connect } = createThread();
  try {
    connect(2);
    const downs: Down[] = [];
    routes.opening('t/a');
    routes.opened('t/a', 2);
    kernel.watch(A, { id: 1, notify: (down) => downs.push(down) });
    const asked = codeOfAsk(kernel, 'total', { inMs: 60_000 });
    const peer = connect(2);
    assert.is(await within('the ask ends', asked, 1_000), 'thread_lost');
    assert.is(downs.length, 1);
    assert.ok(kernel.send(A, 'add', 5, undefined), 'the way is looked for again');
    assert.equal(located, ['t/a']);
    routes.opened('t/a', 2);
    await until('it has left', () => peer.triples.includes(5), 1_000);
  } finally {
    routes.close();
  }
});

test('A4 T3 where a path leads is told when its way is open, and not before', () => {
  const { routes, connect } = createThread();
  try {
    connect(2);
    const told: [string, number][] = [];
    const ask = (path: string) => routes.whereIs(path, (slot) => told.push([path, slot]));
    ask('t/a');
    routes.opening('t/a');
    ask('t/a');
    ask('t/a/below');
    assert.equal(told, [['t/a', NOWHERE]]);
    routes.opened('t/a', 2);
    ask('t/a');
    routes.opening('t/b');
    ask('t/b');
    routes.closed('t/b');
    assert.equal(told.slice(1), [
      ['t/a', 2],
      ['t/a/below', 2],
      ['t/a', 2],
      ['t/b', NOWHERE],
    ]);
  } finally {
    routes.close();
  }
});

test('M1 A4 W1 what waits for a way that leads to the own thread is for the actor that stands there by now', async () => {
  const { kernel, routes, located } = createThread();
  const heard: unknown[] = [];
  const listener = defineActor<ListenerProtocol, object, null, null, unknown>({
    module: 'here',
    export: 'listener',
    name: 'listener',
    mailbox: { limitMessages: 2, overflow: 'reject' },
    start: () => null,
    receive: {
      add: (_state, text) => void heard.push(text),
      total: (_state, text) => `${text} of ${heard.length}`,
    },
  });
  try {
    const byName = { address: 't/a' };
    const downs: Down[] = [];
    kernel.watch(byName, { id: 1, notify: (down) => downs.push(down) });
    assert.ok(kernel.send(byName, 'add', 'early', undefined));
    const end = new PromiseEnd();
    const request = { ref: byName, payload: 'early', chain: [], trace: undefined };
    kernel.ask({ ...request, kind: 'total', deadline: { inMs: 60_000 } }, end);
    const other = codeOfAsk(kernel, 'total', { inMs: 60_000 });
    for (const n of [1, 2]) assert.ok(kernel.send(byName, 'add', `too many ${n}`, undefined));
    assert.equal(located, ['t/a'], 'all of them wait for one way');
    const owner = { started: () => undefined, ended: () => undefined };
    const spec = child(listener, { id: 'a', args: null });
    const cell = kernel.createRoot('t/a', spec as never, owner, 8);
    cell.start(1);
    routes.here('t/a');
    assert.is(await other, 'actor_dead', 'that was another one');
    assert.is(await within('its answer', end.promise), 'early of 1');
    assert.equal(heard, ['early']);
    assert.is(kernel.counters.dead_letters, 3, 'one for another actor and two beyond its limit');
    assert.equal(downs, []);
    cell.kill('killed');
    assert.is(downs.length, 1);
  } finally {
    kernel.asks.stop();
    routes.close();
  }
});

test('A4 who waits for a way whose thread is heard to be lost first was not sent', async () => {
  const { kernel, routes } = createThread();
  try {
    const asked = codeOfAsk(kernel, 'total', { inMs: 60_000 });
    routes.opened('t/a', 2);
    assert.is(await within('the ask ends', asked, 1_000), 'thread_lost');
  } finally {
    routes.close();
  }
});

test('A2 an ask that ended while it waited for its way is never sent', async () => {
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    routes.opening('t/a');
    const ask = (kind: string, deadline: Deadline) => codeOfAsk(kernel, kind, deadline);
    const long = ask('long', { inMs: 60_000 });
    assert.is(await ask('aborted', { inMs: 60_000, signal: AbortSignal.abort() }), 'ask_aborted');
    assert.is(await ask('short', { inMs: 30 }), 'ask_timeout');
    routes.opened('t/a', 2);
    await until('the other one has left', () => peer.triples.includes('long'), 1_000);
    assert.not.ok(peer.triples.includes('short'));
    assert.not.ok(peer.triples.includes('aborted'));
    const leftMs = (peer.triples.find((meta) => Array.isArray(meta) && meta.length === 4) ??
      []) as number[];
    assert.ok((leftMs[1] ?? 0) < 59_980, 'its time went on while it waited');
    routes.lost(2, { kind: 'thread-lost', code: 'thread_exit' });
    assert.is(await long, 'thread_lost');
  } finally {
    routes.close();
  }
});

test('M7 a binary sent beside a message without a form arrives whole', async () => {
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    routes.opening('t/a');
    routes.opened('t/a', 2);
    const bytes = new Uint8Array(20_000).fill(7);
    kernel.send(A, 'echo', { bytes }, undefined);
    kernel.send(A, 'echo', { f: Symbol('no form') }, undefined);
    await until('it has left', () => peer.triples.length >= 3);
    assert.equal((peer.triples[2] as { bytes: Uint8Array }).bytes, bytes);
  } finally {
    routes.close();
  }
});

test.run();
