/** What a host does with the reminders that are kept, and how they end with their system: runtime/SEMANTICS.md D2, D6, D9. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, refTo, remindersIn, type System } from '../../../runtime/index.ts';
import { REMINDERS_TABLE } from '../../../runtime/state/keeper.ts';
import { KEEPER_ID, type KeeperProtocol } from '../../../runtime/state/protocol.ts';
import { encodeValue } from '../../../runtime/store/encoding.ts';
import { createMemoryStore, PowerLossStore, type Store } from '../../../runtime/store/index.ts';
import { until, within } from '../../support/within.ts';
import { type AlarmProtocol, alarmActor, droppingActor, release } from '../support/alarm-actor.ts';
import { MODES, withTree } from '../support/system.ts';

const test = suite('reminders that are kept');
const alarm = refTo<AlarmProtocol>('t', 'root/alarm');
const keeper = remindersIn('t');
const SOON = { inMs: 20_000 };
const HOUR_MS = 3_600_000;
const CHILD = child(alarmActor, { id: 'alarm', args: null, placement: 'pool' });
const ALL = { after: '', limit: 1_000 };

function set(system: System, name: string, afterMs: number, note = name): Promise<string> {
  return system.ask(alarm, 'set', { name, when: { afterMs }, note }, SOON);
}

const kept = (store: Store) => store.keys({ table: REMINDERS_TABLE, limit: 10_000 }).keys.length;

function beingHandled(system: System): Promise<unknown> {
  return until('it is being handled', async () => {
    const { actors } = await system.inspect();
    return actors.some(({ path, handlingMs }) => path === 't/root/alarm' && handlingMs > 0);
  });
}

for (const mode of MODES) {
  test(`D9 (${mode}) a host finds the reminders of an actor that does not start again, and removes them`, async () => {
    const store = createMemoryStore();
    await withTree(mode, { children: [CHILD], store }, async ({ system }) => {
      for (const name of ['a', 'b', 'c']) await set(system, name, name === 'b' ? 0 : HOUR_MS, 'x');
      await set(system, 'd', HOUR_MS);
      await until('b is handled', () => kept(store) === 3);
    });
    await withTree(mode, { children: [], store }, async ({ system }) => {
      const page = await system.ask(keeper, 'listReminders', { after: '', limit: 2 }, SOON);
      assert.equal([page.refusal, page.total], ['', 3]);
      const [first] = page.reminders;
      assert.equal(
        page.reminders.map(({ path, name }) => `${path} ${name}`),
        ['t/root/alarm a', 't/root/alarm c'],
      );
      assert.equal([first?.kind, first?.everyMs, first?.attempts], ['ring', 0, 0]);
      const rest = await system.ask(keeper, 'listReminders', { after: page.next, limit: 2 }, SOON);
      assert.equal([rest.reminders.map(({ name }) => name), rest.next], [['d'], '']);
      for (const limit of [0, 1.5, 1_001, Number.NaN]) {
        const refused = await system.ask(keeper, 'listReminders', { after: '', limit }, SOON);
        assert.is(refused.refusal, 'bad_option');
      }
      assert.is(await system.ask(keeper, 'forgetReminders', 't/root', SOON), '');
      assert.is(kept(store), 3, 'of another actor');
      assert.is(await system.ask(keeper, 'forgetReminders', 't/root/alarm', SOON), '');
      assert.is(kept(store), 0);
      assert.equal((await system.ask(keeper, 'listReminders', ALL, SOON)).total, 0);
    });
  });

  test(`D9 (${mode}) those of an actor that runs leave no more, and it may set others`, async () => {
    const store = createMemoryStore();
    await withTree(mode, { children: [CHILD], store }, async ({ system }) => {
      await set(system, 'fatal', 0, 'never');
      await until('it came in vain', async () => {
        const { reminders } = await system.ask(keeper, 'listReminders', ALL, SOON);
        return (reminders[0]?.attempts ?? 0) > 1;
      });
      assert.is(await system.ask(keeper, 'forgetReminders', 't/root/alarm', SOON), '');
      assert.is(await set(system, 'egg', 0), '');
      await until('it was handled', () => kept(store) === 0);
      assert.equal((await system.ask(keeper, 'listReminders', ALL, SOON)).reminders, []);
    });
  });

  test(`D2 (${mode}) what is confirmed while the system stops does not come again`, async () => {
    const store = new PowerLossStore({ schedule: (flush) => setTimeout(flush, 100) });
    await withTree(mode, { children: [CHILD], store }, async ({ system }) => {
      await set(system, 'held', 0);
      await beingHandled(system);
      const stopped = system.stop({ deadlineMs: 60_000 });
      release();
      await within('the stop', stopped, 20_000);
    });
    assert.is(kept(store), 0);
  });

  test(`A3 D9 (${mode}) who is reminded may ask which reminders are kept`, async () => {
    const store = createMemoryStore();
    await withTree(mode, { children: [CHILD], store }, async ({ system }) => {
      await set(system, 'list', 0);
      await until('it is handled', () => kept(store) === 0, 20_000);
    });
  });

  test(`D6 P5 (${mode}) a commit that failed is told once, with its code`, async () => {
    const store = new PowerLossStore({ schedule: (flush) => flush() });
    await withTree(mode, { children: [CHILD], store }, async ({ system, events }) => {
      store.failCommit();
      assert.is(await set(system, 'late', 0), 'store_failed');
      assert.is(await system.ask(keeper, 'forgetReminders', 't/root/alarm', SOON), 'store_failed');
      await until('it is told', () => events.some(({ type }) => type === 'store.failed'));
      const told = events.filter((event) => event.type === 'store.failed');
      assert.equal(told, [{ type: 'store.failed', code: 'store_failed' }]);
    });
  });
}

test('D9 a removal is answered when it is flushed, also one that an earlier call began', async () => {
  const flushes: (() => void)[] = [];
  let isHeld = false;
  const store = new PowerLossStore({
    schedule: (flush) => void (isHeld ? flushes.push(flush) : flush()),
  });
  await withTree('inline', { children: [CHILD], store }, async ({ system }) => {
    await set(system, 'egg', HOUR_MS);
    isHeld = true;
    const left: number[] = [];
    const forget = async () => {
      assert.is(await system.ask(keeper, 'forgetReminders', 't/root/alarm', SOON), '');
      left.push(store.unflushed);
    };
    const removals = [forget()];
    await until('the removal is under way', () => flushes.length === 1);
    removals.push(forget());
    // What is asked later is answered: so was that one, were it not to wait.
    assert.is((await system.ask(keeper, 'listReminders', ALL, SOON)).total, 0);
    assert.equal(left, []);
    isHeld = false;
    for (const flush of flushes) flush();
    await within('the removals', Promise.all(removals), 20_000);
    assert.equal(left, [0, 0]);
    await forget();
  });
});

test('D2 a stop does not wait for an answer that never comes, and what was not confirmed is kept', async () => {
  const store = createMemoryStore();
  const children = [child(droppingActor, { id: 'alarm', args: null })];
  await withTree('inline', { children, store }, async ({ system, events }) => {
    const rings = refTo<{ ring(note: string): void }>('t', 'root/alarm');
    system.tell(rings, 'ring', 'held');
    await beingHandled(system);
    system.tell(rings, 'ring', 'it fills the mailbox');
    const remind = {
      path: 't/root/alarm',
      stamp: [1e9, 1, 1, 1],
      name: 'egg',
      reminder: {
        kind: 'ring',
        payload: encodeValue('egg', '', 100),
        everyMs: 0,
        dueAtMs: 0,
        waitMs: 0,
      },
    } as const;
    assert.is(await system.ask(refTo<KeeperProtocol>('t', KEEPER_ID), 'remind', remind, SOON), '');
    await until('it is dropped', () => events.some(({ type }) => type === 'mailbox.refused'));
    const stopped = system.stop({ deadlineMs: 60_000 });
    release();
    await within('the stop', stopped, 20_000);
    assert.is(kept(store), 1);
  });
});

test.run();
