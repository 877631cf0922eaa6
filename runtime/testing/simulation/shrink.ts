/** From a run that fails to the smallest that still fails in the same way: fewer steps, threads, actors and faults. */
import { type Run, type RunOptions, runOnce } from './run.ts';

/** Runs that the search may take. */
const LONGEST_SEARCH = 120;

export interface Smallest {
  readonly options: RunOptions;
  readonly run: Run;
}

export async function shrink(options: RunOptions, run: Run): Promise<Smallest> {
  const invariant = run.violation?.invariant;
  let best: Smallest = { options, run };
  let left = LONGEST_SEARCH;
  const isSmaller = async (change: Partial<RunOptions>): Promise<boolean> => {
    if (left === 0) return false;
    left -= 1;
    const tried = { ...best.options, ...change };
    const outcome = await runOnce(tried);
    if (outcome.violation?.invariant !== invariant) return false;
    best = { options: tried, run: outcome };
    return true;
  };
  // The steps after the one that shows it take no part.
  const seenAt = run.violation?.step ?? options.steps;
  if (seenAt < options.steps) await isSmaller({ steps: seenAt });
  for (const threads of range(1, best.options.threads)) if (await isSmaller({ threads })) break;
  for (const leaves of range(0, best.options.leaves)) if (await isSmaller({ leaves })) break;
  await withoutFaults(() => best, isSmaller);
  for (let cut = best.options.steps; cut >= 1; cut = Math.floor(cut / 2)) {
    while (best.options.steps > cut && (await isSmaller({ steps: best.options.steps - cut }))) {
      // Once more the same length.
    }
  }
  return best;
}

/** All of them, then halves, then one by one. */
async function withoutFaults(
  best: () => Smallest,
  isSmaller: (change: Partial<RunOptions>) => Promise<boolean>,
): Promise<void> {
  let size = best().run.faults.length;
  while (size >= 1) {
    const numbers = best().run.faults.map(({ number }) => number);
    for (let at = 0; at < numbers.length; at += size) {
      const { without } = best().options;
      await isSmaller({ without: [...without, ...numbers.slice(at, at + size)] });
    }
    size = Math.floor(size / 2);
  }
}

function range(from: number, below: number): number[] {
  return Array.from({ length: Math.max(0, below - from) }, (_, i) => from + i);
}
