/** The indexed heap against a sorted list. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WakeQueue } from '../../../actors/outbox/wake-queue.ts';

const test = suite('actors/outbox: wake queue');

test('it wakes in the order of time, each item once, at the time that was set last', () => {
  const step = fc.oneof(
    fc.tuple(fc.constant('set' as const), fc.nat(9), fc.nat(20)),
    fc.tuple(fc.constant('delete' as const), fc.nat(9), fc.constant(0)),
    fc.tuple(fc.constant('take' as const), fc.constant(0), fc.nat(20)),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new WakeQueue<number>();
      const model = new Map<number, number>();
      for (const [what, item, atMs] of steps) {
        if (what === 'set') {
          queue.set(item, atMs);
          model.set(item, atMs);
        } else if (what === 'delete') {
          queue.delete(item);
          model.delete(item);
        } else {
          const due = [...model].filter(([, at]) => at <= atMs);
          const taken = queue.takeDue(atMs);
          assert.is(taken === undefined, due.length === 0);
          if (taken !== undefined) {
            assert.is(model.get(taken), Math.min(...due.map(([, at]) => at)));
            model.delete(taken);
          }
        }
        assert.is(queue.size, model.size);
        const earliest = model.size === 0 ? undefined : Math.min(...model.values());
        assert.is(queue.earliestMs, earliest);
      }
    }),
    { numRuns: 300 },
  );
});

test.run();
