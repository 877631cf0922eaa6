/** Deaths of a worker thread, each in a system of its own: runtime/SEMANTICS.md T. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, refTo } from '../../runtime/index.ts';
import {
  type CounterProtocol,
  counterActor,
  type WatcherProtocol,
  watcherActor,
} from '../runtime/support/actors.ts';
import { withTree } from '../runtime/support/system.ts';
import { faultScale } from '../support/scale.ts';
import { until, within } from '../support/within.ts';

const culprit = refTo<CounterProtocol>('t', 'root/culprit');
const neighbour = refTo<CounterProtocol>('t', 'root/neighbour');
const other = refTo<CounterProtocol>('t', 'root/other');
const watcher = refTo<WatcherProtocol>('t', 'root/watcher');
const CHILDREN = [
  child(counterActor, { id: 'culprit', args: {}, placement: { hash: 'a' } }),
  child(counterActor, { id: 'neighbour', args: {}, placement: { hash: 'a' } }),
  child(counterActor, { id: 'other', args: {}, placement: { hash: 'b' } }),
  child(watcherActor, { id: 'watcher', args: null, placement: 'main' }),
];
const IN_2S = { inMs: 2_000 };
const DEATHS = [
  ['exit', 'thread_exit'],
  ['loop', 'thread_stalled'],
  ['oom', 'ERR_WORKER_OUT_OF_MEMORY'],
] as const;

const test = suite('thread death');

for (const [how, code] of DEATHS) {
  for (let round = 1; round <= faultScale(1, 10); round += 1) {
    test(`T1 T2 T3 T4 W2 ${how}: the culprit is charged, its neighbour is back, others never stopped (round ${round})`, async () => {
      await within(
        how,
        withTree('threads', { children: CHILDREN }, async ({ system, events }) => {
          system.tell(watcher, 'watch', neighbour);
          system.tell(watcher, 'watch', culprit);
          system.tell(other, 'add', 1);
          await system.ask(other, 'total', null, IN_2S);
          const pending = system
            .ask(neighbour, 'slow', 60_000, { inMs: 60_000 })
            .catch(({ code: reason }: { code: string }) => reason);
          await until(
            'the pending ask is under way',
            async () => ((await system.inspect()).counters.asks_open ?? 0) > 0,
          );
          system.tell(culprit, 'misbehave', how);
          assert.is(await within('the pending ask ends', pending, 8_000), 'thread_lost');
          await until(
            'both are back',
            async () => {
              const asks = [culprit, neighbour].map((ref) =>
                system.ask(ref, 'where', null, { inMs: 200 }),
              );
              const found = await Promise.all(asks).catch(() => undefined);
              return found?.every(({ incarnation }) => incarnation === 2);
            },
            8_000,
          );
          assert.is(
            await system.ask(other, 'total', null, IN_2S),
            1,
            'the other thread kept its state',
          );
          const [lost] = events.filter((event) => event.type === 'thread.lost');
          assert.equal(
            lost?.type === 'thread.lost'
              ? [lost.code, lost.culprit, lost.subject, lost.actors]
              : [],
            [code, 't/root/culprit', 'subject-of-misbehave', 2],
          );
          const charged = events.flatMap((event) =>
            event.type === 'actor.crashed' && event.cause.culprit === true
              ? [event.address.replace(/#.*/, '')]
              : [],
          );
          assert.equal(charged, ['t/root/culprit']);
          const downs = await system.ask(watcher, 'downs', null, IN_2S);
          // No order is promised between the ends of two actors.
          const inOrder = [...downs].sort((one) => (one.cause.culprit === true ? 1 : -1));
          assert.equal(
            inOrder.map(({ cause, incarnation }) => ({ ...cause, incarnation })),
            [
              { kind: 'thread-lost', code, culprit: false, incarnation: 1 },
              {
                kind: 'thread-lost',
                code,
                culprit: true,
                subject: 'subject-of-misbehave',
                incarnation: 1,
              },
            ],
          );
        }),
        30_000,
      );
    });
  }
}

test('T1 an error outside of every actor charges nobody', async () => {
  await withTree('threads', { children: CHILDREN }, async ({ system, events }) => {
    system.tell(culprit, 'misbehave', 'throw-later');
    const lost = await until('the loss', () =>
      events.find((event) => event.type === 'thread.lost'),
    );
    assert.is(lost.type === 'thread.lost' ? lost.culprit : 'none', '');
    await until(
      'both are back',
      async () => {
        const found = await system
          .ask(neighbour, 'where', null, { inMs: 200 })
          .catch(() => undefined);
        return found?.incarnation === 2;
      },
      8_000,
    );
  });
});

test.run();
