/** Observers of a system and its diagnostics channels: runtime/SEMANTICS.md O1 to O3. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ActorRef,
  type ChildSpec,
  child,
  createSystem,
  refTo,
  type SystemEvent,
} from '../../../runtime/index.ts';
import { everything, type Inspection, Ration } from '../../../runtime/observe/inspection.ts';
import { Observers } from '../../../runtime/observe/observers.ts';
import { until, within } from '../../support/within.ts';
import { type CounterProtocol, counterActor, type TraceProtocol } from '../support/actors.ts';
import { type ParentProtocol, parentActor } from '../support/parent-actor.ts';
import { MODES, withTree } from '../support/system.ts';
import { type TeamProtocol, teamActor } from '../support/team-actor.ts';

const IN_5S = { inMs: 5_000 };
const team = refTo<TeamProtocol>('t', 'root/team');
const teamSpec = child(teamActor, { id: 'team', args: {}, placement: 'pool' });
const parentSpec = child(parentActor, {
  id: 'parent',
  args: { trace: refTo<TraceProtocol>('t', 'root/trace') },
  placement: 'pool',
});
const kid: ChildSpec<unknown, unknown> = child(counterActor, {
  id: 'kid',
  args: {},
  placement: 'with-parent',
});

/** What was heard of one actor, in order. */
function heardOf(events: readonly SystemEvent[], path: string): string[] {
  return events
    .filter((event) => 'address' in event && event.address.replace(/#.*/, '') === path)
    .map(({ type }) => type);
}

const test = suite('observers');

for (const mode of MODES) {
  test(`O1 an observer hears the life of an actor of another thread (${mode})`, () =>
    withTree(mode, { children: [teamSpec] }, async ({ system }) => {
      const events: SystemEvent[] = [];
      const leave = system.observe((event) => events.push(event));
      const ref = (await system.ask(team, 'spawn', kid, IN_5S)) as ActorRef<CounterProtocol>;
      await until('it has started', () => heardOf(events, 't/root/team/kid').length === 1);
      system.tell(ref, 'crash', 'once');
      await until('it is back', () => heardOf(events, 't/root/team/kid').length === 3);
      const back = events.find(({ type }) => type === 'actor.restarted');
      assert.is(back?.type === 'actor.restarted' && back.incarnation, 2);
      system.tell(team, 'stopChild', 'kid');
      await until('it is gone', () => heardOf(events, 't/root/team/kid').length === 4);
      assert.equal(heardOf(events, 't/root/team/kid'), [
        'actor.started',
        'actor.crashed',
        'actor.restarted',
        'actor.stopped',
      ]);
      leave();
      leave();
      const others: SystemEvent[] = [];
      system.observe((event) => others.push(event));
      await system.ask(team, 'spawn', kid, IN_5S);
      await until('it has started', () => heardOf(others, 't/root/team/kid').length === 1);
      system.tell(team, 'stopChild', 'kid');
      await until('the other hears', () => heardOf(others, 't/root/team/kid').length === 2);
      assert.is(heardOf(events, 't/root/team/kid').length, 4, 'who left hears nothing');
    }));

  test(`O1 a full mailbox is told with its address, message and policy (${mode})`, () =>
    withTree(mode, { children: [parentSpec] }, async ({ system, events }) => {
      const parent = refTo<ParentProtocol>('t', 'root/parent');
      const refused = await until('a refusal', () => {
        for (let i = 0; i < 500; i += 1) system.tell(parent, 'ping', null);
        return events.find((event) => event.type === 'mailbox.refused');
      });
      assert.is(refused.address, 't/root/parent');
      assert.is(refused.kind, 'ping');
      assert.is(refused.overflow, 'reject');
    }));

  test(`O2 the events of all threads are on diagnostics channels (${mode})`, () =>
    withTree(mode, { children: [teamSpec] }, async ({ system }) => {
      const heard: { system: string; event: SystemEvent }[] = [];
      const hear = (message: unknown) =>
        heard.push(message as { system: string; event: SystemEvent });
      subscribe('palyra.runtime.actor.started', hear);
      try {
        await system.ask(team, 'spawn', kid, IN_5S);
        const [first] = await until('it is heard', () => heard.length > 0 && heard);
        assert.is(first?.system, 't');
        assert.is(first?.event.type, 'actor.started');
      } finally {
        unsubscribe('palyra.runtime.actor.started', hear);
      }
    }));
}

test('O1 an observer that throws or rejects is counted and changes nothing for the others', () =>
  withTree('inline', { children: [teamSpec] }, async ({ system, events }) => {
    const leaves = [
      system.observe(() => {
        throw new Error('told to');
      }),
      system.observe(() => Promise.reject(new Error('told to'))),
    ];
    const after: SystemEvent[] = [];
    system.observe((event) => after.push(event));
    const before = events.length;
    await system.ask(team, 'spawn', kid, IN_5S);
    await until('it has started', () => after.length === 1);
    assert.is(events.length, before + 1);
    const { counters } = await system.inspect();
    assert.is(counters.observer_failures, 2);
    for (const leave of leaves) leave();
    system.tell(team, 'stopChild', 'kid');
    await until('it is gone', () => after.length === 2);
    assert.is((await system.inspect()).counters.observer_failures, 2);
  }));

test('O1 the last event is the end of the system, with its cause', async () => {
  const events: SystemEvent[] = [];
  const system = await createSystem({
    name: 'u',
    threads: 'inline',
    onEvent: (event) => events.push(event),
  });
  await within('the stop', system.stop());
  assert.equal(events.at(-1), { type: 'system.stopped', cause: await system.ended });
});

test('O3 who makes events is told whether anybody hears', () => {
  const observers = new Observers('t');
  const isHeard = () => observers.heard[0] === 1;
  assert.not.ok(observers.hears('dead_letter') || isHeard());
  const leave = observers.add(() => undefined);
  assert.ok(observers.hears('dead_letter') && isHeard());
  leave();
  assert.not.ok(observers.hears('dead_letter') || isHeard());
  const hear = () => undefined;
  subscribe('palyra.runtime.thread.lost', hear);
  observers.look();
  assert.ok(observers.hears('thread.lost') && isHeard());
  assert.not.ok(observers.hears('dead_letter'), 'a channel is one type');
  unsubscribe('palyra.runtime.thread.lost', hear);
  observers.look();
  assert.not.ok(observers.hears('thread.lost') || isHeard());
});

test('O3 a worker thread learns that somebody hears', () =>
  within(
    'the end',
    (async () => {
      const system = await createSystem({ name: 't', threads: { pool: 1 } });
      try {
        const lone = child(teamActor, { id: 'lone', args: {}, placement: 'pool' });
        await system.started(system.spawn(lone));
        const at = refTo<TeamProtocol>('t', 'lone');
        await system.ask(at, 'spawn', kid, IN_5S);
        const events: SystemEvent[] = [];
        system.observe((event) => events.push(event));
        system.tell(at, 'stopChild', 'kid');
        await until('the end is heard', () => events.length > 0);
        assert.equal(heardOf(events, 't/lone/kid'), ['actor.stopped']);
      } finally {
        await system.stop({ deadlineMs: 4_000 });
      }
    })(),
    20_000,
  ));

test('O3 of one type a thread tells 100 events a second, and all to who keeps books', () => {
  const observer = { hears: () => true, emit: () => undefined };
  const toldOf = (ration: Ration, inspection: Inspection, nowMs: number) =>
    Array.from({ length: 150 }, () => ration.mayTell(inspection, 'dead_letter', nowMs)).filter(
      Boolean,
    ).length;
  const ration = new Ration();
  assert.is(toldOf(ration, observer, 0), 100);
  assert.is(toldOf(ration, observer, 999), 0);
  assert.is(toldOf(ration, observer, 1_000), 100);
  assert.is(toldOf(new Ration(), everything(observer.emit), 0), 150);
  assert.is(toldOf(new Ration(), { ...observer, hears: () => false }, 0), 0);
});

test.run();
