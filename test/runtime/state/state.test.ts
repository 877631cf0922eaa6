/** What actors keep over restarts, inline and over threads: runtime/SEMANTICS.md P. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, createSystem, refTo, type System, supervisor } from '../../../runtime/index.ts';
import { assign, createMachineTable, setup } from '../../../runtime/machine/index.ts';
import { KEEPER_ID, type KeeperProtocol, type Stamp } from '../../../runtime/state/protocol.ts';
import { createMemoryStore, PowerLossStore, type Store } from '../../../runtime/store/index.ts';
import { until, within } from '../../support/within.ts';
import {
  afterlife,
  type NotebookProtocol,
  notebookActor,
  notebookActor2,
} from '../support/notebook-actor.ts';
import { MODES, type Mode, withTree } from '../support/system.ts';

const test = suite('state');
const notebook = refTo<NotebookProtocol>('t', 'root/notebook');
const keeper = refTo<KeeperProtocol>('t', KEEPER_ID);
const SOON = { inMs: 20_000 };

/** A notebook on a thread of its own where there are threads, over `store`. */
function withNotebook(
  mode: Mode,
  store: Store | undefined,
  work: (system: System) => Promise<void>,
  definition = notebookActor,
): Promise<void> {
  const children = [child(definition, { id: 'notebook', args: null, placement: 'pool' })];
  const tree = { children, ...(store === undefined ? {} : { store }) };
  return withTree(mode, tree, ({ system }) => work(system));
}

function write(system: System, value: unknown, durability: 'memory' | 'queued' | 'committed') {
  return system.ask(notebook, 'write', { value, durability }, SOON);
}

const read = (system: System) => system.ask(notebook, 'read', null, SOON);
const first = (system: System) => system.ask(notebook, 'first', null, SOON);

/** Runs `work` on a disk that flushes what comes. */
async function flushing(store: PowerLossStore, work: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => store.flush(), 1);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
}

/** Until the next incarnation answers. */
function firstOfNext(system: System): Promise<unknown> {
  return until('the next incarnation answers', async () => {
    const found = await first(system).catch(() => undefined);
    return found === undefined ? undefined : { found };
  }).then(({ found }) => found);
}

for (const mode of MODES) {
  test(`P1 (${mode}) what was saved is there for the next incarnation, whatever its durability`, async () => {
    await withNotebook(mode, createMemoryStore(), async (system) => {
      assert.is(await first(system), undefined);
      for (const durability of ['memory', 'queued', 'committed'] as const) {
        const value = { durability, bytes: new Uint8Array([1, 2]), list: [1, null, 'x'] };
        assert.is(await write(system, value, durability), '');
        system.tell(notebook, 'crash', null);
        const found = (await firstOfNext(system)) as typeof value;
        assert.is(found.durability, durability);
        assert.equal([...found.bytes], [1, 2]);
        assert.equal(found.list, [1, null, 'x']);
      }
      assert.is(await write(system, undefined, 'committed'), '');
      assert.is(await read(system), undefined);
    });
  });

  test(`P4 (${mode}) a save of an older incarnation is refused, also when it arrives after the next one's`, async () => {
    await withNotebook(mode, createMemoryStore(), async (system) => {
      await write(system, 'present', 'committed');
      const ask = (stamp: Stamp, durability: 'memory' | 'committed') =>
        system.ask(
          keeper,
          'save',
          { path: 't/root/other', stamp, durability, version: 1, bytes: new Uint8Array([1]) },
          SOON,
        );
      assert.is(await ask([5, 2, 5, 2], 'committed'), '');
      const load = { path: 't/root/other', stamp: [5, 3, 5, 3] as Stamp };
      assert.is((await system.ask(keeper, 'load', load, SOON)).refusal, '');
      assert.is(await ask([5, 2, 5, 2], 'committed'), 'stale_incarnation');
      assert.is(await ask([5, 2, 9, 9], 'memory'), 'stale_incarnation');
      assert.is(await ask([4, 9, 9, 9], 'committed'), 'stale_incarnation');
      assert.is(await ask([5, 3, 5, 3], 'committed'), '');
      assert.is(await ask([6, 1, 2, 1], 'committed'), '');
      assert.is(await read(system), 'present');
    });
  });

  test(`P5 (${mode}) a save that fails is a coded error to whoever awaits it, and to all after it`, async () => {
    const store = new PowerLossStore({ schedule: (flush) => flush() });
    await withNotebook(mode, store, async (system) => {
      store.failCommit();
      assert.is(await write(system, 1, 'committed'), 'store_failed');
      assert.is(await write(system, 2, 'queued'), 'store_failed');
      assert.is(await write(system, 3, 'memory'), 'store_failed');
      assert.is(await read(system), 'store_failed');
    });
  });

  test(`P7 (${mode}) what is no plain data, too large, or has no store is refused with a code`, async () => {
    await withNotebook(mode, createMemoryStore(), async (system) => {
      assert.is(await write(system, new Date(0), 'memory'), 'not_encodable');
      assert.is(await write(system, 'x'.repeat(1_100_000), 'memory'), 'not_encodable');
      assert.is(await read(system), undefined);
    });
    await withNotebook(mode, undefined, async (system) => {
      assert.is(await write(system, 1, 'memory'), 'state_unavailable');
      assert.is(await read(system), 'state_unavailable');
    });
  });
}

test('P1 what was saved is there after the loss of a thread', async () => {
  await withNotebook('threads', createMemoryStore(), async (system) => {
    assert.is(await write(system, 'kept', 'memory'), '');
    system.tell(notebook, 'exit', null);
    await until('it runs on a new thread', async () => {
      const { threads } = await system.inspect();
      return threads.some(({ restarts }) => restarts > 0);
    });
    assert.is(await firstOfNext(system), 'kept');
  });
});

test('P1 so is what an actor saved that stands below another one of the lost thread', async () => {
  const low = refTo<NotebookProtocol>('t', 'root/shelf/notebook');
  const below = child(notebookActor, { id: 'notebook', args: null });
  const shelf = supervisor(
    'shelf',
    { strategy: 'one_for_one', intensity: 10, periodMs: 10_000, children: [below] },
    'pool',
  );
  await withTree('threads', { children: [shelf], store: createMemoryStore() }, async (test) => {
    const { system } = test;
    const save = (value: string) =>
      system.ask(low, 'write', { value, durability: 'memory' }, SOON).catch(() => undefined);
    for (const value of ['first', 'second']) {
      await until('it saves', async () => (await save(value)) === '');
      system.tell(low, 'exit', null);
      const look = () => system.ask(low, 'first', null, SOON).catch(() => undefined);
      await until('the next one finds it', async () => (await look()) === value);
    }
  });
});

test('P1 the keeper runs where threads find code in a way of their own', async () => {
  const module = new URL('../testing/own-resolve.js', import.meta.url).href;
  const system = await createSystem({
    name: 't',
    threads: 'inline',
    thread: { module, export: 'setup', args: null },
    store: createMemoryStore(),
  });
  try {
    const load = { path: 't/any', stamp: [1, 1, 1, 1] as Stamp };
    const { refusal, bytes } = await system.ask(keeper, 'load', load, SOON);
    assert.equal([refusal, bytes], ['', null]);
  } finally {
    await system.stop();
  }
});

test('P2 `committed` waits for the flush, `queued` and `memory` do not, and a power cut takes what they left', async () => {
  const flushes: (() => void)[] = [];
  const store = new PowerLossStore({ schedule: (flush) => flushes.push(flush) });
  await withNotebook('inline', store, async (system) => {
    assert.is(await write(system, 'in memory', 'memory'), '');
    assert.is(store.health().commits, 0);
    assert.is(await write(system, 'queued', 'queued'), '');
    let isDone = false;
    const committed = write(system, 'committed', 'committed').then((code) => {
      isDone = true;
      return code;
    });
    await until('a commit waits for its flush', () => flushes.length > 0);
    assert.not(isDone);
    await flushing(store, async () => assert.is(await within('it is committed', committed), ''));
    assert.is(await write(system, 'lost', 'memory'), '');
    assert.is(await read(system), 'lost');
  });
  const found = store.crash(1);
  await withNotebook('inline', found, async (system) => {
    assert.is(await first(system), 'committed');
  });
});

test('P2 an orderly stop writes what was queued before it ends', async () => {
  const store = createMemoryStore();
  await withNotebook('threads', store, async (system) => {
    await write(system, 'queued', 'queued');
  });
  await withNotebook('threads', store, async (system) => {
    assert.is(await first(system), 'queued');
  });
});

test('P3 saves that wait are one commit, of which the last one stays', async () => {
  const store = createMemoryStore();
  await withNotebook('threads', store, async (system) => {
    const request = { count: 1_000, durability: 'committed' } as const;
    const codes = await system.ask(notebook, 'writeMany', request, SOON);
    assert.equal(new Set(codes), new Set(['']));
    assert.equal(await read(system), { n: 999 });
    assert.ok(store.health().commits < 200, `${store.health().commits} commits`);
  });
});

test('P3 what waits is bounded, and what is refused is told', async () => {
  const store = new PowerLossStore();
  await withNotebook('inline', store, async (system) => {
    await write(system, 'in flight', 'queued');
    const request = { count: 10_500, durability: 'queued' } as const;
    const codes = await system.ask(notebook, 'writeMany', request, SOON);
    assert.ok(codes.filter((code) => code === 'state_full').length >= 499);
    assert.is(codes.indexOf('state_full') > 9_000, true);
    await flushing(store, async () => {
      await until('there is room again', async () => (await write(system, 1, 'committed')) === '');
      assert.is(await read(system), 1);
    });
  });
});

test('P4 a Self that is over saves nothing', async () => {
  await withNotebook('inline', createMemoryStore(), async (system) => {
    await write(system, 'before', 'committed');
    system.tell(notebook, 'crashAndWrite', 'after');
    const code = await until('the late save has ended', () => afterlife.pop());
    assert.is(code, 'stale_incarnation');
    assert.is(await firstOfNext(system), 'before');
  });
});

test('P6 a value goes through `migrate` when its version is older, and is refused when it is newer', async () => {
  const store = createMemoryStore();
  await withNotebook('inline', store, async (system) => {
    await write(system, { n: 7 }, 'committed');
  });
  const secondly = async (system: System) => {
    assert.equal(await first(system), { total: 7, fromVersion: 1 });
    await write(system, { total: 8 }, 'committed');
    assert.equal(await read(system), { total: 8 });
  };
  await withNotebook('inline', store, secondly, notebookActor2);
  await withNotebook('inline', store, async (system) => {
    assert.is(await first(system), 'state_version');
    await write(system, { n: -1 }, 'committed');
  });
  const thirdly = async (system: System) => assert.is(await first(system), 'state_version');
  await withNotebook('inline', store, thirdly, notebookActor2);
});

test("P6 a machine's state goes through the store as it is", async () => {
  const door = setup({
    types: {
      context: {} as { opened: number },
      events: {} as { type: 'open' } | { type: 'close' },
    },
  }).createMachine({
    context: { opened: 0 },
    initial: 'closed',
    states: {
      closed: {
        on: {
          open: {
            target: 'open',
            actions: assign({ opened: ({ context }) => context.opened + 1 }),
          },
        },
      },
      open: { on: { close: 'closed' } },
    },
  });
  const table = createMachineTable(door);
  const { value, context } = table.next(table.initial(), { type: 'open' });
  await withNotebook('threads', createMemoryStore(), async (system) => {
    await write(system, { value, context }, 'committed');
    system.tell(notebook, 'crash', null);
    const found = (await firstOfNext(system)) as { value: typeof value; context: typeof context };
    const next = table.next(table.next(found, { type: 'close' }), { type: 'open' });
    assert.equal([next.value, next.context], ['open', { opened: 2 }]);
  });
});

test.run();
