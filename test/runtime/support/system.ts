/** Systems for the runtime's tests, inline and over threads. */
import {
  type ChildSpec,
  createSystem,
  type Supervision,
  type System,
  type SystemEvent,
  supervisor,
} from '../../../runtime/index.ts';
import type { Store } from '../../../runtime/store/index.ts';
import { within } from '../../support/within.ts';

export const MODES = ['inline', 'threads'] as const;
export type Mode = (typeof MODES)[number];

export interface TestSystem {
  readonly system: System;
  readonly events: SystemEvent[];
}

const SETUP = {
  module: new URL('./plain-setup.js', import.meta.url).href,
  export: 'setup',
  args: {},
};
const FAST_BACKOFF = { minMs: 1, maxMs: 20, factor: 2, jitter: 0, resetAfterMs: 1_000 };

/** A system `t` whose root `root` supervises `children`. */
export async function startTree(
  mode: Mode,
  children: readonly ChildSpec<unknown, unknown>[],
  supervision: Partial<Supervision> = {},
  store?: Store,
): Promise<TestSystem> {
  const events: SystemEvent[] = [];
  const threads =
    mode === 'inline' ? ('inline' as const) : { pool: 2, stallKillMs: 3_000, maxHeapMb: 48 };
  const system = await createSystem({
    name: 't',
    threads,
    thread: SETUP,
    ...(store === undefined ? {} : { store }),
    onEvent: (event) => events.push(event),
  });
  const root = system.spawn(
    supervisor('root', {
      strategy: 'one_for_one',
      intensity: 100,
      periodMs: 10_000,
      backoff: FAST_BACKOFF,
      ...supervision,
      children,
    }),
  );
  await within('the tree has started', system.started(root));
  return { system, events };
}

/** Runs `work` on a tree and stops it whatever happens. */
export async function withTree(
  mode: Mode,
  tree: {
    readonly children: readonly ChildSpec<unknown, unknown>[];
    readonly supervision?: Partial<Supervision>;
    readonly store?: Store;
  },
  work: (test: TestSystem) => Promise<void>,
): Promise<void> {
  const test = await startTree(mode, tree.children, tree.supervision, tree.store);
  try {
    await work(test);
  } finally {
    await within('the system has stopped', test.system.stop({ deadlineMs: 4_000 }));
  }
}
