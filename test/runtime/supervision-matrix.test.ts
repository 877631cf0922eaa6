/** Every strategy × restart type × way to end, inline and over threads: runtime/SEMANTICS.md S1, S2, S3. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RESTARTS, type Restart, STRATEGIES, type Strategy } from '../../runtime/child-spec.ts';
import { child, refTo } from '../../runtime/index.ts';
import { until, within } from '../support/within.ts';
import {
  type LifeArgs,
  type LifeProtocol,
  lifeActor,
  type TraceProtocol,
  traceActor,
} from './support/actors.ts';
import { MODES, type Mode, startTree, type TestSystem } from './support/system.ts';
import { type TeamProtocol, teamActor } from './support/team-actor.ts';

/** How `b`, the middle one of `a`, `b`, `c`, comes to its end. */
const ENDS = ['leaves', 'throws', 'rejects', 'never comes back', 'is stopped', 'exits'] as const;
type End = (typeof ENDS)[number];

interface Cell {
  readonly mode: Mode;
  readonly strategy: Strategy;
  readonly restart: Restart;
  readonly end: End;
}

const IN_2S = { inMs: 2_000 };
const trace = refTo<TraceProtocol>('t', 'root/trace');
const teams = refTo<TeamProtocol>('t', 'root/teams');

const comesBack = ({ restart, end }: Cell): boolean => {
  if (end === 'is stopped') return false;
  return restart === 'permanent' || (restart === 'transient' && end !== 'leaves');
};

/** What the trace hears from the end on; a crash calls no `stop`. The model of OTP that the real one is held against. */
function expected(cell: Cell): readonly string[] {
  const { strategy, end } = cell;
  const own = end === 'leaves' || end === 'is stopped' ? ['stop b'] : [];
  if (end === 'exits')
    return comesBack(cell) ? ['start a', 'start b', 'start c'] : ['start a', 'start c'];
  if (!comesBack(cell)) return own;
  switch (strategy) {
    case 'one_for_one':
      return [...own, 'start b'];
    case 'rest_for_one':
      return [...own, 'stop c', 'start b', 'start c'];
    case 'one_for_all':
      return [...own, 'stop c', 'stop a', 'start a', 'start b', 'start c'];
  }
}

function bring(cell: Cell, { system }: TestSystem, team: string): void {
  const b = refTo<LifeProtocol>('t', `root/teams/${team}/b`);
  switch (cell.end) {
    case 'leaves':
      system.tell(b, 'leave', null);
      return;
    case 'throws':
    case 'never comes back':
      system.tell(b, 'crash', 'told_to');
      return;
    case 'rejects':
      system.tell(b, 'crashLate', 'told_to');
      return;
    case 'is stopped':
      system.tell(refTo<TeamProtocol>('t', `root/teams/${team}`), 'stopChild', 'b');
      return;
    case 'exits':
      system.tell(b, 'exit', 0);
  }
}

function teamOf({ strategy, restart, end }: Cell, id: string) {
  const member = (name: string, more: Partial<LifeArgs> = {}) =>
    child(lifeActor, {
      id: name,
      args: { name: `${name} of ${id}`, trace, ...more },
      placement: { hash: 'team' },
      ...(name === 'b' ? { restart } : {}),
    });
  const b = member('b', end === 'never comes back' ? { failAgain: 'cannot' } : {});
  return child(teamActor, {
    id,
    args: { supervision: { strategy, children: [member('a'), b, member('c')] } },
    placement: 'main',
  });
}

/** What the trace heard of one team. */
async function linesOf({ system }: TestSystem, team: string): Promise<readonly string[]> {
  const mark = ` of ${team}`;
  const all = await system.ask(trace, 'read', null, IN_2S);
  return all.filter((line) => line.endsWith(mark)).map((line) => line.slice(0, -mark.length));
}

async function incarnationOf({ system }: TestSystem, path: string): Promise<number | string> {
  const ref = refTo<LifeProtocol>('t', `root/teams/${path}`);
  return system.ask(ref, 'ping', null, IN_2S).catch(({ code }: { code: string }) => code);
}

async function check(tree: TestSystem, cell: Cell, team: string): Promise<void> {
  await tree.system.ask(teams, 'spawn', teamOf(cell, team), IN_2S);
  await until('the team runs', async () => {
    return (await linesOf(tree, team)).length === 3;
  });
  bring(cell, tree, team);
  if (cell.end === 'never comes back' && comesBack(cell)) {
    await until(
      'the team was given up and is back',
      async () => (await incarnationOf(tree, team)) === 2,
    );
    assert.is(await incarnationOf(tree, `${team}/b`), 1, 'its children are new ones');
    assert.ok(tree.events.some(({ type }) => type === 'supervisor.exhausted'));
    return;
  }
  const wanted = [...expected(cell)];
  const after = await until('the end was dealt with', async () => {
    const rest = (await linesOf(tree, team)).slice(3);
    return rest.length >= wanted.length ? rest : undefined;
  });
  // Neighbours that lost their thread restart side by side where nobody waits for another.
  const isUnordered = cell.end === 'exits' && cell.strategy === 'one_for_one';
  assert.equal(isUnordered ? [...after].sort() : after, wanted);
  const isLost = cell.end === 'exits';
  const neighbour = (name: 'a' | 'c') => (isLost || wanted.includes(`start ${name}`) ? 2 : 1);
  assert.is(await incarnationOf(tree, `${team}/a`), neighbour('a'));
  assert.is(await incarnationOf(tree, `${team}/b`), comesBack(cell) ? 2 : 'actor_dead');
  assert.is(await incarnationOf(tree, `${team}/c`), neighbour('c'));
  assert.is(await incarnationOf(tree, team), 1, 'its supervisor went on');
  assert.is((await linesOf(tree, team)).length, 3 + wanted.length, 'and nothing else happened');
}

for (const mode of MODES) {
  const matrix = suite(`supervision matrix, ${mode}`);
  const cells = STRATEGIES.flatMap((strategy) =>
    RESTARTS.flatMap((restart) => ENDS.map((end): Cell => ({ mode, strategy, restart, end }))),
  );
  // Inline there is no thread to take along.
  const run = cells.filter(({ end }) => mode === 'threads' || end !== 'exits');
  let tree: TestSystem | undefined;

  matrix.before(async () => {
    tree = await startTree(mode, [
      child(traceActor, { id: 'trace', args: null, placement: 'main' }),
      child(teamActor, {
        id: 'teams',
        args: { supervision: { intensity: 100 } },
        placement: 'main',
      }),
    ]);
  });

  for (const [i, cell] of run.entries()) {
    const { strategy, restart, end } = cell;
    const title = `S1 S2 ${strategy}: a ${restart} child that ${end}`;
    matrix(title, async () => {
      if (tree === undefined) throw new Error('no tree');
      const team = `team-${i}`;
      await within(title, check(tree, cell, team), 10_000);
      await within('the team has stopped', stopTeam(tree, team));
    });
  }

  matrix.after(async () => {
    await tree?.system.stop({ deadlineMs: 4_000 });
  });

  matrix.run();
}

async function stopTeam({ system }: TestSystem, team: string): Promise<void> {
  system.tell(teams, 'stopChild', team);
  await until(
    'it is gone',
    async () => !(await system.ask(teams, 'ids', null, IN_2S)).includes(team),
  );
}
