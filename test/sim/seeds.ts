/**
 * The command line of the simulator: `node dist/test/sim/seeds.js --from 1 --seeds 200000`, or one seed with what a report says,
 * `node dist/test/sim/seeds.js --seed 7 --steps 40`. It ends with 1 at the first seed that fails, and says how to repeat it.
 */
import { parseArgs } from 'node:util';
import { reportOf, type SimulationOptions, simulate } from '../../runtime/testing/index.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1000' },
    steps: { type: 'string', default: '200' },
    threads: { type: 'string', default: '2' },
    leaves: { type: 'string', default: '2' },
    without: { type: 'string', default: '' },
  },
});

const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const common: Omit<SimulationOptions, 'seed'> = {
  steps: Number(values.steps),
  threads: Number(values.threads),
  leaves: Number(values.leaves),
  without: values.without === '' ? [] : values.without.split(',').map(Number),
};

const beganMs = performance.now();
let done = 0;
for (; done < count; done += 1) {
  const { failure, digest } = await simulate({ seed: first + done, ...common });
  if (failure !== undefined) {
    console.log(reportOf(failure));
    process.exitCode = 1;
    break;
  }
  if (count === 1) console.log(`digest ${digest}`);
  if (done % 10_000 === 9_999) console.log(`${done + 1} seeds`);
}
const seconds = (performance.now() - beganMs) / 1_000;
console.log(
  `${done} of ${count} seeds hold, ${seconds.toFixed(1)} s, ${(done / seconds).toFixed(0)} a second`,
);
