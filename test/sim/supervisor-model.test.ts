/** A supervisor against a model of it in plain state, over random lives of its children. runtime/SEMANTICS.md S1 to S4, S8 to S10. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RESTARTS, type Restart, STRATEGIES, type Strategy } from '../../runtime/child-spec.ts';
import { child, refTo, supervisor } from '../../runtime/index.ts';
import { createVirtualSystem, type VirtualSystem } from '../../runtime/testing/index.ts';
import { type LifeProtocol, lifeActor } from '../runtime/support/actors.ts';
import { type TeamProtocol, teamActor } from '../runtime/support/team-actor.ts';

const BACKOFF = { minMs: 10, maxMs: 80, factor: 2, jitter: 0, resetAfterMs: 500 };
const LIMIT = { intensity: 3, periodMs: 1_000 };
/** Of the team, by its own supervisor. */
const TEAM_DELAY_MS = 5;
const STATIC: readonly (readonly [string, Restart])[] = [
  ['a', 'permanent'],
  ['b', 'transient'],
  ['c', 'permanent'],
  ['d', 'temporary'],
];

type Command =
  | { readonly type: 'crash' | 'leave' | 'stop'; readonly at: number }
  | { readonly type: 'spawn'; readonly restart: Restart }
  | { readonly type: 'advance'; readonly ms: number };

interface Member {
  readonly id: string;
  readonly restart: Restart;
  incarnation: number;
  /** When it comes back; 0 while it runs. */
  dueAtMs: number;
  startedAtMs: number;
  step: number;
}

/** What OTP's rules, with a backoff, make of the same life. */
class Model {
  readonly strategy: Strategy;
  members: Member[] = [];
  incarnation = 1;
  nowMs: number;
  /** When the team itself comes back; 0 while it runs. */
  teamDueAtMs = 0;
  #charges: number[] = [];
  #group: Member[] = [];
  #groupDueAtMs = 0;

  constructor(strategy: Strategy, nowMs: number) {
    this.strategy = strategy;
    this.nowMs = nowMs;
    this.#startTeam();
  }

  get isQuiet(): boolean {
    return this.#groupDueAtMs === 0 && this.teamDueAtMs === 0;
  }

  /** Taken down with its group, and not up again. */
  isHalted(member: Member): boolean {
    return this.#groupDueAtMs > 0 && this.#group.includes(member);
  }

  /** Those that can be told something now. */
  running(): Member[] {
    return this.isQuiet ? this.members.filter(({ dueAtMs }) => dueAtMs === 0) : [];
  }

  spawn(id: string, restart: Restart): void {
    this.members.push(this.#fresh(id, restart));
  }

  remove(member: Member): void {
    this.members = this.members.filter((other) => other !== member);
  }

  end(member: Member, isOrderly: boolean): void {
    const comesBack =
      member.restart === 'permanent' || (member.restart === 'transient' && !isOrderly);
    if (!comesBack) {
      this.remove(member);
      return;
    }
    this.#charges = this.#charges.filter((atMs) => this.nowMs - atMs < LIMIT.periodMs);
    this.#charges.push(this.nowMs);
    if (this.#charges.length > LIMIT.intensity) {
      this.members = [];
      this.teamDueAtMs = this.nowMs + TEAM_DELAY_MS;
      return;
    }
    if (this.nowMs - member.startedAtMs >= BACKOFF.resetAfterMs) member.step = 0;
    const delayMs = Math.min(BACKOFF.maxMs, BACKOFF.minMs * BACKOFF.factor ** member.step);
    member.step += 1;
    if (this.strategy === 'one_for_one') {
      member.dueAtMs = this.nowMs + delayMs;
      return;
    }
    const from = this.strategy === 'one_for_all' ? 0 : this.members.indexOf(member);
    this.#group = this.members.slice(from).filter(({ restart }) => restart !== 'temporary');
    this.members = this.members.filter((other, i) => i < from || other.restart !== 'temporary');
    this.#groupDueAtMs = this.nowMs + delayMs;
  }

  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const dues = [
        ...this.members.map(({ dueAtMs }) => dueAtMs),
        this.#groupDueAtMs,
        this.teamDueAtMs,
      ];
      const next = Math.min(...dues.filter((dueAtMs) => dueAtMs > 0 && dueAtMs <= untilMs));
      if (!Number.isFinite(next)) break;
      this.nowMs = next;
      this.#due();
    }
    this.nowMs = untilMs;
  }

  #due(): void {
    if (this.teamDueAtMs === this.nowMs) {
      this.teamDueAtMs = 0;
      this.incarnation += 1;
      this.#startTeam();
      return;
    }
    const back =
      this.#groupDueAtMs === this.nowMs
        ? this.#group
        : this.members.filter(({ dueAtMs }) => dueAtMs === this.nowMs);
    if (this.#groupDueAtMs === this.nowMs) this.#groupDueAtMs = 0;
    for (const member of back) {
      member.incarnation += 1;
      member.startedAtMs = this.nowMs;
      member.dueAtMs = 0;
    }
  }

  #startTeam(): void {
    this.#charges = [];
    this.#group = [];
    this.members = STATIC.map(([id, restart]) => this.#fresh(id, restart));
  }

  #fresh(id: string, restart: Restart): Member {
    return { id, restart, incarnation: 1, dueAtMs: 0, startedAtMs: this.nowMs, step: 0 };
  }
}

/** The real one, on a machine whose time is ours. */
class Real {
  readonly #world: VirtualSystem;
  readonly #team = refTo<TeamProtocol>('t', 'root/team');

  private constructor(world: VirtualSystem) {
    this.#world = world;
  }

  static async open(strategy: Strategy): Promise<Real> {
    const world = await createVirtualSystem({ name: 't' });
    const member = ([id, restart]: readonly [string, Restart]) => lifeOf(id, restart);
    const team = child(teamActor, {
      id: 'team',
      args: { supervision: { strategy, ...LIMIT, backoff: BACKOFF, children: STATIC.map(member) } },
    });
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 1_000,
      periodMs: 1,
      backoff: { minMs: TEAM_DELAY_MS, maxMs: TEAM_DELAY_MS, jitter: 0 },
      children: [team],
    });
    await world.run(world.system.started(world.system.spawn(root)));
    return new Real(world);
  }

  get nowMs(): number {
    return this.#world.host.monotonicMs();
  }

  advance(ms: number): Promise<void> {
    return this.#world.advance(ms);
  }

  async tell(id: string, kind: 'crash' | 'leave'): Promise<void> {
    const ref = refTo<LifeProtocol>('t', `root/team/${id}`);
    if (kind === 'crash') this.#world.system.tell(ref, 'crash', 'told_to');
    else this.#world.system.tell(ref, 'leave', null);
    await this.#world.settle();
  }

  async stop(id: string): Promise<void> {
    this.#world.system.tell(this.#team, 'stopChild', id);
    await this.#world.settle();
  }

  async spawn(id: string, restart: Restart): Promise<void> {
    this.#world.system.tell(this.#team, 'trySpawn', lifeOf(id, restart));
    await this.#world.settle();
  }

  /** As `id incarnation state`, in the order of the supervisor. */
  async look(): Promise<readonly string[]> {
    const { actors } = await this.#world.system.inspect();
    return actors
      .filter(({ path }) => path.startsWith('t/root/team'))
      .map(({ path, incarnation, state }) => `${path} ${incarnation} ${state}`);
  }

  close(): Promise<void> {
    return this.#world.stop();
  }
}

function lifeOf(id: string, restart: Restart) {
  const trace = refTo<never>('t', 'nobody');
  return child(lifeActor, { id, args: { name: id, trace }, restart });
}

function shown(model: Model): readonly string[] {
  if (model.teamDueAtMs > 0) return [`t/root/team ${model.incarnation} restarting`];
  const isWaiting = (member: Member) =>
    member.dueAtMs > 0 || (!model.isQuiet && model.isHalted(member));
  const members = model.members.map(
    (member) =>
      `t/root/team/${member.id} ${member.incarnation} ${isWaiting(member) ? 'restarting' : 'running'}`,
  );
  return [`t/root/team ${model.incarnation} running`, ...members].sort();
}

async function run(strategy: Strategy, commands: readonly Command[]): Promise<void> {
  const real = await Real.open(strategy);
  try {
    const model = new Model(strategy, real.nowMs);
    let spawned = 0;
    assert.equal([...(await real.look())].sort(), shown(model), 'at the start');
    for (const [i, command] of commands.entries()) {
      const running = model.running();
      if (command.type === 'advance') {
        model.advance(command.ms);
        await real.advance(command.ms);
      } else if (command.type === 'spawn') {
        if (model.teamDueAtMs > 0) continue;
        spawned += 1;
        model.spawn(`x${spawned}`, command.restart);
        await real.spawn(`x${spawned}`, command.restart);
      } else {
        const member = running[command.at % Math.max(1, running.length)];
        if (member === undefined) continue;
        if (command.type === 'stop') {
          model.remove(member);
          await real.stop(member.id);
        } else {
          model.end(member, command.type === 'leave');
          await real.tell(member.id, command.type);
        }
      }
      const so = `after ${i + 1} of ${JSON.stringify(commands)}`;
      assert.equal([...(await real.look())].sort(), shown(model), so);
    }
  } finally {
    await real.close();
  }
}

const commandOf: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('crash' as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('stop' as const), at: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('spawn' as const),
      restart: fc.constantFrom(...RESTARTS),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('advance' as const),
      ms: fc.constantFrom(1, 4, 9, 10, 25, 80, 400, 1_000),
    }),
  },
);

const test = suite('a supervisor and its model');
for (const strategy of STRATEGIES) {
  test(`S1 S2 S3 S4 S10 ${strategy}: what the model says of any life, the real one does`, async () => {
    const lives = fc.array(commandOf, { minLength: 1, maxLength: 25 });
    const property = fc.asyncProperty(lives, (commands) => run(strategy, commands));
    await fc.assert(property, { numRuns: 300, seed: 7_142, endOnFailure: false });
  });
}
test.run();
