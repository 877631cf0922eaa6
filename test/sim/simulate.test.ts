/** Actor systems on virtual threads: what holds over seeds, that a seed repeats itself, and that a fault which is planted is found. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WireFrame } from '../../runtime/link/frame.ts';
import { reportOf, type SimulationOptions, simulate } from '../../runtime/testing/index.ts';
import { faultScale } from '../support/scale.ts';

export const deadlineMs = 300_000;
export const fullDeadlineMs = 7_200_000;

const SEEDS = Number(process.env.PALYRA_SIM_SEEDS ?? faultScale(2_000, 200_000));
/** One of these shows a planted fault. */
const MUTANT_SEEDS = 200;

const seeds = suite('the simulator');

seeds(`${SEEDS} seeds hold every invariant`, async () => {
  const counts: Record<string, number> = {};
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { failure, counts: done } = await simulate({ seed });
    if (failure !== undefined) assert.unreachable(reportOf(failure));
    for (const [what, count] of Object.entries(done)) counts[what] = (counts[what] ?? 0) + count;
  }
  // What never happened holds easily.
  for (const what of ['handled', 'asks', 'downs', 'crashes'])
    assert.ok((counts[what] ?? 0) > SEEDS / 4, `${what}: ${counts[what]}`);
});

seeds('the same seed does the same twice, and another one something else', async () => {
  const digests = new Set<string>();
  for (let seed = 1; seed <= 20; seed += 1) {
    const once = await simulate({ seed });
    const again = await simulate({ seed });
    assert.is(again.digest, once.digest, `seed ${seed}`);
    assert.equal(again.counts, once.counts);
    digests.add(once.digest);
  }
  assert.is(digests.size, 20);
});

/** Among the first seeds, one that fails under the planted fault. */
async function find(tamper: NonNullable<SimulationOptions['tamper']>) {
  for (let seed = 1; seed <= MUTANT_SEEDS; seed += 1) {
    const { failure } = await simulate({ seed, tamper });
    if (failure !== undefined) return failure;
  }
  return assert.unreachable(`none of ${MUTANT_SEEDS} seeds finds it`) as never;
}

function typeOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? (value as { type?: unknown }).type : '';
}

function withOtherMemory(value: unknown): unknown {
  const { beside } = (value ?? {}) as Partial<WireFrame>;
  if (beside === undefined) return value;
  const other = beside.map(([at, path]) => [at, path, new Uint8Array(8).fill(255)]);
  return { ...(value as WireFrame), beside: other };
}

const planted = {
  'a credit that is lost': {
    tamper: (value: unknown) => (typeOf(value) === 'credit' ? [] : [value]),
    invariants: ['credits'],
  },
  'a frame that comes twice': {
    tamper: (value: unknown) => (typeof value === 'string' ? [value, value] : [value]),
    invariants: ['at_most_once', 'ask_ends_once', 'credits'],
  },
  'memory that arrives as other memory': {
    tamper: (value: unknown) => [withOtherMemory(value)],
    invariants: ['memory_moves'],
  },
  'a down that is lost': {
    tamper: (value: unknown) => (typeOf(value) === 'down' ? [] : [value]),
    invariants: ['one_down_per_watch'],
  },
};

for (const [name, { tamper, invariants }] of Object.entries(planted)) {
  seeds(`${name} is found, made small, and repeated by what the report says`, async () => {
    const failure = await find(tamper);
    assert.ok(invariants.includes(failure.invariant), reportOf(failure));
    assert.ok(failure.replay.steps < 200, reportOf(failure));
    assert.match(
      reportOf(failure),
      `node dist/test/sim/seeds.js --seed ${failure.replay.seed} --steps`,
    );
    const again = await simulate({ ...failure.replay, tamper, shrink: false });
    assert.is(again.failure?.invariant, failure.invariant);
    const whole = await simulate({ ...failure.replay });
    assert.is(whole.failure, undefined, 'without the planted fault it holds');
  });
}

seeds.run();
