/** Counts over all threads, lost ones included: runtime/SEMANTICS.md O6. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, refTo } from '../../../runtime/index.ts';
import { ThreadCounters } from '../../../runtime/observe/thread-counters.ts';
import { until } from '../../support/within.ts';
import { type CounterProtocol, counterActor } from '../support/actors.ts';
import { withTree } from '../support/system.ts';

const IN_5S = { inMs: 5_000 };

const test = suite('counters of threads');

test('O6 a lost thread stays in the sum with its last known counts, without its open asks', () => {
  const counters = new ThreadCounters();
  counters.heard({ handled: 3, asks_open: 2 });
  assert.equal(counters.total(), { handled: 3, asks_open: 2 });
  counters.lost();
  assert.equal(counters.total(), { handled: 3, asks_open: 0 });
  counters.heard({ handled: 1, asks_open: 1 });
  counters.heard({ handled: 4, asks_open: 1 });
  assert.equal(counters.total(), { handled: 7, asks_open: 1 });
  counters.lost();
  counters.lost();
  assert.equal(counters.total(), { handled: 7, asks_open: 0 });
});

test('O6 the counts of a system never fall when a thread is lost', () =>
  withTree(
    'threads',
    { children: [child(counterActor, { id: 'a', args: {}, placement: 'pool' })] },
    async ({ system }) => {
      const a = refTo<CounterProtocol>('t', 'root/a');
      for (let i = 0; i < 500; i += 1) system.tell(a, 'add', 1);
      assert.is(await system.ask(a, 'total', null, IN_5S), 500);
      const known = await until('the counts', async () => {
        const { handled = 0 } = (await system.inspect()).counters;
        return handled > 500 && handled;
      });
      system.tell(a, 'misbehave', 'exit');
      await until('a is back', async () => {
        const where = await system.ask(a, 'where', null, IN_5S).catch(() => undefined);
        return where?.incarnation === 2;
      });
      const { handled = 0 } = (await system.inspect()).counters;
      assert.ok(handled > known, `${handled} after ${known}`);
    },
  ));

test.run();
