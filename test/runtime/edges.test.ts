/** Life and supervision where several things happen at once: runtime/SEMANTICS.md L, S, Y. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChildSpec, child, type Restart, refTo } from '../../runtime/index.ts';
import { until, within } from '../support/within.ts';
import {
  type LifeArgs,
  type LifeProtocol,
  lifeActor,
  type TraceProtocol,
  traceActor,
} from './support/actors.ts';
import { type ParentArgs, type ParentProtocol, parentActor } from './support/parent-actor.ts';
import { MODES, type TestSystem, withTree } from './support/system.ts';

const trace = refTo<TraceProtocol>('t', 'root/trace');
const parent = refTo<ParentProtocol>('t', 'root/parent');
const IN_2S = { inMs: 2_000 };
const lifeAt = (path: string) => refTo<LifeProtocol>('t', path);
const lines = ({ system }: TestSystem) => system.ask(trace, 'read', null, IN_2S);
const at = (name: string) => lifeAt(`root/parent/${name}`);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const member = (
  name: string,
  more: Partial<LifeArgs> = {},
  spec: {
    restart?: Restart;
    shutdownTimeoutMs?: number;
    placement?: ChildSpec<never, never>['placement'];
  } = {},
) =>
  child(lifeActor, {
    id: name,
    args: { name, trace, ...more },
    placement: { hash: 'group' },
    ...spec,
  });
const tree = (
  args: Partial<ParentArgs>,
  spec: { shutdownTimeoutMs?: number } = {},
): readonly ChildSpec<unknown, unknown>[] => [
  child(traceActor, { id: 'trace', args: null, placement: 'main' }),
  child(parentActor, {
    id: 'parent',
    args: { trace, ...args },
    placement: 'main',
    restart: 'permanent',
    ...spec,
  }),
];

for (const mode of MODES) {
  const test = suite(`edges, ${mode}`);
  const it = (
    title: string,
    args: Partial<ParentArgs>,
    work: (tree: TestSystem) => Promise<void>,
    spec: { shutdownTimeoutMs?: number } = {},
  ) =>
    test(title, () => within(title, withTree(mode, { children: tree(args, spec) }, work), 20_000));
  const isBack = ({ system }: TestSystem, incarnation: number) =>
    until('the parent is back', async () => {
      const now = await system.ask(parent, 'ping', null, IN_2S).catch(() => 0);
      return now === incarnation;
    });

  for (const childEnded of ['throws', 'rejects'] as const) {
    it(`S7 a childEnded that ${childEnded} is a crash of the parent, not of its thread`, {
      childEnded,
      children: [member('a')],
    }, async (test) => {
      test.system.tell(lifeAt('root/parent/a'), 'crash', 'boom');
      await isBack(test, 2);
      const crash = test.events.find(
        (event) => event.type === 'actor.crashed' && event.cause.code === 'bad_hook',
      );
      assert.ok(crash);
    });
  }

  it('T3 a ref by name reaches whoever lives there now; a temporary child that leaves is no news', {}, async ({
    system,
    events,
  }) => {
    const kid = at('kid');
    const ping = () =>
      system.ask(kid, 'ping', null, IN_2S).catch(({ code }: { code: string }) => code);
    const spec = member('kid', {}, { restart: 'temporary', placement: 'main' });
    const told = () =>
      events.filter(
        ({ type, ...event }) =>
          type === 'actor.stopped' && 'address' in event && event.address.includes('/kid'),
      );
    const isGone = () => until('it is gone', async () => (await ping()) === 'actor_dead');
    await system.ask(parent, 'spawn', spec, IN_2S);
    assert.is(await ping(), 1);
    system.tell(parent, 'stopChild', 'kid');
    await isGone();
    assert.is(told().length, 1, 'it was stopped by its parent');
    await system.ask(parent, 'spawn', spec, IN_2S);
    assert.is(await ping(), 1, 'the same ref finds the next one');
    system.tell(kid, 'leave', null);
    await isGone();
    assert.is(told().length, 1, 'it left by itself');
  });

  it('S5 what supervise throws after an awaited start is the failure of that start', {}, async (test) => {
    const bad = child(parentActor, {
      id: 'bad',
      args: { trace, startAwaits: true, superviseThrows: 'bad_tree' },
      placement: 'main',
    });
    await test.system.ask(parent, 'spawn', bad, IN_2S);
    await until('the failure is known', () =>
      test.events.some(
        (event) => event.type === 'actor.crashed' && event.cause.code === 'bad_tree',
      ),
    );
  });

  it('L2 a stop hook starts no child that nobody would stop', {
    spawnInStop: member('orphan'),
  }, async (test) => {
    const system = test.system;
    await system.ask(parent, 'spawn', member('x', {}, { restart: 'temporary' }), IN_2S);
    await until('x runs', async () => (await lines(test)).includes('start x'));
    system.tell(refTo<ParentProtocol>('t', 'root/parent'), 'stopChild', 'x');
    await until('x stopped', async () => (await lines(test)).includes('stop x'));
    const inner = child(parentActor, {
      id: 'inner',
      args: { trace, spawnInStop: member('orphan') },
      placement: 'main',
      restart: 'temporary',
    });
    await system.ask(parent, 'spawn', inner, IN_2S);
    await until('inner runs', async () =>
      (await system.inspect()).actors.some(
        ({ path, state }) => path.endsWith('/inner') && state === 'running',
      ),
    );
    system.tell(parent, 'stopChild', 'inner');
    const note = await until('the hook has run', async () =>
      (await lines(test)).find((line) => line.startsWith('refused') || line === 'start orphan'),
    );
    assert.is(note, 'refused system_stopped');
  });

  it('S2 S7 a group that restarts a child while its parent is being told starts it once', {
    strategy: 'one_for_all',
    childEnded: 'is slow',
    children: [member('a'), member('b')],
  }, async (test) => {
    test.system.tell(lifeAt('root/parent/a'), 'crash', 'boom');
    test.system.tell(lifeAt('root/parent/b'), 'crash', 'boom');
    await pause(500);
    await until('a answers', () => test.system.ask(lifeAt('root/parent/a'), 'ping', null, IN_2S));
    const all = await lines(test);
    const starts = all.filter((line) => line === 'start a').length;
    const ends = all.filter((line) => line === 'stop a').length;
    const crashes = test.events.filter(
      (event) => event.type === 'actor.crashed' && event.address.startsWith('t/root/parent/a#'),
    ).length;
    assert.is(starts - 1, ends + crashes, all.join(', '));
  });

  it('L4 a child that is being stopped keeps its time when its parent stops too', {
    children: [member('a', { stopMs: 200 })],
  }, async (test) => {
    await test.system.ask(parent, 'ping', null, IN_2S);
    test.system.tell(parent, 'stopChild', 'a');
    await test.system.ask(parent, 'ping', null, IN_2S);
    test.system.tell(parent, 'crash', 'boom');
    await isBack(test, 2);
    const starts = (all: readonly string[]) => all.filter((line) => line === 'start a').length;
    await until('a is back', async () => starts(await lines(test)) === 2);
    assert.equal(await lines(test), ['start a', 'stop a', 'start a']);
  });

  it('L4 T3 the children of a killed parent do not outlive it, and those of the next one are reached', {
    startTimeoutMs: 300,
  }, async (test) => {
    const stuck = child(parentActor, {
      id: 'stuck',
      args: { trace, firstStartMs: 5_000 },
      shutdownTimeoutMs: 50,
      placement: 'main',
    });
    const inner = child(parentActor, {
      id: `inner-${mode}`,
      args: { trace, children: [member('slow', { stopMs: 600 }), stuck] },
      placement: 'main',
    });
    await test.system.ask(parent, 'spawn', inner, IN_2S);
    const at = refTo<ParentProtocol>('t', `root/parent/inner-${mode}`);
    await until('inner is back', async () => {
      const now = await test.system.ask(at, 'ping', null, { inMs: 200 }).catch(() => 0);
      return now === 2;
    });
    await pause(800);
    const slow = lifeAt(`root/parent/inner-${mode}/slow`);
    assert.is(await test.system.ask(slow, 'ping', null, IN_2S), 1);
    assert.equal(await lines(test), ['start slow', 'start slow']);
  });

  it('S2 a temporary child that fails in a restart leaves those before it alone', {
    strategy: 'rest_for_one',
    children: [
      member('a'),
      member('b'),
      member('c', { failAgain: 'again' }, { restart: 'temporary' }),
    ],
  }, async (test) => {
    test.system.tell(lifeAt('root/parent/b'), 'crash', 'boom');
    await until('b is back', async () => {
      const now = await test.system
        .ask(lifeAt('root/parent/b'), 'ping', null, IN_2S)
        .catch(() => 0);
      return now === 2;
    });
    await pause(200);
    assert.is(await test.system.ask(lifeAt('root/parent/a'), 'ping', null, IN_2S), 1);
  });

  it('L5 S1 something unprintable thrown is a crash like any other', {}, async (test) => {
    test.system.tell(parent, 'crashUnprintable', null);
    await isBack(test, 2);
  });

  test.run();
}
