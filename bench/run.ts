/** `npm run bench -- [NAME] [--json] [--smoke]`: runs the cases whose name starts with NAME, or lists them all. */
import { Bench } from 'tinybench';
import type { BenchCase, Contest } from './bench-case.ts';
import { cases } from './cases.ts';

const ROUNDS = 7;
const SMOKE_SCALE = 0.01;

interface BenchResult {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  /** Above 1: ours is better. */
  readonly ratio: number;
  /** Lowest and highest ratio of the rounds. */
  readonly spread: readonly [number, number];
  readonly bar: number;
  readonly rounds: number;
  readonly details?: Readonly<Record<string, number>>;
}

const argv = process.argv.slice(2);
const isSmoke = argv.includes('--smoke');
const isJson = argv.includes('--json');
const wanted = argv.find((word) => !word.startsWith('-'));

if (wanted === undefined && !isSmoke) {
  for (const { name, unit, peerName, bar } of cases)
    console.log(`${name}  ${unit}  vs ${peerName}, at least ${bar}`);
} else {
  const chosen = cases.filter(
    ({ name }) => wanted === undefined || name === wanted || name.startsWith(`${wanted}/`),
  );
  if (chosen.length === 0) {
    console.error(`no bench '${wanted}'; without a name the list is printed`);
    process.exitCode = 2;
  }
  for (const one of chosen) await runCase(one);
}

async function runCase(one: BenchCase): Promise<void> {
  const reason = (await one.skip?.()) ?? '';
  if (reason !== '') {
    console.log(
      isJson
        ? JSON.stringify({ name: one.name, skipped: reason })
        : `${one.name}  skipped: ${reason}`,
    );
    return;
  }
  const contest = await one.open(isSmoke ? SMOKE_SCALE : 1);
  try {
    const result = await measure(one, contest);
    console.log(isJson ? JSON.stringify(result) : toLine(result));
  } finally {
    await contest.close();
  }
}

async function measure(one: BenchCase, contest: Contest): Promise<BenchResult> {
  const isValue = one.measure === 'value';
  const rounds = isSmoke ? 1 : (one.rounds ?? ROUNDS);
  const take = async (round: () => Promise<number>) => {
    const value = await (isValue ? round() : rate(round));
    await contest.settle?.();
    return value;
  };
  const ours: number[] = [];
  const peer: number[] = [];
  const warmUps = isSmoke ? 0 : (one.warmUps ?? (isValue ? 0 : 1));
  for (let round = -warmUps; round < rounds; round += 1) {
    const first = round % 2 === 0;
    const rates = first
      ? [await take(contest.ours), await take(contest.peer)]
      : [await take(contest.peer), await take(contest.ours)].reverse();
    if (round < 0) continue;
    ours.push(rates[0] ?? 0);
    peer.push(rates[1] ?? 0);
  }
  const ratios = ours
    .map((value, i) => (isValue ? (peer[i] ?? 0) / value : value / (peer[i] ?? 1)))
    .sort((a, b) => a - b);
  const details = contest.details?.();
  return {
    name: one.name,
    unit: one.unit,
    ours: median(ours),
    peer: median(peer),
    peerName: one.peerName,
    ratio: median(ratios),
    spread: [ratios[0] ?? 0, ratios.at(-1) ?? 0],
    bar: one.bar,
    rounds,
    ...(details === undefined ? {} : { details }),
  };
}

/** Units per second of one round. */
async function rate(round: () => Promise<number>): Promise<number> {
  let units = 0;
  const bench = new Bench({ iterations: 1, time: 0, warmup: false, throws: true });
  bench.add('round', async () => {
    units = await round();
  });
  const [task] = await bench.run();
  const result = task?.result;
  if (result === undefined || !('latency' in result)) throw new Error('the round gave no time');
  return units / (result.latency.mean / 1_000);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function toLine({
  name,
  unit,
  ours,
  peer,
  peerName,
  ratio,
  spread,
  bar,
  details,
}: BenchResult): string {
  const figures = `${toFigure(ours)} ${unit}, ${peerName} ${toFigure(peer)}`;
  const more = details === undefined ? '' : `  ${JSON.stringify(details)}`;
  return `${name}  ${figures}  ratio ${ratio.toFixed(2)} (${spread.map((r) => r.toFixed(2)).join('–')}), at least ${bar}${more}`;
}

/** Small values would be lost in whole numbers: microseconds, milliseconds. */
function toFigure(value: number): string {
  return value < 100 ? value.toFixed(2) : String(Math.round(value));
}
