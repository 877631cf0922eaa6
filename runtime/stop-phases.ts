/** What a host has done before its tree is stopped: phases on the running tree, each with a deadline and all with one. */
import { createDeferred } from './deferred.ts';
import { codeOf, RuntimeError } from './errors.ts';
import type { Host } from './host/host.ts';

export interface StopPhase {
  /** In the event of its end. */
  readonly name: string;
  /** The phase is over then, whatever its work does. The deadline of the whole stop may end it sooner. */
  readonly deadlineMs: number;
  /** Its work, which may ask actors: all of them still run. Where it rejects the next phase begins all the same. */
  run(options: StopPhaseOptions): Promise<unknown>;
}

export interface StopPhaseOptions {
  /** For how long it may run. */
  readonly forMs: number;
  /** Aborts when the phase is over. */
  readonly signal: AbortSignal;
}

interface Ground {
  readonly host: Host;
  /** Of all phases, as a monotonic instant. */
  readonly endMs: number;
  /** Settles where the tree ends by itself: there is nothing left to do then. */
  readonly treeEnded: Promise<void>;
  /** '' or why it did not end by itself: the code of its error, `phase_late`, or `phase_skipped`. */
  ended(phase: string, code: string): void;
}

/** Throws `bad_option`. */
export function checkPhases(phases: readonly StopPhase[]): void {
  for (const [i, { deadlineMs, run }] of phases.entries()) {
    if (!(Number.isFinite(deadlineMs) && deadlineMs >= 0))
      throw new RuntimeError('bad_option', `phases[${i}].deadlineMs is ${deadlineMs}, expected ms`);
    if (typeof run !== 'function')
      throw new RuntimeError(
        'bad_option',
        `phases[${i}].run is ${typeof run}, expected a function`,
      );
  }
}

/** One after the other. Never rejects. */
export async function runPhases(phases: readonly StopPhase[], ground: Ground): Promise<void> {
  let isTreeOver = false;
  const treeOver = ground.treeEnded.then(() => {
    isTreeOver = true;
    return 'phase_skipped';
  });
  for (const phase of phases) {
    const leftMs = ground.endMs - ground.host.monotonicMs();
    const mayRun = !isTreeOver && leftMs > 0;
    const forMs = Math.min(phase.deadlineMs, leftMs);
    const code = mayRun ? await runPhase(phase, forMs, ground.host, treeOver) : 'phase_skipped';
    ground.ended(phase.name, code);
  }
}

async function runPhase(
  phase: StopPhase,
  forMs: number,
  host: Host,
  treeOver: Promise<string>,
): Promise<string> {
  const over = new AbortController();
  const late = createDeferred<string>();
  const timer = host.setTimer(forMs, () => late.resolve('phase_late'));
  const work = async () => phase.run({ forMs, signal: over.signal });
  const done = work().then(() => '', codeOf);
  try {
    return await Promise.race([done, late.promise, treeOver]);
  } finally {
    timer.cancel();
    over.abort();
  }
}
