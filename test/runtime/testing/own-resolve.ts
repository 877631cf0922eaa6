/** A thread setup that finds code in its own way, and has none. */
import type { ThreadWorld } from '../../../runtime/system.ts';

export function setup(): ThreadWorld {
  return {
    deps: undefined,
    resolve: (module) => Promise.reject(new Error(`nothing known of ${module}`)),
  };
}
