/** Messages that are held against a schema at the borders of threads: runtime/SEMANTICS.md M14, M15. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createNodeHost } from '../../runtime/host/node-host.ts';
import { child, refTo, type SystemEvent } from '../../runtime/index.ts';
import { compile } from '../../runtime/kernel/compiled.ts';
import { Kernel } from '../../runtime/kernel/kernel.ts';
import { FlightRecorder } from '../../runtime/thread/flight-recorder.ts';
import { until, within } from '../support/within.ts';
import {
  type CheckedProtocol,
  checkedActor,
  type Order,
  schemaOf,
} from './support/checked-actor.ts';
import { MODES, withTree } from './support/system.ts';

const a = refTo<CheckedProtocol>('t', 'root/a');
const b = refTo<CheckedProtocol>('t', 'root/b');
const here = refTo<CheckedProtocol>('t', 'root/here');
const ACTORS = [
  child(checkedActor, { id: 'a', args: null, placement: { hash: 'a' } }),
  child(checkedActor, { id: 'b', args: null, placement: { hash: 'b' } }),
  child(checkedActor, { id: 'here', args: null, placement: 'main' }),
];
const IN_2S = { inMs: 2_000 };
const ORDER: Order = { id: 'o', lines: [{ count: 2 }, { count: 3 }] };

const failureOf = (ask: Promise<unknown>) =>
  ask.then(
    () => ({ code: 'no error', message: '' }),
    ({ code, message }: { code: string; message: string }) => ({ code, message }),
  );
const isDeadLetter = (event: SystemEvent) =>
  event.type === 'dead_letter' && event.reason === 'invalid_message';

for (const mode of MODES) {
  const test = suite(`schemas, ${mode}`);
  const it = (title: string, work: Parameters<typeof withTree>[2]) =>
    test(title, () => within(title, withTree(mode, { children: ACTORS }, work), 20_000));

  it('M14 what passes is handled as the schema gives it', async ({ system }) => {
    system.tell(a, 'add', '40' as never);
    system.tell(a, 'add', 2);
    assert.is(await system.ask(a, 'total', null, IN_2S), 42);
    assert.is(await system.ask(a, 'order', ORDER, IN_2S), 'o: 5');
  });

  it('M14 what does not fails its asker with what is wrong, and its actor goes on', async ({
    system,
    events,
  }) => {
    const wrong = { id: 'o', lines: [{ count: 2 }, { count: 'secret' }] } as never;
    const { code, message } = await failureOf(system.ask(a, 'order', wrong, IN_2S));
    assert.is(code, 'invalid_message');
    assert.match(message, 'lines.1.count: ');
    assert.not.match(message, 'secret');
    assert.is(await system.ask(a, 'lives', null, IN_2S), 1);
    await until('it is a dead letter too', () => events.some(isDeadLetter));
  });

  it('M14 a tell that does not is a dead letter, and counted', async ({ system, events }) => {
    assert.ok(system.tell(a, 'add', 1.5));
    assert.ok(await system.ask(a, 'relay', { to: b, n: 'many' }, IN_2S));
    const count = async () => (await system.inspect()).counters.invalid_messages;
    await until('both are counted', async () => (await count()) === 2);
    await until('both are told', () => events.filter(isDeadLetter).length === 2);
    assert.is(await system.ask(a, 'total', null, IN_2S), 0);
    assert.is(await system.ask(b, 'total', null, IN_2S), 0);
  });

  it('M14 within a thread a message is its sender’s word', async ({ system }) => {
    system.tell(here, 'add', 1.5);
    assert.is(await system.ask(here, 'total', null, IN_2S), 1.5);
    assert.is(await system.ask(here, 'asynchronous', 1, IN_2S), 1);
  });

  for (const [kind, cause] of [
    ['asynchronous', 'bad_schema'],
    ['throwing', 'told_to'],
  ] as const) {
    it(`M15 a schema that is ${kind} is a crash of its actor`, async ({ system, events }) => {
      assert.is((await failureOf(system.ask(a, kind, 1, IN_2S))).code, 'actor_crashed');
      await until('it is told', () =>
        events.some((event) => event.type === 'actor.crashed' && event.cause.code === cause),
      );
      await until('it is back', async () => {
        const lives = await system.ask(a, 'lives', null, IN_2S).catch(() => 0);
        return lives === 2;
      });
    });
  }

  test.run();
}

const definitions = suite('definitions with schemas');

definitions('M15 what is no schema, or of no message, is refused where the actor is made', () => {
  const isRefused = ({ code }: { code: string }) => code === 'bad_schema';
  const good = schemaOf((value) => ({ value }));
  const { '~standard': standard } = good;
  const bad: readonly Record<string, unknown>[] = [
    { add: null },
    { add: () => true },
    { add: { '~standard': { ...standard, version: 2 } } },
    { add: { '~standard': { version: 1 } } },
    { nobody: good },
  ];
  for (const schemas of bad)
    assert.throws(() => compile({ ...checkedActor, schemas } as never), isRefused);
  const callable = { add: Object.assign(() => 1, good) };
  assert.ok(compile({ ...checkedActor, schemas: callable } as never));
});

definitions('M14 what comes before the code of its receiver is known is checked too', async () => {
  const kernel = new Kernel({
    thread: 'pool-0',
    host: createNodeHost(),
    recorder: new FlightRecorder(),
    inspection: { hears: () => false, emit: () => undefined },
    firstUid: 1,
  });
  kernel.code.resolve = async () => checkedActor;
  const spec = { ...child(checkedActor, { id: 'a', args: null }) };
  const owner = { started: () => undefined, ended: () => undefined };
  const cell = kernel.createRoot('t/a', spec as never, owner);
  assert.is(cell.compiled, undefined);
  assert.ok(kernel.sendTo(cell, 'add', 'many', undefined, true));
  assert.ok(kernel.sendTo(cell, 'add', 'one', undefined));
  cell.start(1);
  await until('both are taken', () => kernel.counters.handled === 2);
  assert.is(kernel.counters.invalid_messages, 1);
  assert.equal(cell.state, { total: '0one' });
});

definitions.run();
