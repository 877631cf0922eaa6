/** Ways between two threads as one of them sees them, the other one played by hand: runtime/SEMANTICS.md M, W, T. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, type Down, defineActor } from '../../../runtime/actor.ts';
import { FrameCodec } from '../../../runtime/link/frame.ts';
import { until } from '../../support/within.ts';
import { A, createThread, say } from '../support/lone-thread.ts';

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
    await until('its end is told', () => peer.triples.length >= 6);
    routes.opening('t/b');
    routes.opened('t/b', 2);
    kernel.send({ address: 't/b#8' }, 'add', 2, undefined);
    await until('all have left', () => peer.triples.length >= 9);
    const told = [0, -2, [1]];
    assert.equal(peer.triples, [[1, 't/a#7', 'add'], 0, 1, ...told, [1, 't/b#8', 'add'], 0, 2]);
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
    [0, -2, 1],
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

test('M8 what is told of thousands of ways that end together leaves room for others, and their numbers are used again', async () => {
  const WAYS = 10_000;
  const { kernel, routes, connect } = createThread();
  try {
    const peer = connect(2);
    const paths = Array.from({ length: WAYS }, (_, n) => `t/n${n}`);
    const taken = async (messages: number) => {
      await until('they have left', () => peer.triples.length >= messages * 3, 20_000);
      say(peer, { type: 'credit', messages, bytes: 0 });
      return peer.triples.splice(0);
    };
    for (const path of ['t/a', ...paths]) {
      routes.opening(path);
      routes.opened(path, 2);
    }
    for (let from = 0; from < WAYS; from += 500) {
      for (const address of paths.slice(from, from + 500))
        assert.ok(kernel.send({ address }, 'add', 1, undefined));
      await taken(500);
    }
    for (const path of paths) routes.closed(path);
    assert.ok(kernel.send(A, 'add', 1, undefined));
    const told = await taken(11);
    assert.is(
      told
        .filter(Array.isArray)
        .flat()
        .filter((part) => typeof part === 'number').length,
      WAYS + 1,
    );
    for (const n of [1, 2]) assert.ok(kernel.send({ address: 't/a' }, `kind ${n}`, 1, undefined));
    const [first, , , second] = (await taken(2)) as [[number], unknown, unknown, [number]];
    assert.ok(first[0] <= WAYS && second[0] <= WAYS && first[0] !== second[0]);
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
test.run();
