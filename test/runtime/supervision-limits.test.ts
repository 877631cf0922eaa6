/** What bounds and ends supervision: limits, verdicts, significant children, wrong specs. runtime/SEMANTICS.md S3, S6, S8 to S11. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ChildSpec,
  checkChildSpec,
  checkSupervision,
  child,
  refTo,
  supervisor,
} from '../../runtime/index.ts';
import { createVirtualSystem } from '../../runtime/testing/index.ts';
import { until, within } from '../support/within.ts';
import {
  type LifeArgs,
  type LifeProtocol,
  lifeActor,
  type TraceProtocol,
  traceActor,
} from './support/actors.ts';
import { MODES, type TestSystem, withTree } from './support/system.ts';
import { loneActor, type TeamArgs, type TeamProtocol, teamActor } from './support/team-actor.ts';

const IN_2S = { inMs: 2_000 };
const trace = refTo<TraceProtocol>('t', 'root/trace');
const team = refTo<TeamProtocol>('t', 'root/team');
const at = (id: string) => refTo<LifeProtocol>('t', `root/team/${id}`);

const member = (
  id: string,
  spec: Partial<ChildSpec<never, never>> = {},
  more: Partial<LifeArgs> = {},
) => child(lifeActor, { id, args: { name: id, trace, ...more }, placement: 'pool', ...spec });
const teamOf = (args: TeamArgs, restart: ChildSpec<never, never>['restart'] = 'permanent') =>
  child(teamActor, { id: 'team', args, placement: 'main', restart });

const incarnationOf = ({ system }: TestSystem, id: string) =>
  system.ask(at(id), 'ping', null, IN_2S).catch(({ code }: { code: string }) => code);
const teamIncarnation = ({ system }: TestSystem) =>
  system.ask(team, 'ping', null, IN_2S).catch(({ code }: { code: string }) => code);
for (const mode of MODES) {
  const test = suite(`limits of supervision, ${mode}`);
  const it = (
    title: string,
    own: ChildSpec<unknown, unknown>,
    work: Parameters<typeof withTree>[2],
  ) =>
    test(title, () => {
      const children = [child(traceActor, { id: 'trace', args: null, placement: 'main' }), own];
      return within(title, withTree(mode, { children }, work), 20_000);
    });
  const crash = async (tree: TestSystem, id: string, code = 'told_to') => {
    const before = tree.events.length;
    tree.system.tell(at(id), 'crash', code);
    await until('the crash was dealt with', () =>
      tree.events
        .slice(before)
        .some(({ type }) => type === 'actor.crashed' || type === 'actor.stopped'),
    );
  };

  it(
    'S3 a child with a limit of its own has it beside its supervisor’s',
    teamOf({
      supervision: {
        intensity: 100,
        children: [member('a', { restartLimit: { intensity: 1, periodMs: 10_000 } }), member('b')],
      },
    }),
    async (tree) => {
      for (let i = 0; i < 3; i += 1) await crash(tree, 'b');
      assert.is(await teamIncarnation(tree), 1, 'b has no limit of its own');
      await crash(tree, 'a');
      assert.is(await incarnationOf(tree, 'a'), 2);
      await crash(tree, 'a');
      await until('the second one was too many', async () => (await teamIncarnation(tree)) === 2);
    },
  );

  it(
    'S3 a child’s limit is not used up by its siblings',
    teamOf({
      supervision: {
        intensity: 100,
        children: ['a', 'b', 'c'].map((id) =>
          member(id, { restartLimit: { intensity: 1, periodMs: 10_000 } }),
        ),
      },
    }),
    async (tree) => {
      for (const id of ['a', 'b', 'c']) await crash(tree, id);
      for (const id of ['a', 'b', 'c']) assert.is(await incarnationOf(tree, id), 2);
      assert.is(await teamIncarnation(tree), 1);
    },
  );

  it(
    'S3 one that ends degraded goes on, and is trusted again when it has run long enough',
    teamOf({
      supervision: {
        intensity: 1,
        whenExhausted: 'degrade',
        backoff: { minMs: 1, maxMs: 5, jitter: 0, resetAfterMs: 300 },
        children: [member('a')],
      },
    }),
    async (tree) => {
      const stateOf = async () =>
        (await tree.system.inspect()).actors.find(({ path }) => path === 't/root/team')?.state;
      await crash(tree, 'a');
      await crash(tree, 'a');
      await until('a is back', async () => (await incarnationOf(tree, 'a')) === 3);
      assert.is(await stateOf(), 'degraded');
      await until('it is trusted', async () => (await stateOf()) === 'running');
      assert.is(await teamIncarnation(tree), 1);
    },
  );

  it(
    'S3 in one that degrades a child that used up its limit delays no other',
    teamOf({
      supervision: {
        intensity: 2,
        periodMs: 60_000,
        whenExhausted: 'degrade',
        backoff: { minMs: 1, maxMs: 30_000, factor: 2, jitter: 0, resetAfterMs: 60_000 },
        children: [member('a'), member('b')],
      },
    }),
    async (tree) => {
      const delays = (id: string) =>
        tree.events.flatMap((event) =>
          event.type === 'actor.crashed' && event.address.startsWith(at(id).address)
            ? [event.restartInMs]
            : [],
        );
      for (let nth = 1; nth <= 2; nth += 1) {
        await crash(tree, 'a');
        await until('a is back', async () => (await incarnationOf(tree, 'a')) === nth + 1);
      }
      await crash(tree, 'a');
      await crash(tree, 'b');
      assert.equal(delays('a'), [1, 2, 30_000]);
      assert.equal(delays('b'), [1]);
    },
  );

  it(
    'S6 what `decide` says of an end is done',
    teamOf({
      verdicts: { give_up: 'stop', come_back: 'restart' },
      supervision: { children: [member('a'), member('b', { restart: 'transient' }), member('c')] },
    }),
    async (tree) => {
      await crash(tree, 'a', 'give_up');
      assert.is(await incarnationOf(tree, 'a'), 'actor_dead');
      await crash(tree, 'b', 'come_back');
      assert.is(await incarnationOf(tree, 'b'), 2);
      tree.system.tell(at('b'), 'leave', null);
      await until('b left in order', async () => (await incarnationOf(tree, 'b')) === 'actor_dead');
      assert.is(await incarnationOf(tree, 'c'), 1);
      assert.is(await teamIncarnation(tree), 1);
    },
  );

  for (const [verdict, code] of [
    ['escalate', 'upwards'],
    ['throws', 'cannot_decide'],
  ] as const) {
    it(
      `S6 a \`decide\` that ${verdict === 'throws' ? 'throws' : 'says escalate'} ends the supervisor, with the cause`,
      teamOf({ verdicts: { upwards: verdict }, supervision: { children: [member('a')] } }),
      async (tree) => {
        tree.system.tell(at('a'), 'crash', 'upwards');
        await until('the team is back', async () => (await teamIncarnation(tree)) === 2);
        const causes = tree.events.flatMap((event) =>
          event.type === 'actor.crashed' && event.address.startsWith('t/root/team#')
            ? [event.cause.code]
            : [],
        );
        assert.equal(causes, [code]);
      },
    );
  }

  it(
    'S8 any_significant: the end of one significant child ends the supervisor in order, its own restart does not',
    teamOf(
      {
        supervision: {
          autoShutdown: 'any_significant',
          children: [
            member('a', { restart: 'transient', significant: true }),
            member('b', { restart: 'temporary' }),
            member('c'),
          ],
        },
      },
      'transient',
    ),
    async (tree) => {
      await crash(tree, 'a');
      assert.is(await incarnationOf(tree, 'a'), 2, 'a transient one comes back from a crash');
      await crash(tree, 'b');
      assert.is(await teamIncarnation(tree), 1, 'b is not significant');
      tree.system.tell(at('a'), 'leave', null);
      await until('the team has ended', async () => (await teamIncarnation(tree)) === 'actor_dead');
      const ended = tree.events.flatMap((event) =>
        event.type === 'actor.stopped' && event.address.startsWith('t/root/team#')
          ? [event.cause]
          : [],
      );
      assert.equal(ended, [{ kind: 'stopped', code: 'shutdown' }]);
      const traced = () => tree.system.ask(trace, 'read', null, IN_2S);
      await until('c has stopped', async () => (await traced()).includes('stop c'));
    },
  );

  it(
    'S8 all_significant: the last one’s end ends it, and one that was stopped does not count',
    teamOf(
      {
        supervision: {
          autoShutdown: 'all_significant',
          children: ['a', 'b', 'c'].map((id) =>
            member(id, { restart: 'temporary', significant: id !== 'c' }),
          ),
        },
      },
      'transient',
    ),
    async (tree) => {
      await crash(tree, 'a');
      assert.is(await teamIncarnation(tree), 1);
      await tree.system.ask(
        team,
        'spawn',
        member('d', { restart: 'temporary', significant: true }),
        IN_2S,
      );
      tree.system.tell(team, 'stopChild', 'd');
      await until('d was stopped', async () => (await incarnationOf(tree, 'd')) === 'actor_dead');
      assert.is(await teamIncarnation(tree), 1, 'b is left, and stopping is no end by itself');
      await crash(tree, 'b');
      await until('the team has ended', async () => (await teamIncarnation(tree)) === 'actor_dead');
    },
  );

  it(
    'S9 beyond maxChildren a spawn is refused, and taken again when one has gone',
    teamOf({ supervision: { maxChildren: 2 } }),
    async (tree) => {
      const spawn = (id: string) =>
        tree.system.ask(team, 'trySpawn', member(id, { restart: 'temporary' }), IN_2S);
      assert.is(await spawn('a'), '');
      assert.is(await spawn('b'), '');
      assert.is(await spawn('c'), 'too_many_children');
      await crash(tree, 'a');
      assert.is(await spawn('c'), '');
      assert.is(await spawn('c'), 'duplicate_child');
    },
  );

  it(
    'S10 a dynamic supervisor restarts and forgets its children like static ones',
    teamOf({}),
    async (tree) => {
      const { system } = tree;
      await system.ask(team, 'spawn', member('a'), IN_2S);
      await system.ask(team, 'spawn', member('b', { restart: 'temporary' }), IN_2S);
      await crash(tree, 'a');
      assert.is(await incarnationOf(tree, 'a'), 2);
      await crash(tree, 'b');
      assert.equal(await system.ask(team, 'ids', null, IN_2S), ['a']);
      assert.is(await system.ask(team, 'trySpawn', member('b'), IN_2S), '');
    },
  );

  test.run();
}

const specs = suite('wrong specs');
const good = child(lifeActor, { id: 'a', args: { name: 'a', trace } });
const fine = { strategy: 'one_for_one', intensity: 1, periodMs: 1_000 } as const;

for (const [field, wrong] of [
  ['id', { id: 'a/b' }],
  ['start', { start: null }],
  ['start.module', { start: { ...good.start, module: '' } }],
  ['start.export', { start: { ...good.start, export: 7 } }],
  ['restart', { restart: 'always' }],
  ['shutdownTimeoutMs', { shutdownTimeoutMs: Number.NaN }],
  ['placement', { placement: 'moon' }],
  ['restartLimit.intensity', { restartLimit: { intensity: -1, periodMs: 1 } }],
  ['restartLimit.periodMs', { restartLimit: { intensity: 1, periodMs: 0 } }],
  ['significant', { restart: 'transient', significant: 'yes' }],
  ['restart', { significant: true }],
] as const) {
  specs(`S11 a child spec with a wrong ${field} is refused, and says so`, () => {
    const spec = { ...good, ...wrong } as unknown as ChildSpec<unknown, unknown>;
    assert.throws(() => checkChildSpec(spec), refusalOf(field));
    assert.throws(() => supervisor('s', { ...fine, children: [spec] }), refusalOf(field));
  });
}

for (const [field, wrong] of [
  ['strategy', { strategy: 'one_for_some' }],
  ['intensity', { intensity: 0.5 }],
  ['periodMs', { periodMs: -1 }],
  ['whenExhausted', { whenExhausted: 'panic' }],
  ['autoShutdown', { autoShutdown: 'maybe' }],
  ['autoShutdown', { children: [{ ...good, restart: 'temporary', significant: true }] }],
  ['maxChildren', { maxChildren: -1 }],
  ['startTimeoutMs', { startTimeoutMs: 0 }],
  ['decide', { decide: 'restart' }],
  ['backoff.minMs', { backoff: { minMs: -1 } }],
  ['backoff.maxMs', { backoff: { minMs: 10, maxMs: 5 } }],
  ['backoff.factor', { backoff: { factor: 0.5 } }],
  ['backoff.jitter', { backoff: { jitter: 2 } }],
  ['backoff.resetAfterMs', { backoff: { resetAfterMs: Number.NaN } }],
] as const) {
  specs(`S11 a supervision with a wrong ${field} is refused, and says so`, () => {
    assert.throws(() => checkSupervision({ ...fine, ...wrong } as never), refusalOf(field));
  });
}

for (const none of [null, false, 0, '']) {
  specs(`S11 ${JSON.stringify(none)} is no supervision, and its actor does not start`, async () => {
    const world = await createVirtualSystem({ name: 't' });
    const { system } = world;
    try {
      system.spawn(child(loneActor, { id: 'root', args: { supervision: none } }));
      const cause = await world.run(system.ended);
      assert.is(cause.code, 'bad_child_spec');
    } finally {
      await world.stop();
    }
  });
}

/** Names the field, and says what was expected. */
function refusalOf(field: string) {
  return (error: { code: string; message: string }) =>
    error.code === 'bad_child_spec' &&
    error.message.includes(`: ${field} is `) &&
    error.message.includes('expected');
}

specs.run();
