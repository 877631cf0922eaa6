/** Idle actors that are ended and come back with their next message: runtime/SEMANTICS.md V. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ActorSnapshot,
  type ChildSpec,
  checkChildSpec,
  child,
  defineActor,
  refTo,
  type System,
  type SystemEvent,
  supervisor,
} from '../../runtime/index.ts';
import { createMemoryStore, PowerLossStore, type Store } from '../../runtime/store/index.ts';
import {
  createProbe,
  createVirtualSystem,
  type VirtualSystem,
} from '../../runtime/testing/index.ts';
import { until } from '../support/within.ts';
import { type NotebookProtocol, notebookActor } from './support/notebook-actor.ts';
import { type SleeperArgs, type SleeperProtocol, sleeperActor } from './support/sleeper-actor.ts';
import { MODES, withTree } from './support/system.ts';
import { teamActor } from './support/team-actor.ts';

const test = suite('passivation');
const sleeper = refTo<SleeperProtocol>('t', 'root/sleeper');
const SOON = { inMs: 20_000 };
const IDLE_MS = 1_000;
const LIMITS = {
  strategy: 'one_for_one',
  intensity: 100,
  periodMs: 10_000,
  backoff: { minMs: 1, maxMs: 20, factor: 2, jitter: 0, resetAfterMs: 1_000 },
} as const;

function specOf(
  args: SleeperArgs = {},
  more: Partial<ChildSpec<SleeperProtocol, SleeperArgs>> = {},
) {
  return child(sleeperActor, { id: 'sleeper', args, passivateAfterMs: IDLE_MS, ...more });
}

interface World {
  readonly world: VirtualSystem;
  readonly system: System;
  readonly events: SystemEvent[];
}

async function withVirtual(
  children: readonly ChildSpec<never, never>[],
  work: (test: World) => Promise<void>,
  store: Store = createMemoryStore(),
): Promise<void> {
  const events: SystemEvent[] = [];
  const onEvent = (event: SystemEvent) => events.push(event);
  const world = await createVirtualSystem({ name: 't', store, onEvent });
  const { system } = world;
  const root = system.spawn(
    supervisor('root', { ...LIMITS, children: children as readonly ChildSpec<unknown, unknown>[] }),
  );
  await world.run(system.started(root));
  try {
    await work({ world, system, events });
  } finally {
    await world.stop();
  }
}

async function look(system: System): Promise<ActorSnapshot | undefined> {
  return (await system.inspect()).actors.find(({ path }) => path === 't/root/sleeper');
}

const stateOf = async (system: System) => (await look(system))?.state;
const heard = (system: System) => system.ask(sleeper, 'heard', null, SOON);
const incarnation = (system: System) => system.ask(sleeper, 'incarnation', null, SOON);

for (const mode of MODES) {
  test(`V1 V3 (${mode}) an idle actor is passive until its next message, and nobody takes it for an end`, async () => {
    const spec = specOf({}, { passivateAfterMs: 50, placement: 'pool' });
    const tree = { children: [spec as ChildSpec<unknown, unknown>], store: createMemoryStore() };
    await withTree(mode, tree, async ({ system, events }) => {
      for (let n = 1; n <= 3; n += 1) {
        assert.is(system.tell(sleeper, 'note', n), true);
        await heard(system);
        await until('it is passive', async () => (await stateOf(system)) === 'passive', 20_000);
      }
      const { notes, lives } = await heard(system);
      assert.equal(notes, [1, 2, 3]);
      assert.ok(lives > 2, `${lives}`);
      assert.is(await incarnation(system), 1);
      assert.is((await look(system))?.restarts, 0);
      const told = events.filter(
        ({ type }) => type.startsWith('actor.') && type !== 'actor.started',
      );
      assert.equal(told, []);
      await until('it is passive', async () => (await stateOf(system)) === 'passive', 20_000);
    });
  });
}

test('V1 it is passive when it has been idle for so long, not before', async () => {
  await withVirtual([specOf() as never], async ({ world, system }) => {
    for (let n = 0; n < 5; n += 1) {
      await world.advance(IDLE_MS - 100);
      assert.is(await stateOf(system), 'running');
      system.tell(sleeper, 'note', n);
    }
    await world.advance(IDLE_MS + 1);
    assert.is(await stateOf(system), 'passive');
    assert.is((await world.run(heard(system))).lives, 2);
  });
});

test('V2 what comes while it goes down and comes up waits in its mailbox, in order and bounded', async () => {
  let isSlow = true;
  const store = new PowerLossStore({ schedule: (flush) => isSlow || flush() });
  const work = async ({ world, system }: World) => {
    await world.advance(IDLE_MS + 1);
    // Its `stop` waits for the disk.
    assert.is(await stateOf(system), 'stopping');
    const taken = Array.from({ length: 12 }, (_, n) => system.tell(sleeper, 'note', n));
    assert.equal(
      taken,
      Array.from({ length: 12 }, (_, n) => n < 10),
    );
    await world.advance(10);
    assert.is((await look(system))?.mailbox, 10);
    isSlow = false;
    store.flush();
    await world.settle();
    const answer = await world.run(heard(system));
    assert.equal(answer, { notes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], lives: 2 });
  };
  await withVirtual([specOf() as never], work, store);
});

test('V2 no message is lost, doubled or overtaken, whenever it comes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.nat(3)), { maxLength: 25 }),
      async (steps) => {
        const spec = specOf({}, { passivateAfterMs: 10 });
        await withVirtual([spec as never], async ({ world, system }) => {
          const sent: number[] = [];
          for (const [ms, count] of steps) {
            if (ms > 0) await world.advance(ms);
            for (let n = 0; n < count; n += 1) {
              if (system.tell(sleeper, 'note', sent.length)) sent.push(sent.length);
            }
          }
          assert.equal((await world.run(heard(system))).notes, sent);
          assert.is(await world.run(incarnation(system)), 1);
        });
      },
    ),
    { seed: 5, numRuns: 40 },
  );
});

for (const when of ['passive', 'stopping'] as const) {
  test(`V3 a watcher hears of its end while it is ${when}, once, and of nothing before`, async () => {
    let isSlow = when === 'stopping';
    const store = new PowerLossStore({ schedule: (flush) => isSlow || flush() });
    const work = async ({ world, system }: World) => {
      const team = system.spawn(child(teamActor, { id: 'team', args: {} }));
      const spec = specOf() as ChildSpec<unknown, unknown>;
      const ref = await world.run(system.ask(team, 'spawn', spec, SOON));
      const probe = await world.run(createProbe(system, { kinds: [] }));
      probe.watch(ref);
      await world.advance(IDLE_MS + 1);
      const { actors } = await system.inspect();
      assert.is(actors.find(({ path }) => path === 't/team/sleeper')?.state, when);
      await world.run(probe.expectNothing(IDLE_MS));
      system.tell(team, 'stopChild', 'sleeper');
      await world.settle();
      isSlow = false;
      store.flush();
      const { cause } = await world.run(probe.expectDown(ref));
      assert.is(cause.code, 'shutdown');
      assert.equal(await world.run(system.ask(team, 'ids', null, SOON)), []);
      await world.run(probe.expectNothing(IDLE_MS));
    };
    await withVirtual([], work, store);
  });
}

for (const what of ['timer', 'work', 'request', 'answer', 'watch', 'child'] as const) {
  test(`V4 one that waits (${what}) is not passive`, async () => {
    const other = child(sleeperActor, { id: 'other', args: {} });
    const server = refTo<SleeperProtocol>('t', 'root/other');
    await withVirtual([other as never, specOf({ server }) as never], async ({ world, system }) => {
      if (what !== 'answer') system.tell(sleeper, 'wait', what);
      else void system.ask(sleeper, 'never', null, SOON).catch(() => undefined);
      await world.advance(5 * IDLE_MS);
      assert.is(await stateOf(system), 'running');
    });
  });
}

test('V5 a stop that takes too long, and a start that fails, are crashes as any', async () => {
  const hanging = specOf({ stopHangs: true }, { shutdownTimeoutMs: 100 });
  await withVirtual([hanging as never], async ({ world, system, events }) => {
    system.tell(sleeper, 'note', 1);
    await world.advance(IDLE_MS + 200);
    assert.is(await world.run(incarnation(system)), 2);
    assert.equal((await world.run(heard(system))).notes, [1]);
    const causes = events.map((event) => event.type === 'actor.crashed' && event.cause.code);
    assert.ok(causes.includes('shutdown_timeout'), causes.join());
  });
  await withVirtual([specOf({ failsToWake: true }) as never], async ({ world, system, events }) => {
    await world.advance(IDLE_MS + 1);
    assert.is(await stateOf(system), 'passive');
    system.tell(sleeper, 'note', 7);
    assert.equal((await world.run(heard(system))).notes, [7]);
    assert.is(await world.run(incarnation(system)), 2);
    assert.ok(events.some(({ type }) => type === 'actor.crashed'));
  });
});

test('V5 a passive actor of a lost thread is there for the next message', async () => {
  const placement = { hash: 'one' };
  const neighbour = child(notebookActor, { id: 'neighbour', args: null, placement });
  const spec = specOf({}, { passivateAfterMs: 50, placement });
  const children = [neighbour, spec as ChildSpec<unknown, unknown>];
  await withTree('threads', { children, store: createMemoryStore() }, async ({ system }) => {
    system.tell(sleeper, 'note', 1);
    await heard(system);
    await until('it is passive', async () => (await stateOf(system)) === 'passive', 20_000);
    system.tell(refTo<NotebookProtocol>('t', 'root/neighbour'), 'exit', null);
    const found = await until(
      'it answers on a new thread',
      async () => {
        const lives = await incarnation(system).catch(() => 1);
        return lives > 1 && heard(system);
      },
      20_000,
    );
    assert.equal(found.notes, [1]);
  });
});

test('V1 a reminder wakes it', async () => {
  await withVirtual([specOf() as never], async ({ world, system }) => {
    system.tell(sleeper, 'remindAfter', 60_000);
    await world.advance(IDLE_MS + 10);
    assert.is(await stateOf(system), 'passive');
    await world.advance(60_000);
    assert.equal(await world.run(heard(system)), { notes: [1], lives: 3 });
  });
});

test('V6 the memory of a passive actor is given back', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  await withVirtual(
    [child(largeActor, { id: 'large', args: null, passivateAfterMs: IDLE_MS }) as never],
    async ({ world }) => {
      const [held] = states.splice(0);
      await world.advance(IDLE_MS + 1);
      await until('its state is collected', () => {
        collect();
        return held !== undefined && held.deref() === undefined;
      });
    },
  );
});

test('S11 a spec that cannot be kept is refused', () => {
  for (const passivateAfterMs of [0, -1, Number.NaN, 2 ** 31])
    assert.throws(() => checkChildSpec(specOf({}, { passivateAfterMs })), /passivateAfterMs/);
  assert.throws(() => checkChildSpec(specOf({}, { shutdownTimeoutMs: 0 })), /shutdownTimeoutMs/);
});

const states: WeakRef<object>[] = [];

const largeActor = defineActor<Record<never, never>, Record<never, never>, null, object, unknown>({
  module: import.meta.url,
  export: 'largeActor',
  name: 'large',
  mailbox: { limitMessages: 1, overflow: 'reject' },
  start() {
    const state = { rows: new Array(1_000).fill('x') };
    states.push(new WeakRef(state));
    return state;
  },
  receive: {},
});

test.run();
