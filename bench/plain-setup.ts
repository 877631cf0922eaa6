/** A thread setup without anything of its own. */
import type { ThreadWorld } from '../runtime/index.ts';

export function setup(): ThreadWorld {
  return { deps: null };
}

export const SETUP = { module: import.meta.url, export: 'setup', args: null };
