/** Timers that outlive their actors, over restarts, lost threads, systems and jumps of the clock: runtime/SEMANTICS.md D. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  child,
  type ReminderTime,
  refTo,
  type System,
  supervisor,
} from '../../../runtime/index.ts';
import { REMINDERS_TABLE } from '../../../runtime/state/keeper.ts';
import { KEEPER_ID, type KeeperProtocol, type Stamp } from '../../../runtime/state/protocol.ts';
import { createMemoryStore, PowerLossStore, type Store } from '../../../runtime/store/index.ts';
import { createVirtualSystem, type VirtualSystem } from '../../../runtime/testing/index.ts';
import { until } from '../../support/within.ts';
import { type AlarmProtocol, alarmActor, deafActor, notesHere } from '../support/alarm-actor.ts';
import { MODES, type Mode, withTree } from '../support/system.ts';

const test = suite('reminders');
const alarm = refTo<AlarmProtocol>('t', 'root/alarm');
const keeper = refTo<KeeperProtocol>('t', KEEPER_ID);
const SOON = { inMs: 20_000 };
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const NOON_MS = 1_800_000_000_000;
const SUPERVISION = {
  strategy: 'one_for_one',
  intensity: 1_000,
  periodMs: 10_000,
  backoff: { minMs: 1, maxMs: 20, factor: 2, jitter: 0, resetAfterMs: 1_000 },
} as const;

function withAlarm(
  mode: Mode,
  store: Store,
  work: (system: System) => Promise<void>,
  definition: typeof alarmActor = alarmActor,
): Promise<void> {
  const children = [child(definition, { id: 'alarm', args: null, placement: 'pool' })];
  return withTree(mode, { children, store }, ({ system }) => work(system));
}

/** The same on a virtual machine that begins at `wallMs`. */
async function withVirtualAlarm(
  { store, wallMs = NOON_MS }: { readonly store: Store; readonly wallMs?: number },
  work: (world: VirtualSystem) => Promise<void>,
): Promise<void> {
  const world = await createVirtualSystem({ name: 't', store, wallMs });
  const children = [child(alarmActor, { id: 'alarm', args: null })];
  world.system.spawn(supervisor('root', { ...SUPERVISION, children }));
  await world.settle();
  try {
    await work(world);
  } finally {
    await world.stop();
  }
}

function set(system: System, name: string, when: ReminderTime, note: unknown = name) {
  return system.ask(alarm, 'set', { name, when, note }, SOON);
}

const rings = (system: System) => system.ask(alarm, 'rings', null, SOON).catch(() => []);
const kept = (store: Store) => store.keys({ table: REMINDERS_TABLE, limit: 10_000 }).keys.length;

async function notes(world: VirtualSystem): Promise<string[]> {
  return (await world.run(rings(world.system))).map(({ note }) => note);
}

function heard(system: System, note: string, times = 1): Promise<unknown> {
  return until(
    `${note} was heard`,
    async () => {
      const found = await rings(system);
      return found.filter((ring) => ring.note === note).length >= times;
    },
    20_000,
  );
}

for (const mode of MODES) {
  test(`D1 D4 (${mode}) a reminder comes as a message, and its row is gone when it was handled`, async () => {
    const store = createMemoryStore();
    await withAlarm(mode, store, async (system) => {
      assert.is(await set(system, 'egg', { afterMs: 50 }), '');
      await heard(system, 'egg');
      await until('its row is gone', () => kept(store) === 0);
      assert.is((await rings(system)).length, 1);
    });
  });

  test(`D1 (${mode}) it comes to the next incarnation`, async () => {
    await withAlarm(mode, createMemoryStore(), async (system) => {
      system.tell(alarm, 'setAndEnd', 'crash');
      await heard(system, 'egg');
      assert.is((await rings(system))[0]?.incarnation, 2);
    });
  });

  test(`D2 (${mode}) one whose handler crashed comes again, until a handler was done with it`, async () => {
    const store = createMemoryStore();
    await withAlarm(mode, store, async (system) => {
      await set(system, 'fatal', { afterMs: 0 });
      await heard(system, 'fatal', 3);
      await until('its row is gone', () => kept(store) === 0);
      assert.equal(
        (await rings(system)).map(({ incarnation }) => incarnation),
        [1, 2, 3],
      );
    });
  });

  test(`D2 (${mode}) one whose handler returned what has no form was handled`, async () => {
    const store = createMemoryStore();
    await withAlarm(mode, store, async (system) => {
      await set(system, 'odd', { afterMs: 0 });
      await heard(system, 'odd');
      await until('its row is gone', () => kept(store) === 0);
    });
  });

  test(`D6 (${mode}) too many, too large ones and wrong ones are refused with a code`, async () => {
    const store = createMemoryStore();
    await withAlarm(mode, store, async (system) => {
      const codes = await system.ask(alarm, 'setMany', 66, SOON);
      assert.equal(codes.filter((code) => code === 'reminders_full').length, 2);
      assert.is(await set(system, 'n0', { afterMs: HOUR_MS }), '');
      assert.is(kept(store), 64);
      const wrong: [string, ReminderTime, unknown, string][] = [
        ['', { afterMs: 1 }, '', 'bad_option'],
        ['a#b', { afterMs: 1 }, '', 'bad_option'],
        ['x'.repeat(65), { afterMs: 1 }, '', 'bad_option'],
        ['a', { afterMs: -1 }, '', 'bad_option'],
        ['a', { atWallMs: Number.NaN }, '', 'bad_option'],
        ['a', {} as ReminderTime, '', 'bad_option'],
        ['a', { afterMs: 1, atWallMs: 1 } as unknown as ReminderTime, '', 'bad_option'],
        ['a', { afterMs: 1, everyMs: 999 }, '', 'bad_option'],
        ['a', { afterMs: 1 }, 'x'.repeat(70_000), 'not_encodable'],
        ['a', { afterMs: 1 }, new Date(0), 'not_encodable'],
      ];
      for (const [name, when, note, code] of wrong)
        assert.is(await set(system, name, when, note), code, `${name} ${JSON.stringify(when)}`);
      assert.is(await system.ask(alarm, 'setKind', 'constructor', SOON), 'unknown_kind');
      assert.is(kept(store), 64);
    });
    const deaf = async (system: System) =>
      assert.is(await set(system, 'a', { afterMs: 1 }), 'bad_option');
    await withAlarm(mode, store, deaf, deafActor);
  });

  test(`D7 (${mode}) an earlier incarnation sets and cancels nothing, once a later one has started`, async () => {
    const store = createMemoryStore();
    await withAlarm(mode, store, async (system) => {
      await set(system, 'egg', { afterMs: HOUR_MS });
      const path = 't/root/other';
      const reminder = {
        kind: 'ring',
        payload: new Uint8Array([1]),
        everyMs: 0,
        dueAtMs: 0,
        waitMs: 0,
      };
      system.tell(keeper, 'awake', { path, stamp: [5, 3, 5, 3] as Stamp });
      const early = { path, stamp: [5, 2, 5, 2] as Stamp, name: 'a' };
      assert.is(
        await system.ask(keeper, 'remind', { ...early, reminder }, SOON),
        'stale_incarnation',
      );
      assert.is(await system.ask(keeper, 'cancel', early, SOON), 'stale_incarnation');
      assert.is(kept(store), 1);
    });
  });
}

test('D1 it outlives its thread', async () => {
  await withAlarm('threads', createMemoryStore(), async (system) => {
    system.tell(alarm, 'setAndEnd', 'exit');
    await heard(system, 'egg');
    assert.is((await rings(system))[0]?.incarnation, 2);
  });
});

test('D5 a store that has failed ends what waits, with its code', async () => {
  const store = new PowerLossStore({ schedule: (flush) => flush() });
  await withAlarm('inline', store, async (system) => {
    store.failCommit();
    assert.is(await set(system, 'egg', { afterMs: 1 }), 'store_failed');
    assert.is(await system.ask(alarm, 'cancel', 'egg', SOON), 'store_failed');
  });
});

test('D3 it comes when it is due and not before, in the order in which they are due', async () => {
  await withVirtualAlarm({ store: createMemoryStore() }, async (world) => {
    await world.run(set(world.system, 'third', { atWallMs: NOON_MS + 3 * MINUTE_MS }));
    await world.run(set(world.system, 'first', { afterMs: MINUTE_MS }));
    await world.run(set(world.system, 'second', { afterMs: 2 * MINUTE_MS }));
    await world.advance(MINUTE_MS - 10);
    assert.equal(await notes(world), []);
    await world.advance(20);
    assert.equal(await notes(world), ['first']);
    await world.advance(2 * MINUTE_MS);
    assert.equal(await notes(world), ['first', 'second', 'third']);
  });
});

test('D3 one that became due while nobody was there comes when its actor has started, and those missed are one', async () => {
  const store = createMemoryStore();
  await withVirtualAlarm({ store }, async (world) => {
    await world.run(set(world.system, 'once', { afterMs: MINUTE_MS }));
    await world.run(set(world.system, 'often', { afterMs: MINUTE_MS, everyMs: MINUTE_MS }));
  });
  await withVirtualAlarm({ store, wallMs: NOON_MS + HOUR_MS + 1 }, async (world) => {
    await world.advance(SECOND_MS);
    assert.equal((await notes(world)).sort(), ['often', 'once']);
    assert.is(kept(store), 1);
    // The next one keeps to the times of the first.
    await world.advance(MINUTE_MS);
    const times = (await world.run(rings(world.system))).map(({ atWallMs }) => atWallMs);
    assert.is(times.length, 3);
    assert.ok(((times[2] ?? 0) - NOON_MS) % MINUTE_MS < 10, `${times[2]}`);
  });
});

test('D4 one set again comes once, as it was set last; a cancelled one never', async () => {
  const store = createMemoryStore();
  await withVirtualAlarm({ store }, async (world) => {
    await world.run(set(world.system, 'a', { afterMs: MINUTE_MS }, 'early'));
    await world.run(set(world.system, 'a', { afterMs: 2 * MINUTE_MS }, 'late'));
    await world.run(set(world.system, 'b', { afterMs: MINUTE_MS }, 'cancelled'));
    assert.is(await world.run(world.system.ask(alarm, 'cancel', 'b', SOON)), '');
    assert.is(await world.run(world.system.ask(alarm, 'cancel', 'none', SOON)), '');
    await world.advance(HOUR_MS);
    assert.equal(await notes(world), ['late']);
    assert.is(kept(store), 0);
  });
});

test('D5 a wall clock that jumps forth brings what is due by it, within a second', async () => {
  await withVirtualAlarm({ store: createMemoryStore() }, async (world) => {
    await world.run(set(world.system, 'a', { atWallMs: NOON_MS + HOUR_MS }));
    await world.run(set(world.system, 'b', { afterMs: 2 * HOUR_MS }));
    await world.advance(MINUTE_MS);
    world.host.jumpWall(HOUR_MS);
    await world.advance(SECOND_MS + 10);
    assert.equal(await notes(world), ['a']);
  });
});

test('D5 one that jumps back makes none wait longer than it was to wait, while it runs and over a restart', async () => {
  const store = createMemoryStore();
  const due = [
    ['a', { afterMs: MINUTE_MS }],
    ['b', { atWallMs: NOON_MS + MINUTE_MS }],
    ['c', { afterMs: 0, everyMs: MINUTE_MS }],
  ] as const;
  await withVirtualAlarm({ store }, async (world) => {
    for (const [name, when] of due) await world.run(set(world.system, name, when));
    await world.advance(10);
    world.host.jumpWall(-24 * HOUR_MS);
    await world.advance(MINUTE_MS + 2 * SECOND_MS);
    assert.equal((await notes(world)).sort(), ['a', 'b', 'c', 'c']);
    for (const [name, when] of due) await world.run(set(world.system, name, when));
    await world.advance(10);
  });
  await withVirtualAlarm({ store, wallMs: NOON_MS - 240 * HOUR_MS }, async (world) => {
    await world.advance(MINUTE_MS + 2 * SECOND_MS);
    assert.equal((await notes(world)).sort(), ['a', 'c']);
  });
});

test('D2 D8 one that its actor dies of comes less and less often, and keeps none of the others from it', async () => {
  await withVirtualAlarm({ store: createMemoryStore() }, async (world) => {
    await world.run(set(world.system, 'bad', { afterMs: SECOND_MS }, 'never'));
    for (const name of ['x', 'y', 'z'])
      await world.run(set(world.system, name, { afterMs: 2 * SECOND_MS }));
    await world.advance(10 * SECOND_MS);
    const found = await notes(world);
    // After 0.1, 0.2, 0.4, 0.8, 1.6 and 3.2 s, although the actor is back at once.
    const tries = found.filter((note) => note === 'never').length;
    assert.ok(tries > 2 && tries <= 7, found.join());
    for (const name of ['x', 'y', 'z'])
      assert.is(found.filter((note) => note === name).length, 1, found.join());
  });
});

test('D2 a stop waits for the commit of what was confirmed as long as it may take itself', async () => {
  let flushAfterMs = 1;
  let life: VirtualSystem | undefined;
  const store = new PowerLossStore({
    schedule: (flush) => void life?.host.setTimer(flushAfterMs, flush),
  });
  const world = await createVirtualSystem({ name: 't', store, wallMs: NOON_MS });
  life = world;
  const children = [child(alarmActor, { id: 'alarm', args: null })];
  world.system.spawn(supervisor('root', { ...SUPERVISION, children }));
  await world.settle();
  await world.run(set(world.system, 'egg', { afterMs: SECOND_MS }));
  flushAfterMs = 50 * SECOND_MS;
  await world.advance(SECOND_MS + 10);
  assert.is(store.unflushed, 1, 'it was handled, and the commit is under way');
  const stopped = world.system.stop({ deadlineMs: 100 * SECOND_MS });
  await world.advance(45 * SECOND_MS);
  assert.is(store.unflushed, 1);
  await world.run(stopped);
  assert.is(store.unflushed, 0);
});

test('D2 a power cut takes none that was set, and brings back none whose end was flushed', async () => {
  for (let seed = 1; seed <= 40; seed += 1) await cutPower(seed);
});

/** Sets reminders on a disk that flushes when it likes, cuts the power, and looks what comes in the next life. */
async function cutPower(seed: number): Promise<void> {
  notesHere.length = 0;
  let flushEveryMs = 1;
  let life: VirtualSystem | undefined;
  const store = new PowerLossStore({
    schedule: (flush) => void life?.host.setTimer(flushEveryMs, flush),
  });
  const settled: string[] = [];
  const children = [child(alarmActor, { id: 'alarm', args: null })];
  const world = await createVirtualSystem({ name: 't', store, seed });
  life = world;
  world.system.spawn(supervisor('root', { ...SUPERVISION, children }));
  flushEveryMs = 1 + (seed % 7) * 5;
  for (let n = 0; n < 20; n += 1) {
    const name = `r${n}`;
    const ask = set(world.system, name, { afterMs: ((n * 7 + seed) % 40) * 5 });
    void ask.then(
      (code) => code === '' && settled.push(name),
      () => undefined,
    );
    await world.advance((seed * (n + 1)) % 9);
  }
  await world.advance((seed * 13) % 100);
  world.host.halt();
  const promised = [...settled];
  const before = [...notesHere];
  const next = store.crash(seed);
  const left = next
    .keys({ table: REMINDERS_TABLE, limit: 100 })
    .keys.map((key) => key.split('#')[1]);
  for (const name of promised)
    assert.ok(before.includes(name) || left.includes(name), `seed ${seed}: ${name} is lost`);
  const wallMs = world.host.wallMs();
  const second = await createVirtualSystem({ name: 't', store: next, seed, wallMs });
  life = second;
  second.system.spawn(supervisor('root', { ...SUPERVISION, children }));
  await second.advance(MINUTE_MS);
  const after = await notes(second);
  assert.equal([...after].sort(), [...left].sort(), `seed ${seed}`);
  assert.is(kept(next), 0);
  life = undefined;
  await second.stop();
}

test.run();
