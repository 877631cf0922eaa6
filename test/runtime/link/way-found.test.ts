/** How a thread finds the way to an actor, and what becomes of what waits for it: runtime/SEMANTICS.md A2, A4, M1. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, type Deadline, type Down, defineActor } from '../../../runtime/actor.ts';
import { PromiseEnd } from '../../../runtime/kernel/asks.ts';
import { NOWHERE } from '../../../runtime/link/route-table.ts';
import { until, within } from '../../support/within.ts';
import { A, codeOfAsk, createThread } from '../support/lone-thread.ts';

interface ListenerProtocol {
  add(text: string): void;
  total(text: string): string;
}

const test = suite('ways that are looked for');

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

test.run();
