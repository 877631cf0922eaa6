/** One report for each end that was not in order: runtime/SEMANTICS.md O5. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ActorRef,
  type ChildSpec,
  child,
  refTo,
  type SystemEvent,
} from '../../../runtime/index.ts';
import { until } from '../../support/within.ts';
import { type CounterProtocol, counterActor } from '../support/actors.ts';
import { MODES, withTree } from '../support/system.ts';
import { type TeamArgs, type TeamProtocol, teamActor } from '../support/team-actor.ts';

const IN_5S = { inMs: 5_000 };
const KID = 't/root/team/kid';
const TEAM = 't/root/team';
const team = refTo<TeamProtocol>('t', 'root/team');
const kid = child(counterActor, { id: 'kid', args: {}, placement: 'with-parent' });
const crash: Pick<End, 'send'> = { send: (tell) => tell('crash', 'once') };

interface End {
  readonly title: string;
  readonly args?: TeamArgs;
  readonly kid?: Partial<ChildSpec<unknown, unknown>>;
  /** Brings the end about; none where the start does. */
  readonly send?: (tell: (kind: 'crash' | 'slow', payload: unknown) => boolean) => void;
  readonly isStopped?: true;
  /** What is reported, in order: who, by which code, and whether it comes back. */
  readonly reports: readonly (readonly [path: string, code: string, isBack: boolean])[];
}

const ENDS: readonly End[] = [
  { title: 'a permanent child', ...crash, reports: [[KID, 'told_to', true]] },
  {
    title: 'a temporary child',
    kid: { restart: 'temporary' },
    ...crash,
    reports: [[KID, 'told_to', false]],
  },
  {
    title: 'a child that decide stops',
    args: { verdicts: { told_to: 'stop' } },
    ...crash,
    reports: [[KID, 'told_to', false]],
  },
  {
    title: 'a child that decide escalates, and its supervisor',
    args: { verdicts: { told_to: 'escalate' } },
    ...crash,
    reports: [
      [KID, 'told_to', false],
      [TEAM, 'told_to', true],
    ],
  },
  {
    title: 'a supervisor whose child has spent the restarts',
    args: { supervision: { intensity: 0 } },
    ...crash,
    reports: [
      [KID, 'told_to', false],
      [TEAM, 'restart_intensity', true],
    ],
  },
  {
    title: 'a start that fails',
    kid: {
      restart: 'temporary',
      start: { module: 'data:text/javascript,', export: 'none', args: {} },
    },
    reports: [[KID, 'unknown_module', false]],
  },
  {
    title: 'a stop beyond its deadline',
    kid: { shutdownTimeoutMs: 20 },
    send: (tell) => tell('slow', 6_000),
    isStopped: true,
    reports: [[KID, 'shutdown_timeout', false]],
  },
  { title: 'a stop in order', isStopped: true, reports: [] },
  { title: 'a kill by order', kid: { shutdownTimeoutMs: 0 }, isStopped: true, reports: [] },
];

function reportsOf(events: readonly SystemEvent[]): (readonly [string, string, boolean])[] {
  return events.flatMap((event) =>
    event.type === 'actor.crashed'
      ? [[event.address.replace(/#.*/, ''), event.cause.code, event.restartInMs >= 0] as const]
      : [],
  );
}

const test = suite('crash reports');

for (const mode of MODES) {
  for (const { title, args = {}, kid: changes, send, isStopped, reports } of ENDS) {
    test(`O5 ${title}: ${reports.length} (${mode})`, () => {
      const teamSpec = child(teamActor, { id: 'team', args, placement: 'pool' });
      return withTree(mode, { children: [teamSpec] }, async ({ system, events }) => {
        const spec = { ...kid, ...changes } as ChildSpec<unknown, unknown>;
        const address = (await system.ask(team, 'spawn', spec, IN_5S)).address;
        const ref = { address } as ActorRef<CounterProtocol>;
        if (changes?.start === undefined)
          await until('it runs', async () =>
            (await system.inspect()).actors.some(
              ({ path, state }) => path === KID && state === 'running',
            ),
          );
        send?.((kind, payload) => system.tell(ref, kind, payload as never));
        if (isStopped === true) {
          if (send !== undefined)
            await until('it is at work', async () => {
              const { actors } = await system.inspect();
              return actors.some(({ path, handlingMs }) => path === KID && handlingMs > 0);
            });
          system.tell(team, 'stopChild', 'kid');
          await until('it is gone', () => events.some(({ type }) => type === 'actor.stopped'));
        }
        await until('the reports', () => reportsOf(events).length >= reports.length);
        await system.ask(team, 'ping', null, IN_5S).catch(() => undefined);
        assert.equal(reportsOf(events), reports);
      });
    });
  }
}

test.run();
