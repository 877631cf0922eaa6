/** What the runtime shows of itself as metrics, from a snapshot and from a system with threads. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { toRuntimeMetrics } from '../../../actors/control/metrics.ts';
import { createSystem } from '../../../runtime/index.ts';
import type { SystemSnapshot, ThreadSnapshot } from '../../../runtime/system.ts';
import { until, within } from '../../support/within.ts';

const test = suite('actors/control/metrics');

const DELAY = 'palyra_runtime_loop_delay_seconds';

const thread = (name: string, state: ThreadSnapshot['state']): ThreadSnapshot => ({
  name,
  state,
  restarts: 0,
  actors: 1,
  loopDelayMs: { p50: 1, p99: 20, max: 300 },
  externalBytes: 0,
});

const samplesOf = (snapshot: SystemSnapshot, name: string) =>
  toRuntimeMetrics(snapshot).find((metric) => metric.name === name)?.samples ?? [];

test('the delay of each running thread’s event loop is a gauge in seconds', () => {
  const threads = [thread('main', 'running'), thread('pool-1', 'lost')];
  assert.equal(samplesOf({ actors: [], threads, counters: {} }, DELAY), [
    { labels: { thread: 'main', quantile: '0.5' }, value: 0.001 },
    { labels: { thread: 'main', quantile: '0.99' }, value: 0.02 },
    { labels: { thread: 'main', quantile: '1' }, value: 0.3 },
  ]);
});

test('main and every thread of the pool have one, by names that number them', async () => {
  const system = await createSystem({ name: 't', threads: { pool: 2, spare: false } });
  try {
    const measured = async () => samplesOf(await system.inspect(), DELAY);
    const samples = await until(
      'each loop was late once',
      async () => {
        const found = await measured();
        const late = found.filter(({ labels, value }) => labels.quantile === '1' && value > 0);
        return late.length === 3 && found;
      },
      20_000,
    );
    const names = samples.map(({ labels }) => labels.thread ?? '');
    assert.is(new Set(names).size, 3);
    assert.is(names[0], 'main');
    assert.ok(
      names.every((name) => /^(?:main|\w+-\d+)$/.test(name)),
      names.join(),
    );
  } finally {
    await within('the system has stopped', system.stop({ deadlineMs: 4_000 }), 10_000);
  }
});

test.run();
