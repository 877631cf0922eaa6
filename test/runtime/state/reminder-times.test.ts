/** What is due when, without actors: the table of reminders against a plain model, and its bounds. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Delivery, type Reminder, Reminders } from '../../../runtime/state/reminders.ts';
import { VirtualHost } from '../../../runtime/testing/virtual-host.ts';

const test = suite('reminder times');
const PAYLOAD = new Uint8Array([1]);

function reminderAt(host: VirtualHost, inMs: number, payload = PAYLOAD): Reminder {
  const dueAtMs = host.wallMs() + inMs;
  return { kind: 'ring', payload, everyMs: 0, dueAtMs, waitMs: inMs };
}

async function pass(host: VirtualHost, ms: number): Promise<void> {
  host.setTimer(ms, () => undefined);
  host.advance();
}

test('each one that is due is released once, the earliest first, one of an actor at a time', () => {
  const operation = fc.oneof(
    fc.record({
      type: fc.constant('set' as const),
      actor: fc.nat(5),
      name: fc.nat(4),
      inMs: fc.nat(50),
    }),
    fc.record({ type: fc.constant('cancel' as const), actor: fc.nat(5), name: fc.nat(4) }),
    fc.record({ type: fc.constant('pass' as const), ms: fc.nat(40) }),
    fc.record({
      type: fc.constant('end' as const),
      end: fc.constantFrom('done', 'crashed', 'missed'),
    }),
    fc.record({ type: fc.constant('awake' as const), actor: fc.nat(5) }),
  );
  void fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const host = new VirtualHost({ seed: 1 });
      const reminders = new Reminders(host);
      const model = new Map<string, Reminder>();
      const flying: Delivery[] = [];
      for (const op of operations) {
        if (op.type === 'set') {
          const reminder = reminderAt(host, op.inMs);
          assert.ok(reminders.set(`t/${op.actor}`, `${op.name}`, reminder));
          model.set(`t/${op.actor}#${op.name}`, reminder);
        } else if (op.type === 'cancel') {
          reminders.cancel(`t/${op.actor}`, `${op.name}`);
          model.delete(`t/${op.actor}#${op.name}`);
        } else if (op.type === 'awake') {
          reminders.awake(`t/${op.actor}`);
        } else if (op.type === 'pass') {
          void pass(host, op.ms);
          for (const one of reminders.release()) {
            const key = `${one.path}#${one.name}`;
            assert.is(model.get(key), one.reminder);
            assert.ok(one.reminder.dueAtMs <= host.wallMs());
            assert.not(flying.some(({ path }) => path === one.path));
            flying.push(one);
          }
        } else {
          const one = flying.shift();
          if (one === undefined) continue;
          const key = `${one.path}#${one.name}`;
          const change = reminders.settled(one, op.end);
          const isOurs = model.get(key) === one.reminder;
          assert.equal(change?.row, op.end === 'done' && isOurs ? null : undefined);
          if (op.end === 'done' && isOurs) model.delete(key);
        }
      }
      for (let left = 1_000; model.size + flying.length > 0 && left > 0; left -= 1) {
        for (const one of flying.splice(0)) {
          if (model.get(`${one.path}#${one.name}`) === one.reminder)
            model.delete(`${one.path}#${one.name}`);
          reminders.settled(one, 'done');
        }
        for (let actor = 0; actor <= 5; actor += 1) reminders.awake(`t/${actor}`);
        void pass(host, 100);
        flying.push(...reminders.release());
      }
      assert.is(model.size, 0, `${[...model.keys()]} never came`);
      assert.is(reminders.nextLookMs(), undefined);
    }),
    { seed: 11, numRuns: 500 },
  );
});

test('of those that are due the one that was tried least is next', async () => {
  const host = new VirtualHost({ seed: 1 });
  const reminders = new Reminders(host);
  reminders.set('t/a', 'older', reminderAt(host, 1));
  reminders.set('t/a', 'younger', reminderAt(host, 2));
  await pass(host, 10);
  for (const name of ['older', 'younger', 'older']) {
    const [one] = reminders.release();
    assert.is(one?.name, name);
    if (one !== undefined) reminders.settled(one, 'missed');
    reminders.awake('t/a');
  }
});

test('what a jump makes due at once leaves at a bounded rate', async () => {
  const host = new VirtualHost({ seed: 1 });
  const reminders = new Reminders(host);
  for (let n = 0; n < 5_000; n += 1) reminders.set(`t/${n}`, 'a', reminderAt(host, 3_600_000));
  host.jumpWall(7_200_000);
  let released = 0;
  for (let ms = 0; ms < 1_000; ms += 10) {
    for (const one of reminders.release()) {
      released += 1;
      reminders.settled(one, 'done');
    }
    const nextMs = reminders.nextLookMs() ?? 0;
    assert.ok(nextMs <= 50, `${nextMs}`);
    await pass(host, 10);
  }
  assert.ok(released > 1_500 && released <= 2_100, `${released} in a second`);
});

test('all of them are bounded, by number and by bytes', () => {
  const host = new VirtualHost({ seed: 1 });
  const large = new Uint8Array(64 * 1_024);
  const reminders = new Reminders(host);
  let taken = 0;
  while (reminders.set(`t/${taken}`, 'a', reminderAt(host, 1, large)) !== undefined) taken += 1;
  assert.is(taken, 1_024);
  reminders.cancel('t/0', 'a');
  assert.ok(reminders.set('t/0', 'a', reminderAt(host, 1, large)));
  const many = new Reminders(host);
  for (let n = 0; n < 100_000; n += 1) many.set(`t/${n}`, 'a', reminderAt(host, 1));
  assert.is(many.set('t/next', 'a', reminderAt(host, 1)), undefined);
  assert.ok(many.set('t/7', 'a', reminderAt(host, 1)));
});

test.run();
