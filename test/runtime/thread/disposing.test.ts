/** Children of another thread that end together: runtime/SEMANTICS.md L4. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createSystemOn } from '../../../runtime/create-system.ts';
import { createNodeHost } from '../../../runtime/host/node-host.ts';
import { child, refTo, supervisor } from '../../../runtime/index.ts';
import { createNodeThreads } from '../../../runtime/thread/node-threads.ts';
import type { ThreadCalls } from '../../../runtime/thread/thread-control.ts';
import type { ThreadMaker } from '../../../runtime/thread/thread-maker.ts';
import { until, within } from '../../support/within.ts';
import { type CounterProtocol, counterActor } from '../support/actors.ts';
import { type ParentProtocol, parentActor } from '../support/parent-actor.ts';

const CHILDREN = 1_500;
const IN_20S = { inMs: 20_000 };
const parent = refTo<ParentProtocol>('t', 'parent');
const trace = refTo<never>('t', 'nobody');

const test = suite('children that end together');

/** Node's threads, and what of the children's lives each call says. */
function noted(calls: string[]): ThreadMaker {
  const threads = createNodeThreads();
  return {
    ...threads,
    make(order, fate) {
      const made = threads.make(order, fate);
      const own: Pick<ThreadCalls, 'start' | 'dispose'> = {
        start(request) {
          calls.push('start');
          return made.calls.start(request);
        },
        dispose(uids) {
          calls.push(`dispose ${uids.length}`);
          return made.calls.dispose(uids);
        },
      };
      const get = (all: ThreadCalls, name: keyof ThreadCalls) =>
        name === 'start' || name === 'dispose' ? own[name] : all[name];
      return { ...made, calls: new Proxy(made.calls, { get: get as never }) };
    },
  };
}

test('L4 a thread hears of thousands of children that are killed together in few calls, and before their names are used again', async () => {
  const calls: string[] = [];
  const { system } = await createSystemOn(
    { name: 't', threads: { pool: 1 } },
    {
      host: createNodeHost(),
      threads: noted(calls),
      setUp: async () => ({ deps: undefined }),
    },
  );
  try {
    system.spawn(child(parentActor, { id: 'parent', args: { trace }, placement: 'main' }));
    const ids = Array.from({ length: CHILDREN }, (_, n) => `n${n}`);
    const specs = ids.map((id) => child(counterActor, { id, args: {}, placement: 'pool' }));
    const options = {
      strategy: 'one_for_one',
      intensity: 0,
      periodMs: 1,
      children: specs,
    } as const;
    const team = { ...supervisor('team', options), shutdownTimeoutMs: 0 };
    const last = refTo<CounterProtocol>('t', `parent/team/${ids.at(-1)}`);
    const total = () => system.ask(last, 'total', null, IN_20S);
    const spawned = () => system.ask(parent, 'spawn', team as never, IN_20S);
    const run = () => until('they run', async () => (await total().catch(() => -1)) === 0, 60_000);
    await spawned();
    await run();
    assert.ok(system.tell(last, 'add', 1));
    assert.is(await total(), 1);
    calls.length = 0;
    system.tell(parent, 'stopChild', 'team');
    await spawned();
    await run();
    const portions = ['dispose 1024', `dispose ${CHILDREN - 1_024}`];
    assert.equal(calls.slice(0, 3), [...portions, 'start']);
    assert.is(calls.length, CHILDREN + portions.length);
  } finally {
    await within('the stop', system.stop({ deadlineMs: 4_000 }), 20_000);
  }
});

test.run();
