/** Gathers the metrics of every part and adds those of the runtime. No label holds a person, a conversation or a secret. */
import type { Metric } from '../../proto/control/owner.ts';
import type { SystemSnapshot } from '../../runtime/system.ts';

/** The one of the runtime's counters that also goes down. */
const OPEN_ASKS = 'asks_open';
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** One entry a name, with the samples of all; of two with one name and different types the first one's stays. */
export function mergeMetrics(groups: readonly (readonly Metric[])[]): readonly Metric[] {
  const merged = new Map<string, Metric>();
  for (const metric of groups.flat()) {
    if (!METRIC_NAME.test(metric.name)) continue;
    const known = merged.get(metric.name);
    if (known === undefined) merged.set(metric.name, metric);
    else if (known.type === metric.type) {
      merged.set(metric.name, { ...known, samples: [...known.samples, ...metric.samples] });
    }
  }
  return [...merged.values()];
}

export function toPartsUp(
  parts: readonly { readonly name: string; readonly isUp: boolean }[],
): Metric {
  return {
    name: 'palyra_component_up',
    help: '1 where a part of the gateway answered in time',
    type: 'gauge',
    samples: parts.map(({ name, isUp }) => ({ labels: { component: name }, value: isUp ? 1 : 0 })),
  };
}

export function toRuntimeMetrics(snapshot: SystemSnapshot): readonly Metric[] {
  const { actors, threads, counters } = snapshot;
  const gauge = (name: string, help: string, value: number): Metric => ({
    name: `palyra_runtime_${name}`,
    help,
    type: 'gauge',
    samples: [{ labels: {}, value }],
  });
  return [
    gauge('actors', 'Actors that live now', actors.length),
    gauge(
      'actors_degraded',
      'Actors that are not running',
      actors.filter((actor) => actor.state !== 'running').length,
    ),
    gauge(
      'mailbox_messages',
      'Messages waiting in all mailboxes',
      actors.reduce((sum, actor) => sum + actor.mailbox, 0),
    ),
    gauge('asks_open', 'Asks that wait for their reply', counters[OPEN_ASKS] ?? 0),
    {
      name: 'palyra_runtime_thread_up',
      help: '1 while the thread runs',
      type: 'gauge',
      samples: threads.map(({ name, state }) => ({
        labels: { thread: name },
        value: state === 'running' ? 1 : 0,
      })),
    },
    {
      name: 'palyra_runtime_thread_restarts_total',
      help: 'Times the thread was replaced',
      type: 'counter',
      samples: threads.map(({ name, restarts }) => ({ labels: { thread: name }, value: restarts })),
    },
    {
      name: 'palyra_runtime_loop_delay_seconds',
      help: 'How late the event loop of the thread turned, over the last ten seconds; 1 is the longest',
      type: 'gauge',
      samples: threads
        .filter(({ state }) => state === 'running')
        .flatMap(({ name, loopDelayMs: { p50, p99, max } }) => [
          { labels: { thread: name, quantile: '0.5' }, value: p50 / 1_000 },
          { labels: { thread: name, quantile: '0.99' }, value: p99 / 1_000 },
          { labels: { thread: name, quantile: '1' }, value: max / 1_000 },
        ]),
    },
    {
      name: 'palyra_runtime_events_total',
      help: 'What the runtime counts: crashes, refused messages, dead letters…',
      type: 'counter',
      samples: Object.entries(counters)
        .filter(([event]) => event !== OPEN_ASKS)
        .map(([event, value]) => ({ labels: { event }, value })),
    },
  ];
}
