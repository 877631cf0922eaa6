/** Life, supervision and watching, inline and over threads: runtime/SEMANTICS.md L, S, W. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ChildSpec,
  child,
  createSystem,
  type Restart,
  refTo,
  type Strategy,
  supervisor,
} from '../../runtime/index.ts';
import { until, within } from '../support/within.ts';
import {
  type CounterProtocol,
  counterActor,
  type LifeArgs,
  type LifeProtocol,
  lifeActor,
  type TraceProtocol,
  traceActor,
  type WatcherProtocol,
  watcherActor,
} from './support/actors.ts';
import { MODES, type TestSystem, withTree } from './support/system.ts';

const trace = refTo<TraceProtocol>('t', 'root/trace');
const IN_2S = { inMs: 2_000 };
const traceChild = child(traceActor, { id: 'trace', args: null, placement: 'main' });
const group = (strategy: Strategy, children: readonly ChildSpec<unknown, unknown>[]) =>
  supervisor('group', {
    strategy,
    intensity: 5,
    periodMs: 5_000,
    backoff: { minMs: 1, maxMs: 5, jitter: 0 },
    children,
  });
const member = (
  name: string,
  more: Partial<LifeArgs> = {},
  spec: { restart?: Restart; shutdownTimeoutMs?: number } = {},
) =>
  child(lifeActor, {
    id: name,
    args: { name, trace, ...more },
    placement: { hash: 'group' },
    ...spec,
  });
const lifeAt = (path: string) => refTo<LifeProtocol>('t', path);
const lines = ({ system }: TestSystem) => system.ask(trace, 'read', null, IN_2S);

for (const mode of MODES) {
  const test = suite(`supervision, ${mode}`);
  const it = (
    title: string,
    children: readonly ChildSpec<unknown, unknown>[],
    work: Parameters<typeof withTree>[2],
  ) =>
    test(title, () =>
      within(title, withTree(mode, { children: [traceChild, ...children] }, work), 20_000),
    );

  it(
    'L1 children start in order and stop in reverse',
    [group('one_for_one', [member('a'), member('b'), member('c')])],
    async (tree) => {
      await until('three starts', async () => (await lines(tree)).length === 3);
      assert.equal(await lines(tree), ['start a', 'start b', 'start c']);
      const seen = tree.events;
      await tree.system.stop();
      const stopped = seen.flatMap((event) =>
        event.type === 'actor.stopped' ? [event.address.replace(/#.*/, '')] : [],
      );
      assert.equal(stopped, [
        't/root/group/c',
        't/root/group/b',
        't/root/group/a',
        't/root/group',
        't/root/trace',
        't/root',
      ]);
    },
  );

  it('L2 a zombie can do nothing', [group('one_for_one', [member('a')])], async (tree) => {
    tree.system.tell(lifeAt('root/group/a'), 'timer', 60);
    tree.system.tell(lifeAt('root/group/a'), 'crashLate', 'late');
    await until(
      'a is back',
      async () => (await tree.system.ask(lifeAt('root/group/a'), 'ping', null, IN_2S)) === 2,
    );
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal(
      await lines(tree),
      ['start a', 'stop a', 'start a'].filter((line) => line !== 'stop a'),
    );
  });

  it(
    'L3 the mailbox is kept over a restart, but for the message that crashed',
    [group('one_for_one', [member('a')])],
    async ({ system }) => {
      const a = lifeAt('root/group/a');
      system.tell(a, 'crash', 'once');
      assert.is(await system.ask(a, 'ping', null, IN_2S), 2);
    },
  );

  it(
    'L4 an actor that does not stop in time is killed',
    [group('one_for_one', [member('slow', { stopMs: 3_000 }, { shutdownTimeoutMs: 100 })])],
    async (tree) => {
      const beganMs = performance.now();
      await tree.system.stop();
      assert.ok(performance.now() - beganMs < 2_800, 'not by the slow stop');
    },
  );

  it(
    'L5 the outcome of run comes back as a message, good or bad',
    [group('one_for_one', [member('a')])],
    async (tree) => {
      tree.system.tell(lifeAt('root/group/a'), 'runs', 'resolve');
      tree.system.tell(lifeAt('root/group/a'), 'runs', 'reject');
      await until('both outcomes', async () => (await lines(tree)).length === 3);
      assert.equal((await lines(tree)).slice(1).sort(), ['ran Error: bad', 'ran good']);
    },
  );

  for (const [strategy, expected] of [
    ['one_for_one', ['start b']],
    ['rest_for_one', ['stop c', 'start b', 'start c']],
    ['one_for_all', ['stop c', 'stop a', 'start a', 'start b', 'start c']],
  ] as const) {
    it(
      `S2 ${strategy} restarts what it should, in order`,
      [group(strategy, [member('a'), member('b'), member('c')])],
      async (tree) => {
        tree.system.tell(lifeAt('root/group/b'), 'crash', 'boom');
        const wanted = ['stop b', ...expected].sort();
        const after = await until('the restart is over', async () => {
          const rest = (await lines(tree)).slice(3);
          return rest.length >= expected.length ? rest : undefined;
        });
        assert.equal([...after, 'stop b'].sort(), wanted);
        assert.equal(after, [...expected]);
      },
    );
  }

  for (const [restart, comesBack] of [
    ['permanent', true],
    ['transient', true],
    ['temporary', false],
  ] as const) {
    it(
      `S1 a ${restart} child ${comesBack ? 'comes' : 'does not come'} back from a crash`,
      [group('one_for_one', [member('a', {}, { restart })])],
      async (tree) => {
        tree.system.tell(lifeAt('root/group/a'), 'crash', 'boom');
        await until('the end is known', () =>
          tree.events.some(({ type }) => type === 'actor.crashed' || type === 'actor.stopped'),
        );
        const answer = await tree.system
          .ask(lifeAt('root/group/a'), 'ping', null, IN_2S)
          .catch(({ code }: { code: string }) => code);
        assert.is(answer, comesBack ? 2 : 'actor_dead');
      },
    );
  }

  it(
    'S3 too many restarts end the supervisor, and its own supervisor starts it again',
    [group('one_for_one', [member('a')])],
    async (tree) => {
      for (let i = 0; i < 6; i += 1) {
        tree.system.tell(lifeAt('root/group/a'), 'crash', 'again');
        await until(
          'the crash is handled',
          () => tree.events.filter(({ type }) => type === 'actor.crashed').length > i,
        );
      }
      await until('the group is back', async () => {
        const group = (await tree.system.inspect()).actors.find(
          ({ path }) => path === 't/root/group',
        );
        return group?.incarnation === 2 && group.state === 'running';
      });
      assert.ok(tree.events.some(({ type }) => type === 'supervisor.exhausted'));
      assert.is(await tree.system.ask(lifeAt('root/group/a'), 'ping', null, IN_2S), 1);
    },
  );

  it(
    'W1 each watch gives one down, also for nobody',
    [
      child(counterActor, { id: 'a', args: {}, placement: 'pool' }),
      child(watcherActor, { id: 'w', args: null, placement: 'pool' }),
    ],
    async ({ system }) => {
      const w = refTo<WatcherProtocol>('t', 'root/w');
      const a = refTo<CounterProtocol>('t', 'root/a');
      system.tell(w, 'watch', a);
      system.tell(w, 'watch', refTo<CounterProtocol>('t', 'root/nobody'));
      await until(
        'nobody is down',
        async () => (await system.ask(w, 'downs', null, IN_2S)).length === 1,
      );
      for (let i = 0; i < 3; i += 1) system.tell(a, 'crash', 'boom');
      await until(
        'a is down',
        async () => (await system.ask(w, 'downs', null, IN_2S)).length === 2,
      );
      await until(
        'all three crashes',
        async () => (await system.ask(a, 'where', null, IN_2S)).incarnation === 4,
      );
      const downs = await system.ask(w, 'downs', null, IN_2S);
      assert.equal(
        downs.map(({ cause }) => cause.code),
        ['no_such_actor', 'told_to'],
      );
    },
  );

  test.run();
}

const starts = suite('starts and ends');
const SETUP = {
  module: new URL('./support/plain-setup.js', import.meta.url).href,
  export: 'setup',
  args: {},
};

for (const mode of MODES) {
  const threads = mode === 'inline' ? ('inline' as const) : { pool: 1 };

  starts(`S5 the code of a first start that fails reaches the host, ${mode}`, async () => {
    const system = await createSystem({ name: 't', threads, thread: SETUP });
    const nowhere = refTo<TraceProtocol>('t', 'root/nobody');
    const root = system.spawn(
      group('one_for_one', [
        child(lifeActor, {
          id: 'a',
          args: { name: 'a', trace: nowhere, failStart: 'store_locked' },
          placement: 'pool',
        }),
      ]),
    );
    const error = await system.started(root).then(
      () => undefined,
      (reason: { code: string }) => reason,
    );
    assert.is(error?.code, 'store_locked');
    assert.is((await within('the end', system.ended)).code, 'store_locked');
  });

  starts(`Y2 a system that was stopped leaves no handle, ${mode}`, async () => {
    const before = process.getActiveResourcesInfo().filter((name) => name !== 'Timeout').length;
    for (let i = 0; i < 3; i += 1) {
      const system = await createSystem({ name: 't', threads, thread: SETUP });
      await system.started(
        system.spawn(
          group('one_for_one', [child(counterActor, { id: 'a', args: {}, placement: 'pool' })]),
        ),
      );
      await system.stop();
    }
    await until(
      'the handles are gone',
      () => process.getActiveResourcesInfo().filter((name) => name !== 'Timeout').length <= before,
    );
  });
}

starts('Y1 two systems in one process do not see each other', async () => {
  const [one, two] = await Promise.all(
    ['one', 'two'].map((name) => createSystem({ name, threads: { pool: 1 }, thread: SETUP })),
  );
  if (one === undefined || two === undefined) throw new Error('no systems');
  for (const system of [one, two]) {
    await system.started(
      system.spawn(
        child(counterActor, { id: 'a', args: { from: system === one ? 1 : 2 }, placement: 'pool' }),
      ),
    );
  }
  assert.is(await one.ask(refTo<CounterProtocol>('one', 'a'), 'total', null, IN_2S), 1);
  assert.is(await two.ask(refTo<CounterProtocol>('two', 'a'), 'total', null, IN_2S), 2);
  assert.is(one.tell(refTo<CounterProtocol>('two', 'a'), 'add', 1), false);
  await Promise.all([one.stop(), two.stop()]);
});

starts('an unknown module, export or setup is a coded error', async () => {
  const thread = { ...SETUP, export: 'nothing' };
  const refused = await createSystem({ name: 't', threads: 'inline', thread }).then(
    () => '',
    (error: { code: string }) => error.code,
  );
  assert.is(refused, 'unknown_module');
  const system = await createSystem({ name: 't', threads: { pool: 1 }, thread: SETUP });
  const spec = {
    ...child(counterActor, { id: 'a', args: {}, placement: 'pool' }),
    start: { module: 'node:os', export: 'nothing', args: {} },
  };
  const root = system.spawn(
    supervisor('root', { strategy: 'one_for_one', intensity: 0, periodMs: 1, children: [spec] }),
  );
  const error = await system.started(root).then(
    () => '',
    (reason: { code: string }) => reason.code,
  );
  assert.is(error, 'unknown_module');
  await system.stop();
});

starts.run();
