/** What a host has done before its tree is stopped: runtime/SEMANTICS.md Y2, Y4. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  child,
  createSystem,
  refTo,
  type StopPhase,
  type StopPhaseOptions,
  type SystemEvent,
} from '../../runtime/index.ts';
import { createVirtualSystem } from '../../runtime/testing/index.ts';
import { until, within } from '../support/within.ts';
import { type CounterProtocol, counterActor } from './support/actors.ts';

const IN_2S = { inMs: 2_000 };
const COUNTER = child(counterActor, { id: 'a', args: {} });
const NOBODY = refTo<CounterProtocol>('t', 'nobody');
const never = () => new Promise<void>(() => undefined);

/** A system on a virtual clock, with what was told of its phases. */
async function openSystem() {
  const told: string[] = [];
  const onEvent = (event: SystemEvent) => {
    if (event.type === 'phase.ended') told.push(`${event.phase}: ${event.code}`);
    if (event.type === 'actor.stopped' || event.type === 'system.stopped') told.push(event.type);
  };
  const machine = await createVirtualSystem({ name: 't', onEvent });
  const { system, host } = machine;
  const counter = system.spawn(COUNTER);
  await machine.run(system.started(counter));
  const phase = (
    name: string,
    deadlineMs: number,
    run: (options: StopPhaseOptions) => Promise<unknown>,
  ): StopPhase => ({ name, deadlineMs, run });
  const asking = () => system.ask(counter, 'total', null, IN_2S);
  return { machine, system, host, counter, told, phase, asking };
}

const test = suite('phases of a stop');

test('Y4 they run one after the other while all actors do, and then the tree is stopped', async () => {
  const { machine, system, told, phase, asking } = await openSystem();
  const work: string[] = [];
  const noting = (name: string) =>
    phase(name, 1_000, async ({ forMs, signal }) => {
      await asking();
      work.push(`${name} ${forMs} ${signal.aborted}`);
    });
  await machine.run(system.stop({ phases: [noting('first'), noting('second')] }));
  assert.equal(work, ['first 1000 false', 'second 1000 false']);
  assert.equal(told, ['first: ', 'second: ', 'actor.stopped', 'system.stopped']);
});

test('Y4 one that is late is over at its deadline and hears so; one that fails says why', async () => {
  const { machine, system, host, told, phase, asking } = await openSystem();
  const beganMs = host.monotonicMs();
  let lateMs = 0;
  const hanging = phase('hanging', 300, ({ signal }) => {
    signal.addEventListener('abort', () => {
      lateMs = host.monotonicMs() - beganMs;
    });
    return never();
  });
  const rejecting = phase('rejecting', 300, () => system.ask(NOBODY, 'total', null, IN_2S));
  const throwing = phase('throwing', 300, () => {
    throw Object.assign(new Error('told to'), { code: 'told_to' });
  });
  const last = phase('last', 300, asking);
  await machine.run(system.stop({ phases: [hanging, rejecting, throwing, last] }));
  assert.is(lateMs, 300);
  assert.equal(told.slice(0, 4), [
    'hanging: phase_late',
    'rejecting: actor_dead',
    'throwing: told_to',
    'last: ',
  ]);
});

test('Y4 the deadline of the whole stop ends them sooner, and leaves the tree its part', async () => {
  for (const [deadlineMs, forPhasesMs] of [
    [1_000, 750],
    [24_000, 18_000],
  ] as const) {
    const { machine, system, host, told, phase } = await openSystem();
    const beganMs = host.monotonicMs();
    const phases = [phase('hanging', 60_000, never), phase('unreached', 60_000, never)];
    await machine.run(system.stop({ deadlineMs, phases }));
    assert.is(
      host.monotonicMs() - beganMs,
      forPhasesMs,
      'an actor that stops at once is not waited for',
    );
    assert.equal(told, [
      'hanging: phase_late',
      'unreached: phase_skipped',
      'actor.stopped',
      'system.stopped',
    ]);
  }
});

test('Y4 a tree that ends by itself has nobody wait for the phases', async () => {
  const { machine, system, host, counter, told, phase } = await openSystem();
  const beganMs = host.monotonicMs();
  const fatal = phase('fatal', 5_000, () => {
    system.tell(counter, 'crash', 'boom');
    return never();
  });
  await machine.run(system.stop({ phases: [fatal, phase('unreached', 5_000, never)] }));
  assert.ok(host.monotonicMs() - beganMs < 1_000);
  assert.equal(
    told.filter((line) => line.includes(':')),
    ['fatal: phase_skipped', 'unreached: phase_skipped'],
  );
  assert.is((await system.ended).code, 'told_to');
});

test('Y2 Y4 the first call says what is done; a wrong phase is refused and stops nothing', async () => {
  const { machine, system, told, phase, asking } = await openSystem();
  for (const deadlineMs of [-1, Number.NaN]) {
    const refused = await system.stop({ phases: [phase('bad', deadlineMs, never)] }).then(
      () => '',
      ({ code }: { code: string }) => code,
    );
    assert.is(refused, 'bad_option');
  }
  assert.is(await machine.run(asking()), 0);
  const first = system.stop({ phases: [phase('first', 100, asking)] });
  const second = system.stop({ phases: [phase('second', 100, asking)] });
  await machine.run(Promise.all([first, second]));
  assert.equal(told, ['first: ', 'actor.stopped', 'system.stopped']);
});

test('Y2 Y4 phases leave no handle, over threads too', async () => {
  const handles = () =>
    process
      .getActiveResourcesInfo()
      .filter((name) => name === 'Timeout' || name === 'MessagePort')
      .sort()
      .join();
  for (const threads of ['inline', { pool: 1, spare: false }] as const) {
    const before = handles();
    const system = await createSystem({ name: 't', threads });
    await system.started(system.spawn(COUNTER));
    const phases = [
      { name: 'hanging', deadlineMs: 20, run: never },
      { name: 'done', deadlineMs: 60_000, run: async () => undefined },
    ];
    await within('the stop', system.stop({ phases }), 10_000);
    await until('no handle is left', () => handles() === before);
  }
});

test.run();
