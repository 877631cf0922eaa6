/** A system on a virtual machine, and probes in it and in a system of real threads. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ActorRef, child, createSystem, refTo } from '../../../runtime/index.ts';
import {
  createProbe,
  createVirtualSystem,
  type VirtualSystem,
} from '../../../runtime/testing/index.ts';
import { within } from '../../support/within.ts';
import {
  type CounterProtocol,
  counterActor,
  type LifeProtocol,
  lifeActor,
  type TraceProtocol,
} from '../support/actors.ts';
import { startTree } from '../support/system.ts';

const virtual = suite('a virtual system');
const probes = suite('probes');

async function withCounter(
  work: (world: VirtualSystem, counter: ActorRef<CounterProtocol>) => Promise<void>,
): Promise<void> {
  const world = await createVirtualSystem({ name: 't' });
  try {
    await work(world, world.system.spawn(child(counterActor, { id: 'counter', args: {} })));
  } finally {
    await within('the system has stopped', world.stop());
  }
}

function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: Error) => error.message,
  );
}

virtual('handles nothing until it is driven, and then all that needs no time', () =>
  withCounter(async ({ system }, counter) => {
    assert.is(system.tell(counter, 'add', 2), true);
    const { counters } = await system.inspect();
    assert.is(counters.handled, 0);
  }),
);

virtual('settle, then the reply is there; run drives until it is', () =>
  withCounter(async (world, counter) => {
    world.system.tell(counter, 'add', 2);
    await world.settle();
    assert.is((await world.system.inspect()).counters.handled, 1);
    const total = world.system.ask(counter, 'total', null, { inMs: 1_000 });
    assert.is(await world.run(total), 2);
  }),
);

virtual('an ask without an answer ends at its deadline, in no real time', () =>
  withCounter(async (world) => {
    const silent = await createProbe<CounterProtocol>(world.system, {
      kinds: ['total'],
      answer: () => new Promise(() => undefined),
    });
    const beganMs = world.host.monotonicMs();
    const ask = world.system.ask(silent.ref, 'total', null, { inMs: 3_600_000 });
    assert.match(await messageOf(world.run(ask, 4_000_000)), 'ask_timeout');
    assert.ok(world.host.monotonicMs() - beganMs >= 3_600_000);
  }),
);

virtual('advance fires each timer that is due, in its order, and no other', () =>
  withCounter(async (world) => {
    const probe = await createProbe<TraceProtocol>(world.system, { kinds: ['note'] });
    const spec = { args: { name: 'x', trace: probe.ref }, restart: 'temporary' as const };
    const life = world.system.spawn(child(lifeActor, { id: 'life', ...spec }));
    world.system.tell(life, 'timer', 500);
    await world.settle();
    probe.take();
    await world.advance(499);
    assert.equal(probe.take(), []);
    await world.advance(1);
    assert.is(probe.take().length, 1);
  }),
);

virtual('run gives up where time alone settles nothing', () =>
  withCounter(async (world) => {
    const never = new Promise<never>(() => undefined);
    assert.match(await messageOf(world.run(never, 1_000)), 'not settled within 1000 ms');
  }),
);

for (const mode of ['inline', 'threads'] as const) {
  probes(`${mode}: hear what another actor sends, and answer it`, async () => {
    const watcher = refTo<TraceProtocol>('t', 'probe');
    const life = refTo<LifeProtocol>('t', 'root/life');
    const args = { name: 'life', trace: watcher };
    const { system } = await startTree(mode, [
      child(counterActor, { id: 'a', args: {}, placement: { hash: 'a' } }),
      child(lifeActor, { id: 'life', args, placement: { hash: 'b' }, restart: 'temporary' }),
    ]);
    try {
      const probe = await createProbe<TraceProtocol>(system, { kinds: ['note', 'read'] });
      const counter = await createProbe<CounterProtocol>(system, {
        id: 'counter',
        kinds: ['total'],
        answer: () => 42,
      });
      system.tell(life, 'requests', { of: counter.ref, inMs: 2_000 });
      await counter.expect('total');
      const note = await probe.fishFor(({ payload }) => String(payload).includes('42'));
      assert.is(note.kind, 'note');
      probe.watch(life);
      system.tell(life, 'leave', null);
      const down = await probe.expectDown(life);
      assert.is(down.cause.kind, 'stopped');
    } finally {
      await system.stop();
    }
  });
}

probes('say what came instead, what was not to come, and that nothing came', () =>
  withCounter(async (world) => {
    const probe = await createProbe<CounterProtocol>(world.system, { kinds: ['add', 'crash'] });
    world.system.tell(probe.ref, 'add', 7);
    const wrong = world.run(probe.expect('crash'));
    assert.is(await messageOf(wrong), "expected a 'crash', got 'add' 7");
    assert.is(
      await messageOf(world.run(probe.expect('add', 250))),
      "expected a 'add', none within 250 ms",
    );
    await world.run(probe.expectNothing(100));
    const nothing = messageOf(world.run(probe.expectNothing(100)));
    world.system.tell(probe.ref, 'add', 8);
    assert.is(await nothing, "expected nothing, got 'add' 8");
    assert.is(await world.run(probe.expect('add')), 8, 'what was not expected is not lost');
    const first = probe.expect('add');
    assert.match(await messageOf(probe.expect('add')), 'waits for something else already');
    world.system.tell(probe.ref, 'add', 9);
    assert.is(await world.run(first), 9);
  }),
);

probes('a probe of code that threads resolve themselves is refused', async () => {
  const setup = new URL('./own-resolve.js', import.meta.url).href;
  const system = await createSystem({
    name: 't',
    threads: 'inline',
    thread: { module: setup, export: 'setup', args: null },
  });
  try {
    const probe = createProbe<CounterProtocol>(system, { kinds: ['add'] });
    assert.match(await messageOf(probe), 'unknown_module');
  } finally {
    await system.stop();
  }
});

virtual.run();
probes.run();
