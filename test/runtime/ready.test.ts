/** Waiting for room in a mailbox: runtime/SEMANTICS.md M17. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type AskError, child, refTo, type Self, type System } from '../../runtime/index.ts';
import { createVirtualSystem } from '../../runtime/testing/index.ts';
import { until, within } from '../support/within.ts';
import { type CounterProtocol, counterActor, type TraceProtocol } from './support/actors.ts';
import { type ParentProtocol, parentActor } from './support/parent-actor.ts';
import {
  type GateProtocol,
  gateActor,
  narrowSink,
  type ProducerProtocol,
  producerActor,
  rejectingSink,
  type SinkProtocol,
} from './support/sink-actor.ts';
import { MODES, withTree } from './support/system.ts';

const IN_10S = { inMs: 10_000 };
/** At one mailbox. */
const LINE = 1_024;
const gate = refTo<GateProtocol>('t', 'root/gate');
const counter = refTo<CounterProtocol>('t', 'root/counter');
const sink = refTo<SinkProtocol>('t', 'root/house/sink');
const narrow = refTo<SinkProtocol>('t', 'root/narrow');
const producer = (n: number) => refTo<ProducerProtocol>('t', `root/p${n}`);
const there = { placement: { hash: 'there' } };
const PRODUCERS = [0, 1, 2, 3, 4];
const SINK = child(rejectingSink, { id: 'sink', args: null, shutdownTimeoutMs: 0, ...there });
const TREE = [
  child(gateActor, { id: 'gate', args: null }),
  child(counterActor, { id: 'counter', args: {}, ...there }),
  child(parentActor, {
    id: 'house',
    args: { trace: refTo<TraceProtocol>('t', 'root/trace'), children: [SINK] },
  }),
  child(narrowSink, { id: 'narrow', args: null, ...there }),
  ...PRODUCERS.map((n) =>
    child(producerActor, { id: `p${n}`, args: null, placement: { hash: 'here' } }),
  ),
];

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'settled',
    ({ code }: AskError) => code,
  );
const waitingAt = async (system: System, id: string) =>
  (await system.inspect()).actors.find(({ path }) => path === `t/root/${id}`)?.mailbox;
const handled = async (system: System) => Number((await system.inspect()).counters.handled);

/** It handles nothing until the gate is open, and its mailbox is full. */
async function fill(system: System): Promise<void> {
  const before = await handled(system);
  system.tell(sink, 'hold', gate);
  await until('it holds', async () => (await handled(system)) === before + 2);
  for (let n = 0; n < 100; n += 1) system.tell(sink, 'take', n);
  await until('it is full', async () => (await waitingAt(system, 'house/sink')) === 100);
}

for (const mode of MODES) {
  const test = suite(`ready, ${mode}`);
  const it = (title: string, work: (system: System) => Promise<void>) =>
    test(title, () =>
      within(
        title,
        withTree(mode, { children: TREE }, ({ system }) => work(system)),
        60_000,
      ),
    );

  it('M17 it settles when there is room, and not before', async (system) => {
    await fill(system);
    let isReady = false;
    const ready = system.ready(sink, IN_10S).then(() => {
      isReady = true;
    });
    // Behind it on the same way: by then it has been there.
    const taken = system.ask(sink, 'taken', null, IN_10S).then(() => 'taken');
    assert.is(await taken.catch(({ code }: AskError) => code), 'mailbox_full');
    assert.is(isReady, false);
    system.tell(gate, 'open', null);
    await ready;
    assert.ok(system.tell(sink, 'take', 100));
    await until('all are taken', async () => (await waitingAt(system, 'house/sink')) === 0);
    assert.is((await system.ask(sink, 'taken', null, IN_10S)).at(-1), 100);
  });

  it('M17 it settles for one that has room, also before its first start', async (system) => {
    await system.ready(sink, IN_10S);
    const late = system.spawn(child(narrowSink, { id: 'late', args: null }));
    await system.ready(late, IN_10S);
  });

  it('M17 A2 it ends at its deadline, or when its signal aborts', async (system) => {
    await fill(system);
    assert.is(await codeOf(system.ready(sink, { inMs: 50 })), 'ask_timeout');
    const abort = new AbortController();
    const aborted = codeOf(system.ready(sink, { ...IN_10S, signal: abort.signal }));
    abort.abort();
    assert.is(await aborted, 'ask_aborted');
    const last = system.ready(sink, IN_10S);
    system.tell(gate, 'open', null);
    await last;
  });

  it('M17 it rejects where there is nobody, or nobody any more', async (system) => {
    assert.is(await codeOf(system.ready(refTo('t', 'root/nobody'), IN_10S)), 'actor_dead');
    await fill(system);
    const waits = codeOf(system.ready(sink, IN_10S));
    system.tell(refTo<ParentProtocol>('t', 'root/house'), 'stopChild', 'sink');
    assert.is(await waits, 'actor_dead');
  });

  it(`M17 ${LINE} wait at one mailbox, and one whose time is over has left`, async (system) => {
    await fill(system);
    const early = Array.from({ length: LINE }, () => codeOf(system.ready(sink, { inMs: 500 })));
    assert.is(await codeOf(system.ready(sink, IN_10S)), 'mailbox_full');
    assert.equal(new Set(await Promise.all(early)), new Set(['ask_timeout']));
    // The other side may hear of the end of their time later.
    const ends = () => codeOf(system.ready(sink, { inMs: 50 }));
    await until('there is a place', async () => (await ends()) === 'ask_timeout', 20_000);
    const late = codeOf(system.ready(sink, IN_10S));
    system.tell(gate, 'open', null);
    assert.is(await late, 'settled');
  });

  it('M17 who waits is served in the order of coming', async (system) => {
    await fill(system);
    const served: number[] = [];
    const waits = Array.from({ length: 50 }, (_, n) =>
      system.ready(sink, IN_10S).then(() => served.push(n)),
    );
    system.tell(gate, 'open', null);
    await Promise.all(waits);
    assert.equal(
      served,
      Array.from({ length: 50 }, (_, n) => n),
    );
  });

  it('M17 none of many producers starves, and nothing that was taken is lost', async (system) => {
    for (const n of PRODUCERS) system.tell(producer(n), 'produce', { to: narrow, count: 200 });
    const produced = () =>
      Promise.all(PRODUCERS.map((n) => system.ask(producer(n), 'produced', null, IN_10S)));
    await until(
      'all are done',
      async () => (await produced()).every(({ told }) => told === 200),
      30_000,
    );
    assert.equal(new Set((await produced()).map(({ failed }) => failed)), new Set(['']));
    if (mode === 'threads') return;
    await system.ready(narrow, IN_10S);
    const taken = (await system.ask(narrow, 'taken', null, IN_10S)) as readonly string[];
    assert.is(taken.length, 1_000);
    // In any stretch in which all produce, each has its share.
    const stretch = taken.slice(100, 300).map((line) => line.split(' ')[0] ?? '');
    const shares = PRODUCERS.map((n) => stretch.filter((from) => from.includes(`/p${n}#`)).length);
    assert.ok(Math.min(...shares) >= 30, shares.join(', '));
  });

  test.run();
}

const threads = suite('ready, between threads only');
const onThreads = (title: string, work: (system: System) => Promise<void>) =>
  threads(title, () =>
    within(
      title,
      withTree('threads', { children: TREE }, ({ system }) => work(system)),
      60_000,
    ),
  );

onThreads(
  'M17 M8 after a flood it settles when the way has room, and all that was taken arrives',
  async (system) => {
    let taken = 0;
    for (let flood = 0; flood < 5; flood += 1) {
      while (system.tell(counter, 'add', 1)) taken += 1;
      await system.ready(counter, IN_10S);
      assert.ok(system.tell(counter, 'add', 1));
      taken += 1;
    }
    assert.ok(taken >= 5 * 8_192, `${taken}`);
    await until(
      'all have come',
      async () => (await system.ask(counter, 'total', null, IN_10S)) === taken,
    );
  },
);

/** Its sender's side knows that it is full: a tell is refused there. */
async function overflow(system: System): Promise<number> {
  let told = 0;
  while (told < 500 && system.tell(sink, 'take', told)) told += 1;
  // Slowly: the way itself stays open.
  await until('a tell is refused here', () => {
    const isTaken = system.tell(sink, 'take', told);
    if (isTaken) told += 1;
    return !isTaken;
  });
  return told;
}

const deadLetters = async (system: System) =>
  Number((await system.inspect()).counters.dead_letters);

onThreads(
  'M18 a mailbox that refuses says so: tells are refused where they are made, and each is counted',
  async (system) => {
    await fill(system);
    const told = await overflow(system);
    // Behind all that was told.
    const ready = system.ready(sink, IN_10S);
    for (let n = 0; n < 5_000; n += 1) assert.is(system.tell(sink, 'take', n), false);
    await until('what was under way is refused', async () => (await deadLetters(system)) === told);
    assert.is((await system.inspect()).counters.refused, told + 5_001);
    system.tell(gate, 'open', null);
    assert.ok((await ready) >= 1);
  },
);

onThreads(
  'M18 once a mailbox has refused something, a sender who waits for room loses nothing more',
  async (system) => {
    await fill(system);
    const told = await overflow(system);
    const lost = async () => (await deadLetters(system)) === told;
    await until('what was under way is refused', lost);
    system.tell(gate, 'open', null);
    for (let n = 1_000_000; n < 1_003_000; n += 1) {
      while (!system.tell(sink, 'take', n)) await system.ready(sink, IN_10S);
    }
    await system.ready(sink, IN_10S);
    const taken = (await system.ask(sink, 'taken', null, IN_10S)) as readonly number[];
    assert.is(await deadLetters(system), told);
    assert.equal(
      taken.filter((n) => n >= 1_000_000),
      Array.from({ length: 3_000 }, (_, n) => 1_000_000 + n),
    );
  },
);

onThreads('M17 M8 who waits for room in a full way is bounded too', async (system) => {
  while (system.tell(counter, 'add', 1));
  const waits = Array.from({ length: 2 * LINE }, () => codeOf(system.ready(counter, IN_10S)));
  const ends = await Promise.all(waits);
  assert.is(ends.filter((end) => end === 'settled').length, LINE);
  assert.is(ends.filter((end) => end === 'mailbox_full').length, LINE);
});

onThreads('M17 A4 it rejects when the thread is lost', async (system) => {
  await fill(system);
  const waits = codeOf(system.ready(sink, IN_10S));
  system.tell(counter, 'misbehave', 'exit');
  assert.is(await waits, 'thread_lost');
});

threads.run();

const virtual = suite('ready, on a virtual machine');

virtual('M17 it settles in the turns that the driver makes', async () => {
  const world = await createVirtualSystem({ name: 't' });
  try {
    const at = world.system.spawn(child(narrowSink, { id: 'narrow', args: null }));
    await world.settle();
    while (world.system.tell(at, 'take', 1));
    let isReady = false;
    const ready = world.system.ready(at, { inMs: 1_000 }).then(() => {
      isReady = true;
    });
    assert.is(isReady, false);
    await world.run(ready);
    assert.ok(world.system.tell(at, 'take', 2));
  } finally {
    await within('the system has stopped', world.stop());
  }
});

virtual('M12 L2 the Self of an incarnation that is over waits for nobody', async () => {
  const kept: Self<SinkProtocol>[] = [];
  const keeping: typeof narrowSink = {
    ...narrowSink,
    start(self) {
      kept.push(self);
      return [];
    },
  };
  const world = await createVirtualSystem({ name: 't' });
  try {
    const at = world.system.spawn(child(keeping, { id: 'keeping', args: null }));
    await world.settle();
    const [self] = kept;
    assert.ok(self);
    assert.ok((await world.run(self.ready(at, { inMs: 1_000 }))) >= 1);
    world.system.tell(at, 'crash', 'boom');
    await world.settle();
    assert.throws(
      () => self.ready(at, { inMs: 1_000 }),
      ({ code }: { code: string }) => code === 'stale_incarnation',
    );
  } finally {
    await within('the system has stopped', world.stop());
  }
});

virtual.run();
