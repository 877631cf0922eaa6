/** What the router counts: every event by how it ended, every rejection by its reason. */
import type { Metric } from '../../proto/control/owner.ts';
import type { AdmitReply } from './protocol.ts';

export class RouterMeter {
  readonly #results = new Map<string, number>();
  readonly #reasons = new Map<string, number>();

  /** Gives the reply back. */
  count(reply: AdmitReply): AdmitReply {
    const result = reply.type === 'refused' ? reply.code : reply.type;
    increment(this.#results, result);
    if (reply.type === 'rejected') increment(this.#reasons, reply.reason);
    return reply;
  }

  toMetrics(openRuns: number, inFlight: number): readonly Metric[] {
    return [
      {
        name: 'palyra_router_messages_total',
        help: 'Inbound events by how the router answered',
        type: 'counter',
        samples: toSamples(this.#results, 'result'),
      },
      {
        name: 'palyra_router_rejected_total',
        help: 'Events that a rule turned away, by reason',
        type: 'counter',
        samples: toSamples(this.#reasons, 'reason'),
      },
      gauge('palyra_router_open_runs', 'Runs routed and not yet ended', openRuns),
      gauge('palyra_router_admitting', 'Events whose commit is under way', inFlight),
    ];
  }
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function toSamples(counts: ReadonlyMap<string, number>, label: string) {
  return [...counts].map(([key, value]) => ({ labels: { [label]: key }, value }));
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: 'gauge', samples: [{ labels: {}, value }] };
}
