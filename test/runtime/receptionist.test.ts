/** Services under keys, inline and over threads: runtime/SEMANTICS.md R. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ActorRef,
  child,
  type Listing,
  type ListingReceiver,
  type ReceptionistProtocol,
  receptionist,
  refTo,
  type ServiceKey,
  type System,
  serviceKey,
  servicesIn,
} from '../../runtime/index.ts';
import { createProbe, createVirtualSystem } from '../../runtime/testing/index.ts';
import { until, within } from '../support/within.ts';
import { type CounterProtocol, counterActor } from './support/actors.ts';
import { type ServantProtocol, servantActor } from './support/servant-actor.ts';
import { MODES, withTree } from './support/system.ts';

const KEY: ServiceKey<CounterProtocol> = serviceKey('counters');
const desk = refTo<ReceptionistProtocol>('t', 'root/receptionist');
const servant = (id: string) => refTo<ServantProtocol>('t', `root/${id}`);
const IN_2S = { inMs: 2_000 };

function find(system: System): Promise<Listing> {
  return system.ask(desk, 'find', KEY, IN_2S);
}

async function paths(system: System): Promise<readonly string[]> {
  const { refs } = await find(system);
  return refs.map(({ address }) => address.replace(/#.*/, '')).sort();
}

function servants(...ids: readonly string[]) {
  return ids.map((id) =>
    child(servantActor, {
      id,
      args: { desk, key: KEY },
      placement: { hash: id },
      restart: 'transient',
    }),
  );
}

for (const mode of MODES) {
  const test = suite(`receptionist, ${mode}`);
  const it = (title: string, work: Parameters<typeof withTree>[2]) => {
    const children = [receptionist(), ...servants('a', 'b', 'c')];
    test(title, () => within(title, withTree(mode, { children }, work), 20_000));
  };

  it('R1 finds who registered, by what they do, and reaches them', async ({ system }) => {
    await until('all three are known', async () => (await paths(system)).length === 3);
    assert.equal(await paths(system), ['t/root/a', 't/root/b', 't/root/c']);
    const found = servicesIn(KEY, await find(system));
    for (const ref of found) {
      system.tell(ref, 'add', 2);
      assert.is(await system.ask(ref, 'total', null, IN_2S), 2);
    }
    assert.equal((await system.ask(desk, 'find', serviceKey('others'), IN_2S)).refs, []);
    assert.equal(servicesIn(serviceKey('others'), await find(system)), []);
  });

  it('R2 an incarnation that ends is gone, and the next one is there again, each time', async ({
    system,
  }) => {
    const probe = await createProbe<ListingReceiver>(system, { kinds: ['listing'] });
    await until('all three are known', async () => (await paths(system)).length === 3);
    assert.ok(await system.ask(desk, 'subscribe', { key: KEY, subscriber: probe.ref }, IN_2S));
    for (let round = 1; round <= 20; round += 1) {
      system.tell(servant('a'), 'crash', 'told_to');
      await until('it runs again', async () => {
        const { actors } = await system.inspect();
        const a = actors.find(({ path }) => path === 't/root/a');
        return a?.incarnation === round + 1 && a.state === 'running';
      });
    }
    await until('all three are known', async () => (await paths(system)).length === 3);
    const sizes = probe.take().map(({ payload }) => (payload as Listing).refs.length);
    assert.is(sizes[0], 3, 'the listing at once');
    assert.is(sizes.at(-1), 3);
    assert.ok(sizes.includes(2), 'and a change as it happens');
  });

  it('R3 who has left or ended is told of and forgotten', async ({ system }) => {
    await until('all three are known', async () => (await paths(system)).length === 3);
    const found = servicesIn(KEY, await find(system));
    const [first] = found as readonly [ActorRef<CounterProtocol>];
    system.tell(desk, 'deregister', { key: KEY, ref: first });
    assert.is((await paths(system)).length, 2);
    system.tell(servant('c'), 'leave', null);
    await until('it is gone', async () => !(await paths(system)).includes('t/root/c'));
  });
  test.run();
}

const limits = suite('receptionist, its limits');

limits('R4 a subscriber with a full mailbox gets the last listing when it has room', async () => {
  const world = await createVirtualSystem({ name: 't' });
  try {
    const { system } = world;
    const hall = system.spawn(receptionist('hall'));
    const slow = system.spawn(
      child(servantActor, { id: 'slow', args: { desk: hall, key: serviceKey('x') } }),
    );
    await world.settle();
    await world.run(system.ask(hall, 'subscribe', { key: KEY, subscriber: slow }, IN_2S));
    const kinds = ['total'] as const;
    const answer = () => new Promise(() => undefined);
    const silent = await createProbe<CounterProtocol>(system, { kinds, answer });
    system.tell(slow, 'waitFor', silent.ref);
    await world.settle();
    system.tell(slow, 'add', 1);
    system.tell(slow, 'add', 1);
    assert.is(system.tell(slow, 'add', 1), false, 'its mailbox is full');
    for (let i = 0; i < 5; i += 1) {
      const ref = system.spawn(child(counterActor, { id: `n${i}`, args: {} }));
      await world.run(system.ask(hall, 'register', { key: KEY, ref }, IN_2S));
    }
    await world.advance(1_000);
    assert.is(await world.run(system.ask(slow, 'listed', null, IN_2S)), 5);
  } finally {
    await world.stop();
  }
});

limits('R4 a full receptionist says false and keeps what it has', async () => {
  const world = await createVirtualSystem({ name: 't' });
  try {
    const { system } = world;
    const hall = system.spawn(receptionist('hall', { limit: 2 }));
    const answers: boolean[] = [];
    const refs = [0, 1, 2].map((i) =>
      system.spawn(child(counterActor, { id: `n${i}`, args: {}, restart: 'temporary' })),
    );
    for (const ref of refs)
      answers.push(await world.run(system.ask(hall, 'register', { key: KEY, ref }, IN_2S)));
    assert.equal(answers, [true, true, false]);
    const again = { key: KEY, ref: refs[0] as ActorRef<CounterProtocol> };
    assert.is(await world.run(system.ask(hall, 'register', again, IN_2S)), true, 'twice is once');
    system.tell(refs[1] as ActorRef<CounterProtocol>, 'crash', 'told_to');
    await world.settle();
    const late = { key: KEY, ref: refs[2] as ActorRef<CounterProtocol> };
    assert.is(await world.run(system.ask(hall, 'register', late, IN_2S)), true, 'there is room');
    const gone = { key: KEY, ref: refs[1] as ActorRef<CounterProtocol> };
    system.tell(hall, 'deregister', again);
    assert.is(await world.run(system.ask(hall, 'register', gone, IN_2S)), true);
    await world.settle();
    const { refs: left } = await world.run(system.ask(hall, 'find', KEY, IN_2S));
    assert.equal(left, [refs[2]], 'one that is dead already is not kept');
  } finally {
    await world.stop();
  }
});

limits.run();
