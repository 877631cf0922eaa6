/** The delivery machine on the table against XState's own transition(), and its drawing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type AnyStateMachine, transition } from 'xstate';
import {
  ACTIVE_STATUSES,
  type DeliveryEvent,
  deliveryMachine,
  deliveryTable,
  ENDED_STATUSES,
} from '../../../actors/outbox/machine.ts';
import { toMermaid } from '../../../runtime/machine/index.ts';

const test = suite('actors/outbox: machine');

const pause = {
  atMs: fc.constant(1_000),
  delayMs: fc.nat(5_000),
  counts: fc.boolean(),
  reason: fc.constantFrom('', 'x'),
};
const event: fc.Arbitrary<DeliveryEvent> = fc.oneof(
  fc.record({ type: fc.constantFrom('start', 'due', 'hold', 'expired', 'quarantine', 'discard') }),
  fc.record({ type: fc.constant('replay' as const), atMs: fc.nat(9) }),
  fc.record({
    type: fc.constant('delivered' as const),
    nativeMessageId: fc.constantFrom('m1', 'm2'),
    chunks: fc.integer({ min: 1, max: 3 }),
    maySend: fc.boolean(),
  }),
  fc.record({ type: fc.constantFrom('rate_limited', 'transient', 'auth'), ...pause }),
  fc.record({ type: fc.constant('permanent' as const), reason: fc.constant('no') }),
  fc.record({
    type: fc.constant('unknown' as const),
    hold: fc.boolean(),
    charge: fc.constantFrom('none', 'crash', 'loss'),
    ...pause,
  }),
) as fc.Arbitrary<DeliveryEvent>;

test('any run of events gives what transition() gives, and reaches every status', () => {
  const reached = new Set<string>();
  const machine = deliveryMachine as unknown as AnyStateMachine;
  fc.assert(
    fc.property(fc.array(event, { minLength: 10, maxLength: 40 }), (run) => {
      let ours = deliveryTable.initial();
      for (const next of run) {
        const before = machine.resolveState({ value: ours.value, context: ours.context });
        const [after] = transition(machine, before, next);
        ours = deliveryTable.next(ours, next);
        assert.equal(ours.value, after.value);
        assert.equal(ours.context, after.context);
        assert.is(ours.changed, after !== before);
        reached.add(String(ours.value));
      }
    }),
    { numRuns: 500 },
  );
  assert.equal([...reached].sort(), [...ACTIVE_STATUSES, ...ENDED_STATUSES].sort());
});

test('it is drawn in DELIVERY.md as it is, and each status is explained there', () => {
  const root = join(import.meta.dirname, '../../../..');
  const page = readFileSync(join(root, 'actors/outbox/DELIVERY.md'), 'utf8');
  const drawing = /```mermaid\n([^`]*)\n```/.exec(page)?.[1];
  assert.is(drawing, toMermaid(deliveryMachine));
  const explained = [...page.matchAll(/^\| `(\w+)` \|/gm)].map((row) => row[1]);
  assert.equal(explained, [...ACTIVE_STATUSES, ...ENDED_STATUSES]);
  assert.match(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'), 'actors/outbox/DELIVERY.md');
});

test.run();
