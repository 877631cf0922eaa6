/** The end of a system, and of children whose thread is not there or too busy: runtime/SEMANTICS.md L4, T, Y2. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChildSpec, child, createSystem, refTo, supervisor } from '../../runtime/index.ts';
import { until, within } from '../support/within.ts';
import {
  type CounterProtocol,
  counterActor,
  type LifeProtocol,
  lifeActor,
  type TraceProtocol,
  traceActor,
} from './support/actors.ts';
import { type ParentProtocol, parentActor } from './support/parent-actor.ts';
import { withTree } from './support/system.ts';

const trace = refTo<TraceProtocol>('t', 'root/trace');
const parent = refTo<ParentProtocol>('t', 'root/parent');
const IN_2S = { inMs: 2_000 };
const traceChild = child(traceActor, { id: 'trace', args: null, placement: 'main' });
const life = (id: string, spec: Partial<ChildSpec<never, never>>, stopMs = 0) =>
  child(lifeActor, {
    id,
    args: { name: id, trace, ...(stopMs === 0 ? {} : { stopMs }) },
    placement: spec.placement ?? { hash: 'group' },
    shutdownTimeoutMs: spec.shutdownTimeoutMs ?? 5_000,
  });
const SETUP = new URL('./support/plain-setup.js', import.meta.url).href;
const stubborn = (how: 'rejects' | 'hangs') =>
  createSystem({
    name: 't',
    threads: 'inline',
    thread: { module: SETUP, export: 'stubbornSetup', args: how },
  });
const test = suite('stopping');

test('L4 a child whose thread is not up yet is stopped at once and never starts', async () => {
  const children = [
    traceChild,
    child(parentActor, { id: 'parent', args: { trace }, placement: 'main' }),
  ];
  await withTree('threads', { children }, async ({ system }) => {
    for (let round = 0; round < 3; round += 1) {
      await system.ask(parent, 'spawn', life('late', { placement: 'own' }), IN_2S);
      system.tell(parent, 'stopChild', 'late');
      await until(
        'it has gone',
        async () => (await system.ask(parent, 'childIds', null, IN_2S)).length === 0,
        2_000,
      );
    }
    const { threads } = await system.inspect();
    assert.equal(
      threads.map(({ name }) => name),
      ['main', 'pool-0', 'pool-1', 'own-2'],
      'one after the other they need one thread',
    );
    const beganMs = performance.now();
    await system.stop({ deadlineMs: 4_000 });
    assert.ok(performance.now() - beganMs < 2_000, 'nothing was waited for');
  });
});

test('L4 S2 a thread too busy to hear of a stop runs the next incarnation alone', async () => {
  const children = [
    traceChild,
    child(counterActor, { id: 'blocker', args: {}, placement: { hash: 'group' } }),
    child(parentActor, {
      id: 'parent',
      args: {
        trace,
        strategy: 'one_for_all',
        children: [life('x', { shutdownTimeoutMs: 50 }, 2_000), life('y', { placement: 'main' })],
      },
      placement: 'main',
    }),
    child(parentActor, { id: 'busy', args: { trace }, placement: { hash: 'group' } }),
  ];
  await withTree('threads', { children }, async ({ system }) => {
    const x = refTo<LifeProtocol>('t', 'root/parent/x');
    assert.is(await system.ask(x, 'ping', null, IN_2S), 1);
    system.tell(refTo<ParentProtocol>('t', 'root/busy'), 'block', 1_600);
    system.tell(refTo<LifeProtocol>('t', 'root/parent/y'), 'crash', 'boom');
    await until('x is back', async () => {
      const now = await system.ask(x, 'ping', null, { inMs: 500 }).catch(() => 0);
      return now === 2;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.is(await system.ask(x, 'ping', null, IN_2S), 2);
  });
});

test('T2 two threads that could not be joined while one was busy are joined later', async () => {
  const system = await createSystem({
    name: 't',
    threads: { pool: 2, stallKillMs: 20_000 },
    thread: { module: SETUP, export: 'setup', args: {} },
  });
  const [a, b] = [refTo<CounterProtocol>('t', 'root/a'), refTo<CounterProtocol>('t', 'root/b')];
  await system.started(
    system.spawn(
      supervisor('root', {
        strategy: 'one_for_one',
        intensity: 5,
        periodMs: 1_000,
        children: [
          // In turn: a and filler on one thread, busy and b on the other.
          child(counterActor, { id: 'a', args: {}, placement: 'pool' }),
          child(parentActor, { id: 'busy', args: { trace }, placement: 'pool' }),
          child(counterActor, { id: 'filler', args: {}, placement: 'pool' }),
          child(counterActor, { id: 'b', args: {}, placement: 'pool' }),
        ],
      }),
    ),
  );
  system.tell(refTo<ParentProtocol>('t', 'root/busy'), 'block', 5_500);
  const relay = () =>
    system.ask(a, 'relay', { to: b, n: 1 }, { inMs: 6_000 }).catch(() => undefined);
  assert.is(await within('the first one', relay(), 9_000), undefined, 'nobody is reached yet');
  await until('b is reached', relay, 3_000);
  await system.stop();
});

test('Y2 a world that does not close in order ends the system all the same', async () => {
  const system = await stubborn('rejects');
  await system.started(system.spawn(child(counterActor, { id: 'a', args: {} })));
  system.tell(refTo<CounterProtocol>('t', 'a'), 'crash', 'boom');
  assert.is((await within('the end', system.ended)).code, 'told_to');
  const code = await system.stop().then(
    () => '',
    (error: { code: string }) => error.code,
  );
  assert.is(code, 'bad_close');
});

test('Y2 a stop keeps its deadline over actors and a world that hang, and leaves no timer', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const system = await stubborn('hangs');
  const children = [
    traceChild,
    life('stuck', { shutdownTimeoutMs: 20_000, placement: 'main' }, 4_000),
  ];
  const root = { strategy: 'one_for_one', intensity: 1, periodMs: 1_000, children } as const;
  await system.started(system.spawn(supervisor('root', root)));
  const beganMs = performance.now();
  await system.stop({ deadlineMs: 1_000 });
  const tookMs = performance.now() - beganMs;
  assert.ok(tookMs < 1_200, `took ${tookMs} ms`);
  // The actor's own timer is its own.
  assert.ok(timers() <= before + 1, `${timers()} timers, ${before} before`);
});

test('Y2 a short deadline still leaves actors time to stop', async () => {
  const system = await createSystem({
    name: 't',
    threads: 'inline',
    thread: { module: SETUP, export: 'setup', args: {} },
  });
  const ends: string[] = [];
  const children = [traceChild, life('slow', { placement: 'main' }, 300)];
  const root = { strategy: 'one_for_one', intensity: 1, periodMs: 1_000, children } as const;
  await system.started(system.spawn(supervisor('root', root)));
  const beganMs = performance.now();
  await system.stop({ deadlineMs: 1_500 });
  ends.push(String(performance.now() - beganMs >= 290));
  assert.equal(ends, ['true']);
});

test.run();
