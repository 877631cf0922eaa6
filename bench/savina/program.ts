/**
 * What a program of the Savina actor suite is here (https://github.com/shamsimam/savina): its actors, one way to run them,
 * and the answer that must come out. Written once, for the tests and for the benches.
 */
import type { ActorDefinition, Supervision, System } from '../../runtime/index.ts';
import { startOne } from '../open-system.ts';

export interface Program {
  readonly name: string;
  /** What a rate counts, e.g. `messages/s`. */
  readonly unit: string;
  /** How many of them a run of this size has. */
  units(size: number): number;
  /** What a run of this size answers where nothing is lost, doubled or out of order. */
  answer(size: number): number;
  /** Once a system: the first actor stands on main, those that it starts on the pool's threads where there are any. */
  run(system: System, size: number): Promise<number>;
}

/** What every program's first actor is asked. */
export interface FirstActor {
  run(size: number): number;
}

export const MINUTE = { inMs: 60_000 };

/** One crash anywhere is the end of the program: the run fails instead of answering something else. */
export const UNFORGIVING: Supervision = { strategy: 'one_for_one', intensity: 0, periodMs: 1 };

export async function runFrom<P extends FirstActor, S>(
  system: System,
  definition: ActorDefinition<P, P, null, S, unknown>,
  size: number,
): Promise<number> {
  const first = await startOne(system, definition, definition.name, null);
  return system.ask<FirstActor, 'run'>(first, 'run', size, MINUTE);
}
