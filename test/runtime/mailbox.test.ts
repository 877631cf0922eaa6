/** Mailboxes that are bounded by what their messages count: runtime/SEMANTICS.md M4, M16. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ActorRef,
  child,
  createSystem,
  type Mailbox,
  refTo,
  type System,
} from '../../runtime/index.ts';
import { until, within } from '../support/within.ts';
import { lifeActor } from './support/actors.ts';
import {
  forgetfulSink,
  type GateProtocol,
  gateActor,
  rejectingSink,
  type SinkProtocol,
  silentSink,
} from './support/sink-actor.ts';
import { MODES, type TestSystem, withTree } from './support/system.ts';

const IN_10S = { inMs: 10_000 };
const gate = refTo<GateProtocol>('t', 'root/gate');
const at = (id: string) => refTo<SinkProtocol>('t', `root/${id}`);
const there = { placement: { hash: 'there' } };
const TREE = [
  child(gateActor, { id: 'gate', args: null }),
  child(rejectingSink, { id: 'rejecting', args: null, ...there }),
  child(forgetfulSink, { id: 'forgetful', args: null, ...there }),
  child(silentSink, { id: 'silent', args: null, ...there }),
];
/** Counts so many bytes, and begins with its number. */
const message = (number: number, bytes: number) => String(number).padEnd(bytes - 8, '.');

const handled = async (system: System) => Number((await system.inspect()).counters.handled);
const waiting = async (system: System, id: string) =>
  (await system.inspect()).actors.find(({ path }) => path === `t/root/${id}`)?.mailbox;

/** It handles nothing, and its mailbox is empty. */
async function hold(system: System, id: string): Promise<void> {
  const before = await handled(system);
  system.tell(at(id), 'hold', gate);
  // The sink's message, and the gate's.
  await until(`${id} holds`, async () => (await handled(system)) === before + 2);
  assert.is(await waiting(system, id), 0);
}

async function takenBy(system: System, id: string): Promise<string> {
  system.tell(gate, 'open', null);
  await until('its mailbox is empty', async () => (await waiting(system, id)) === 0);
  const taken = (await system.ask(at(id), 'taken', null, IN_10S)) as readonly string[];
  return taken.map((text) => `${Number.parseInt(text, 10)}`).join(' ');
}

const refused = async ({ system }: TestSystem) => Number((await system.inspect()).counters.refused);

for (const mode of MODES) {
  const test = suite(`mailboxes, ${mode}`);
  const it = (title: string, work: Parameters<typeof withTree>[2]) =>
    test(title, () => within(title, withTree(mode, { children: TREE }, work), 30_000));

  it('M4 M16 reject takes what fits in limitBytes, to the last byte, and no more', async (test) => {
    const { system } = test;
    await hold(system, 'rejecting');
    const sizes = [400, 300, 301, 300, 8, 8];
    const told = sizes.map((bytes, n) => system.tell(at('rejecting'), 'take', message(n, bytes)));
    await until('all have come', async () => (await waiting(system, 'rejecting')) === 3);
    await until('three are refused', async () => (await refused(test)) === 3);
    // Between threads the sender's side takes them all: they are refused where the mailbox is.
    assert.equal(
      told,
      mode === 'inline' ? [true, true, false, true, false, false] : Array(6).fill(true),
    );
    assert.is(await takenBy(system, 'rejecting'), '0 1 3');
  });

  it('M16 what was handled is counted no more: the mailbox fills again and again', async (test) => {
    const { system } = test;
    const before = await handled(system);
    for (let round = 1; round <= 150; round += 1) {
      for (let n = 0; n < 10; n += 1)
        assert.ok(system.tell(at('rejecting'), 'take', message(n, 100)));
      await until('all ten', async () => (await handled(system)) === before + round * 10);
    }
    assert.is(await refused(test), 0);
    assert.is((await system.ask(at('rejecting'), 'taken', null, IN_10S)).length, 1_500);
  });

  it('M4 M16 drop-oldest gives up as many as the new one needs', async (test) => {
    const { system, events } = test;
    await hold(system, 'forgetful');
    for (const [n, bytes] of [300, 300, 300, 550].entries())
      assert.is(system.tell(at('forgetful'), 'take', message(n, bytes)), true);
    await until('two are given up', async () => (await refused(test)) === 2);
    const lost = events.filter((event) => event.type === 'dead_letter');
    assert.is(lost.length, 2);
    assert.is(await waiting(system, 'forgetful'), 2);
    assert.is(await takenBy(system, 'forgetful'), '2 3');
  });

  for (const id of ['rejecting', 'forgetful', 'silent'] as const) {
    it(`M16 one larger than limitBytes is never taken, and nothing is given up for it: ${id}`, async (test) => {
      const { system } = test;
      await hold(system, id);
      system.tell(at(id), 'take', message(1, 100));
      const isTaken = system.tell(at(id), 'take', message(2, 1_001));
      if (mode === 'inline') assert.is(isTaken, id === 'silent');
      await until('it is refused', async () => (await refused(test)) === 1);
      assert.is(await waiting(system, id), 1);
      assert.is(await takenBy(system, id), '1');
    });
  }

  it('M4 M16 drop-newest drops what does not fit, and counts it', async (test) => {
    const { system } = test;
    await hold(system, 'silent');
    for (const [n, bytes] of [900, 101, 100, 8].entries())
      assert.is(system.tell(at('silent'), 'take', message(n, bytes)), true);
    await until('two are dropped', async () => (await refused(test)) === 2);
    assert.is(await takenBy(system, 'silent'), '0 2');
  });

  it('M16 L3 what waits over a restart is still counted', async (test) => {
    const { system } = test;
    await hold(system, 'rejecting');
    system.tell(at('rejecting'), 'crash', 'boom');
    for (const [n, bytes] of [500, 404, 100].entries())
      system.tell(at('rejecting'), 'take', message(n, bytes));
    await until('one is refused', async () => (await refused(test)) === 1);
    assert.is(await takenBy(system, 'rejecting'), '0 1');
  });

  test.run();
}

const definitions = suite('mailboxes of a definition');

async function withSystem(work: (system: System) => Promise<void>): Promise<void> {
  const system = await createSystem({ name: 't', threads: 'inline' });
  try {
    await work(system);
  } finally {
    await system.stop();
  }
}

definitions('S11 a mailbox whose limits are none is refused with the field', () =>
  withSystem(async (system) => {
    const good: Mailbox = { limitMessages: 1, overflow: 'reject' };
    const bad: readonly (readonly [object, RegExp])[] = [
      [{ ...good, limitMessages: 0 }, /mailbox\.limitMessages is 0, expected a whole number/],
      [{ ...good, limitBytes: 0.5 }, /mailbox\.limitBytes is 0\.5, expected a whole number/],
      [{ ...good, limitBytes: '1' }, /mailbox\.limitBytes is "1", expected a whole number/],
      [{ ...good, overflow: 'block' }, /mailbox\.overflow is "block", expected reject \|/],
    ];
    for (const [mailbox, said] of bad) {
      const definition = { ...rejectingSink, mailbox: mailbox as Mailbox };
      const spec = child(definition, { id: 'bad', args: null });
      assert.throws(
        () => system.spawn(spec),
        (error: { code: string; message: string }) =>
          error.code === 'bad_child_spec' && said.test(error.message),
      );
    }
    const ref: ActorRef<unknown> = system.spawn(child(lifeActor, { id: 'bad', args: {} as never }));
    assert.ok(ref, 'its name is free');
  }),
);

definitions.run();
