/** Seeded kills while every actor is busy: the actor that is charged is the one that ended its thread. runtime/SEMANTICS.md T1. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { child, createSystem, refTo, type SystemEvent, supervisor } from '../../runtime/index.ts';
import { faultScale } from '../support/scale.ts';
import { until, within } from '../support/within.ts';
import { type Death, type MortalProtocol, mortalActor } from './mortal-actor.ts';
import { seeded, seedOf } from './seeded.ts';

const KILLS = faultScale(20, 300);
const SEED = seedOf(11);
const WRONG_AT_MOST = 0.01;
const WAIT_MS = 30_000;
/** All of them end the thread within the handler; the loop takes as long as its watchdog. */
const IN_HANDLER: readonly Death[] = ['exit-0', 'exit-1', 'heap', 'exit-0', 'exit-1', 'heap'];
/** Every so many kills is a loop. */
const LOOP_EVERY = 15;
const SETUP = {
  module: new URL('../runtime/support/plain-setup.js', import.meta.url).href,
  export: 'setup',
  args: {},
};
const IDS = ['a0', 'a1', 'a2', 'a3', 'b0', 'b1', 'b2', 'b3'] as const;
const REFS = IDS.map((id) => refTo<MortalProtocol>('charged', `root/${id}`));

const test = suite('the charged actor');

test(`T1 of ${KILLS} kills at least 99 in 100 are charged to who did it (seed ${SEED})`, async () => {
  const random = seeded(SEED);
  const events: SystemEvent[] = [];
  const system = await createSystem({
    name: 'charged',
    threads: {
      pool: 2,
      groups: { a: { threads: [0] }, b: { threads: [1] } },
      stallKillMs: 3_000,
      maxHeapMb: 48,
    },
    thread: SETUP,
    onEvent: (event) => {
      if (event.type === 'thread.lost') events.push(event);
    },
  });
  let isOver = false;
  const load: Promise<void>[] = [];
  try {
    const children = IDS.map((id) => {
      const placement = { hash: id, group: id.charAt(0) };
      return child(mortalActor, { id, args: {}, placement });
    });
    const root = supervisor('root', {
      strategy: 'one_for_one',
      intensity: 100_000,
      periodMs: 1_000,
      backoff: { minMs: 1, maxMs: 5 },
      children,
    });
    await within('the start', system.started(system.spawn(root)), WAIT_MS);
    const keepBusy = async (ref: (typeof REFS)[number]) => {
      while (!isOver) {
        // Who is gone for a moment refuses at once: the loop must turn all the same.
        await system
          .ask(ref, 'spin', random() / 5, { inMs: WAIT_MS })
          .catch(() => new Promise((resolve) => setTimeout(resolve, 5)));
      }
    };
    load.push(...REFS.flatMap((ref) => [keepBusy(ref), keepBusy(ref), keepBusy(ref)]));
    const wrong: string[] = [];
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const at = Math.floor(random() * REFS.length);
      const ref = REFS[at] ?? refTo<MortalProtocol>('charged', 'root/a0');
      const how =
        kill % LOOP_EVERY === 0 ? 'loop' : IN_HANDLER[Math.floor(random() * IN_HANDLER.length)];
      await until(
        `${ref.address} hears of kill ${kill}`,
        () => system.tell(ref, 'die', how ?? 'exit-0'),
        WAIT_MS,
      );
      const lost = await until(`the loss of kill ${kill}`, () => events[kill - 1], WAIT_MS);
      if (lost.type === 'thread.lost' && lost.culprit !== ref.address)
        wrong.push(`kill ${kill} by ${how} of ${ref.address}: '${lost.culprit}', ${lost.code}`);
      await until(
        `all are back after kill ${kill}`,
        async () => {
          const asks = REFS.map((one) => system.ask(one, 'incarnation', null, { inMs: 2_000 }));
          return Promise.all(asks).catch(() => undefined);
        },
        WAIT_MS,
      );
    }
    assert.is(events.length, KILLS, 'a thread was lost that nobody killed');
    assert.ok(wrong.length <= KILLS * WRONG_AT_MOST, `${wrong.length}: ${wrong.join('; ')}`);
  } finally {
    isOver = true;
    await within('the stop', system.stop({ deadlineMs: 5_000 }), WAIT_MS);
    await within('the end of the load', Promise.all(load), WAIT_MS);
  }
});

test.run();
