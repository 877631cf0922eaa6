/** What is seen of a thread from outside, and what takes its place: runtime/SEMANTICS.md T4, T7. */
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  child,
  createSystem,
  refTo,
  type SystemEvent,
  supervisor,
  type ThreadOptions,
  type ThreadSetupName,
} from '../../runtime/index.ts';
import { until, within } from '../support/within.ts';
import { type CounterProtocol, counterActor } from './support/actors.ts';

const IN_5S = { inMs: 5_000 };
const a = refTo<CounterProtocol>('t', 'root/a');
const SETUP = {
  module: new URL('./support/plain-setup.js', import.meta.url).href,
  export: 'setup',
  args: {},
};

async function withThreads(
  threads: Partial<ThreadOptions>,
  work: (system: Awaited<ReturnType<typeof createSystem>>, events: SystemEvent[]) => Promise<void>,
  thread: ThreadSetupName = SETUP,
): Promise<void> {
  const events: SystemEvent[] = [];
  const system = await createSystem({
    name: 't',
    threads: { pool: 1, ...threads },
    thread,
    onEvent: (event) => events.push(event),
  });
  try {
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 9,
      periodMs: 1_000,
      backoff: { minMs: 1, maxMs: 1 },
      children: ['a', 'b'].map((id) => child(counterActor, { id, args: {}, placement: 'pool' })),
    });
    await system.started(system.spawn(root));
    await work(system, events);
  } finally {
    await system.stop({ deadlineMs: 4_000 });
  }
}

const test = suite('threads seen from outside');

test('T7 the spare thread, made before the loss, takes the place', () => {
  const ran = new SharedArrayBuffer(4);
  return within(
    'the spare',
    withThreads(
      {},
      async (system) => {
        await until(
          'main, the pool and the spare are set up',
          () => Atomics.load(new Int32Array(ran), 0) === 3,
        );
        // Threads are numbered in the order in which they are made.
        const marker = new Worker('', { eval: true });
        const { threadId } = marker;
        const before = await system.ask(a, 'where', null, IN_5S);
        system.tell(a, 'misbehave', 'exit');
        const after = await until('a is back', async () => {
          const where = await system.ask(a, 'where', null, IN_5S).catch(() => undefined);
          return where?.incarnation === 2 && where;
        });
        await marker.terminate();
        assert.ok(before.thread < after.thread && after.thread < threadId);
      },
      { ...SETUP, export: 'countedSetup', args: ran },
    ),
    15_000,
  );
});

test('T7 without a spare one is made', () =>
  within(
    'the replacement',
    withThreads({ spare: false }, async (system) => {
      const marker = new Worker('', { eval: true });
      const { threadId } = marker;
      system.tell(a, 'misbehave', 'exit');
      const after = await until('a is back', async () => {
        const where = await system.ask(a, 'where', null, IN_5S).catch(() => undefined);
        return where?.incarnation === 2 && where;
      });
      await marker.terminate();
      assert.ok(after.thread > threadId);
    }),
    15_000,
  ));

test('T7 one that cannot be made is told of each time, and tried again until there is one', () =>
  within(
    'the third is made',
    withThreads(
      { spare: false },
      async (system, events) => {
        system.tell(a, 'misbehave', 'exit');
        await until('a is back', async () => {
          const where = await system.ask(a, 'where', null, IN_5S).catch(() => undefined);
          return where?.incarnation === 2;
        });
        const [told, again, ...more] = events.filter(({ type }) => type === 'thread.not_started');
        const { code, message } = { code: 'uncoded', message: 'too many open files' };
        assert.equal(told, { type: 'thread.not_started', thread: 'pool-0', code, message });
        assert.equal(again, told);
        assert.equal(more, []);
      },
      { ...SETUP, export: 'scarceSetup', args: new SharedArrayBuffer(4) },
    ),
    15_000,
  ));

test('T4 a loop that does not turn is reported with who holds it, and goes on where it turns again', () =>
  within(
    'the report',
    withThreads({ stallWarnMs: 200, stallKillMs: 5_000 }, async (system, events) => {
      system.tell(a, 'block', 700);
      const stalled = await until('the report', () =>
        events.find((event) => event.type === 'thread.stalled'),
      );
      assert.is(stalled.culprit, 't/root/a');
      assert.is(stalled.subject, 'subject-of-block');
      assert.ok(stalled.forMs >= 200);
      assert.is((await system.ask(a, 'where', null, IN_5S)).incarnation, 1);
      assert.is(events.filter(({ type }) => type === 'thread.stalled').length, 1, 'once a stall');
      assert.not.ok(events.some(({ type }) => type === 'thread.lost'));
    }),
    15_000,
  ));

test('T4 buffers beyond maxExternalMb, which no heap limit counts, end their thread', () =>
  within(
    'the loss',
    withThreads({ maxExternalMb: 32 }, async (system, events) => {
      system.tell(a, 'hoard', 64);
      const lost = await until('the loss', () =>
        events.find((event) => event.type === 'thread.lost'),
      );
      assert.is(lost.code, 'external_memory');
      await until('both are back', async () => {
        const all = ['a', 'b'].map((id) =>
          system.ask(refTo<CounterProtocol>('t', `root/${id}`), 'where', null, IN_5S),
        );
        const found = await Promise.all(all).catch(() => []);
        return found.length === 2 && found.every(({ incarnation }) => incarnation === 2);
      });
    }),
    15_000,
  ));

test('what is under way, and how late each loop turns, is seen from outside', () =>
  within(
    'the snapshot',
    withThreads({}, async (system) => {
      const slow = system.ask(a, 'slow', 400, IN_5S);
      const seen = await until('the message has age', async () => {
        const { actors } = await system.inspect();
        const found = actors.find(({ path }) => path === 't/root/a');
        return found !== undefined && found.handlingMs >= 200 ? found : undefined;
      });
      assert.ok(seen.handlingMs < 5_000);
      await slow;
      system.tell(a, 'block', 300);
      await until('the delay is known', async () => {
        const { threads, actors } = await system.inspect();
        const pool = threads.find(({ name }) => name === 'pool-0');
        const idle = actors.find(({ path }) => path === 't/root/a')?.handlingMs === 0;
        return idle && (pool?.loopDelayMs.max ?? 0) > 150;
      });
      const main = (await system.inspect()).threads.find(({ name }) => name === 'main');
      assert.ok((main?.externalBytes ?? 0) > 0);
      assert.ok((main?.loopDelayMs.p50 ?? -1) >= 0);
    }),
    15_000,
  ));

test.run();
