/** What a ref that outlives its system keeps of it: runtime/SEMANTICS.md Y2. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createSystemOn } from '../../runtime/create-system.ts';
import { createNodeHost } from '../../runtime/host/node-host.ts';
import { child, refTo, remindersIn, type ThreadWorld } from '../../runtime/index.ts';
import { createMemoryStore } from '../../runtime/store/index.ts';
import { createNodeThreads } from '../../runtime/thread/node-threads.ts';
import { resolveByImport } from '../../runtime/thread/resolve.ts';
import { until } from '../support/within.ts';
import { type CounterProtocol, counterActor } from './support/actors.ts';

const IN_20S = { inMs: 20_000 };
const keeper = remindersIn('t');
const counter = refTo<CounterProtocol>('t', 'a');
/** What a system was made with, by name. */
const given = new Map<string, WeakRef<object>>();

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const test = suite('refs that are kept');

/** What its setup gives a thread; each part holds an object of its own that is looked for afterwards. */
function setUp(): ThreadWorld {
  const held = (name: string) => {
    const object = { name };
    given.set(name, new WeakRef(object));
    return object;
  };
  const traced = held('tracing');
  const resolver = held('resolve');
  return {
    deps: held('deps'),
    resolve: (module, name) => resolveByImport(module, resolver.name === '' ? '' : name),
    tracing: {
      traced: (_actor, _kind, handler) => (state, payload, self) =>
        traced.name === '' ? undefined : handler(state, payload, self),
      ask: (request, end, send) => send(request, traced.name === '' ? (undefined as never) : end),
      current: () => undefined,
    },
  };
}

/** A system in which both refs were used, and which has stopped. */
async function live(): Promise<void> {
  const store = createMemoryStore();
  const { system } = await createSystemOn(
    { name: 't', threads: 'inline', store },
    { host: createNodeHost(), threads: createNodeThreads(), setUp: async () => setUp() },
  );
  given.set('system', new WeakRef(system)).set('store', new WeakRef(store));
  system.spawn(child(counterActor, { id: 'a', args: {} }));
  assert.is(await system.ask(counter, 'total', null, IN_20S), 0);
  assert.is((await system.ask(keeper, 'listReminders', { after: '', limit: 1 }, IN_20S)).total, 0);
  await system.stop();
}

test('Y2 a ref of a stopped system that is kept keeps neither the system, its store, nor what its setup gave', async () => {
  await live();
  assert.is(given.size, 5);
  const left = () => [...given].filter(([, object]) => object.deref() !== undefined);
  await until('all are gone', () => {
    collect();
    return left().length === 0;
  }).catch(() => assert.unreachable(`kept: ${left().map(([name]) => name)}`));
  assert.equal([keeper.address, counter.address], ['t/state~keeper', 't/a']);
});

test.run();
