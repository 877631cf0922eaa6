/** `simulate`: one seed, one life of an actor system on virtual threads, under faults, with every invariant looked at after every step. */
import type { Invariant } from './books.ts';
import { type Run, type RunOptions, runOnce } from './run.ts';
import { shrink } from './shrink.ts';
import type { Tamper } from './virtual-port.ts';

export interface SimulationOptions {
  /** Everything that happens follows from it and the options beside it. */
  readonly seed: number;
  /** How often something happens before the run comes to its end. Default 200. */
  readonly steps?: number;
  /** Pool threads, beside main. Default 2. */
  readonly threads?: number;
  /** Children that each of the crowd's supervisors begins with. Default 2. */
  readonly leaves?: number;
  /** Numbers of faults that are left out. Default none. */
  readonly without?: readonly number[];
  /** Whether a run that fails is made as small as it goes. Default true. */
  readonly shrink?: boolean;
  /** A fault of the caller's own: what a link carries, data or control, is replaced by these. Default: itself. */
  readonly tamper?: Tamper;
}

export interface Simulation {
  readonly seed: number;
  /** Over all that happened: the same options give the same. */
  readonly digest: string;
  /** What the crowd did, by kind. */
  readonly counts: Readonly<Record<string, number>>;
  readonly failure: SimulationFailure | undefined;
}

export interface SimulationFailure {
  readonly invariant: Invariant;
  readonly detail: string;
  /** Repeats it: arguments of `simulate`, smaller than those given where a smaller run fails in the same way. */
  readonly replay: Required<
    Pick<SimulationOptions, 'seed' | 'steps' | 'threads' | 'leaves' | 'without'>
  >;
  /** The faults that are left in it. */
  readonly faults: readonly string[];
}

/** Never rejects for what the run shows: a violation is its `failure`. */
export async function simulate(options: SimulationOptions): Promise<Simulation> {
  const { seed, steps = 200, threads = 2, leaves = 2, without = [], tamper } = options;
  const asked: RunOptions = { seed, steps, threads, leaves, without, tamper };
  const run = await runOnce(asked);
  const { digest, counts } = run;
  if (run.violation === undefined) return { seed, digest, counts, failure: undefined };
  const smallest = options.shrink === false ? { options: asked, run } : await shrink(asked, run);
  return { seed, digest, counts, failure: toFailure(smallest.options, smallest.run) };
}

function toFailure(options: RunOptions, run: Run): SimulationFailure | undefined {
  if (run.violation === undefined) return undefined;
  const { seed, steps, threads, leaves, without } = options;
  const { invariant, detail } = run.violation;
  const faults = run.faults.map(({ fault }) => fault);
  return { invariant, detail, replay: { seed, steps, threads, leaves, without }, faults };
}

/** What happened, in lines: the invariant, what was seen, and the call that repeats it. */
export function reportOf({ invariant, detail, replay, faults }: SimulationFailure): string {
  return [
    `seed ${replay.seed} violates ${invariant}: ${detail}`,
    `faults: ${faults.length === 0 ? 'none' : faults.join(', ')}`,
    `replay: node dist/test/sim/seeds.js ${argumentsOf(replay).join(' ')}`,
    `    or: simulate(${JSON.stringify(replay)})`,
  ].join('\n');
}

function argumentsOf({
  seed,
  steps,
  threads,
  leaves,
  without,
}: SimulationFailure['replay']): string[] {
  const words = [
    `--seed ${seed}`,
    `--steps ${steps}`,
    `--threads ${threads}`,
    `--leaves ${leaves}`,
  ];
  return without.length === 0 ? words : [...words, `--without ${without.join(',')}`];
}
