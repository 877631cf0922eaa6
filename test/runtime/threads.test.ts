/** Which thread an actor is on, and how threads share the processors: runtime/SEMANTICS.md T5, T6. */
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { threadGroups } from '../../actors/tree.ts';
import {
  child,
  createSystem,
  type System,
  supervisor,
  type ThreadGroup,
} from '../../runtime/index.ts';
import { skipTest } from '../support/skip.ts';
import { within } from '../support/within.ts';
import { counterActor } from './support/actors.ts';

const test = suite('threads');
const thread = {
  module: new URL('./support/plain-setup.js', import.meta.url).href,
  export: 'setup',
  args: {},
};

async function withSystem(
  threads: { readonly pool: number; readonly groups?: Record<string, ThreadGroup> },
  work: (system: System) => Promise<void>,
): Promise<void> {
  const system = await createSystem({ name: 't', threads, thread });
  try {
    await within('the test', work(system), 20_000);
  } finally {
    await system.stop();
  }
}

/** Twelve actors of each group: the names of the threads that they are on. */
async function threadsOf(system: System, groups: readonly (string | undefined)[]) {
  const children = groups.flatMap((group) =>
    Array.from({ length: 12 }, (_, n) =>
      child(counterActor, {
        id: `${group ?? 'none'}-${n}`,
        args: {},
        placement: group === undefined ? { hash: `key ${n}` } : { hash: `key ${n}`, group },
      }),
    ),
  );
  const root = supervisor('root', {
    strategy: 'one_for_one',
    intensity: 0,
    periodMs: 1,
    children,
  });
  await system.started(system.spawn(root));
  const { actors } = await system.inspect();
  return groups.map((group) => {
    const found = actors.filter(({ path }) => path.includes(`/${group ?? 'none'}-`));
    assert.is(found.length, 12);
    return [...new Set(found.map((actor) => actor.thread))].sort();
  });
}

test('T6 actors of a group are on its threads; without a group, or with one that has none of its own, on all', () =>
  withSystem(
    { pool: 3, groups: { few: { threads: [0] }, most: { threads: [1, 2] } } },
    async (system) => {
      const all = ['pool-0', 'pool-1', 'pool-2'];
      const found = await threadsOf(system, ['few', 'most', undefined, 'unheard-of']);
      assert.equal(found, [['pool-0'], ['pool-1', 'pool-2'], all, all]);
    },
  ));

for (const threads of [[], [3], [-1], [0, 1.5]]) {
  test(`threads that the pool has not, [${threads}], are refused`, async () => {
    const options = { name: 't', threads: { pool: 3, groups: { few: { threads } } }, thread };
    const refused = await createSystem(options).then(
      () => undefined,
      (error: unknown) => error as { readonly code: string; readonly message: string },
    );
    assert.is(refused?.code, 'bad_option');
    assert.match(
      refused?.message ?? '',
      /threads\.groups\.few\.threads is .*expected one or more of 0 to 2/,
    );
  });
}

test('the gateway’s webhooks have the first thread, its sessions the others; a single thread has all', () => {
  assert.equal(threadGroups(1), {});
  const webhooks = { threads: [0], urgent: true };
  assert.equal(threadGroups(2), { webhooks, sessions: { threads: [1] } });
  assert.equal(threadGroups(3), { webhooks, sessions: { threads: [1, 2] } });
  assert.equal(threadGroups(4), { webhooks, sessions: { threads: [1, 2, 3] } });
});

const TITLE = 'T5 pool threads give way to main and to urgent ones';
if (process.platform === 'linux') {
  test(TITLE, () => {
    const before = nicerThreads();
    const groups = { fast: { threads: [1], urgent: true }, slow: { threads: [0] } };
    return withSystem({ pool: 3, groups }, async () => assert.is(nicerThreads(), before + 2));
  });
} else skipTest(test, TITLE, 'only on Linux has each thread a niceness');

/** Threads of this process with less of a claim than main. */
function nicerThreads(): number {
  const main = getPriority(0);
  return readdirSync('/proc/self/task').filter((id) => {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8');
    // From the state on, which is the third field; the niceness is the nineteenth.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]) > main;
  }).length;
}

test.run();
