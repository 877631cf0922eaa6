/** The programs of the Savina suite come to the right answer, inline and over threads. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { big } from '../../bench/savina/big.ts';
import { boundedBuffer } from '../../bench/savina/bounded-buffer.ts';
import { counting } from '../../bench/savina/counting.ts';
import { forkJoinCreate } from '../../bench/savina/fork-join-create.ts';
import { forkJoinThroughput } from '../../bench/savina/fork-join-throughput.ts';
import { philosophers } from '../../bench/savina/philosophers.ts';
import { pingPong } from '../../bench/savina/ping-pong.ts';
import { threadRing } from '../../bench/savina/thread-ring.ts';
import { until, within } from '../support/within.ts';
import { MODES, withTree } from './support/system.ts';

/** Size and answer of each program; over threads each hop is a crossing and each actor a call. */
const PROGRAMS = [
  { program: pingPong, inline: [20_000, 20_000], threads: [1_000, 1_000] },
  { program: counting, inline: [100_001, 100_001], threads: [20_001, 20_001] },
  { program: forkJoinThroughput, inline: [1_000, 29_970_000], threads: [300, 2_691_000] },
  { program: forkJoinCreate, inline: [2_500, 3_123_750], threads: [150, 11_175] },
  { program: threadRing, inline: [20_042, 42], threads: [1_037, 37] },
  { program: big, inline: [200, 24_000], threads: [30, 3_600] },
  { program: boundedBuffer, inline: [250, 49_995_000], threads: [25, 499_500] },
  { program: philosophers, inline: [500, 10_000], threads: [20, 400] },
] as const;
const LONG_MS = 60_000;

for (const mode of MODES) {
  const test = suite(`savina, ${mode}`);
  for (const { program, ...sizes } of PROGRAMS) {
    const [size, answer] = sizes[mode];
    const title = `${program.name} of ${size} answers ${answer}`;
    test(title, () =>
      within(
        title,
        withTree(mode, { children: [] }, async ({ system, events }) => {
          assert.is(await program.run(system, size), answer);
          assert.is(program.answer(size), answer);
          const { actors, counters } = await system.inspect();
          const others = actors.filter(({ path }) => path.startsWith(`t/${program.name}/`));
          assert.equal(
            others.filter(({ thread }) => (thread === 'main') === (mode === 'threads')),
            [],
            'with threads, the first actor alone stands on main',
          );
          assert.is(counters.crashes, 0);
          assert.is(counters.refused, 0);
          assert.is(counters.dead_letters, 0);
          assert.equal(
            events.filter(({ type }) => type === 'actor.crashed' || type === 'thread.lost'),
            [],
          );
        }),
        LONG_MS,
      ),
    );
  }

  test('fork-join-create leaves none of its actors behind', () =>
    within(
      'the tasks are gone',
      withTree(mode, { children: [] }, async ({ system }) => {
        await forkJoinCreate.run(system, 100);
        await until('only the first actor is left', async () => {
          const { actors } = await system.inspect();
          return actors.every(({ path }) => !path.includes('task-'));
        });
      }),
      LONG_MS,
    ));
  test.run();
}
