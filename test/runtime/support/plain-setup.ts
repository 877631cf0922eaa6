/** A thread setup without anything of its own. */
import type { ThreadWorld } from '../../../runtime/system.ts';

export function setup(args: unknown): ThreadWorld {
  return { deps: { args } };
}
