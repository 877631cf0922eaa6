/** Counts what HTTP answered, by route and status, and what it refused before any route. Bounded: routes are a fixed list. */
import type { Metric } from '../../proto/control/owner.ts';
import type { HttpRefusal } from './http-server.ts';

export class HttpCounters {
  readonly #answers = new Map<string, { route: string; status: number; count: number }>();
  readonly #refusals = new Map<HttpRefusal, number>();

  /** `route` is a pattern, never a path: a path may hold the id of a conversation. */
  answered(route: string, status: number): void {
    const key = `${route} ${status}`;
    const entry = this.#answers.get(key) ?? { route, status, count: 0 };
    entry.count += 1;
    this.#answers.set(key, entry);
  }

  refused(reason: HttpRefusal): void {
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
  }

  metrics(): Metric[] {
    return [
      {
        name: 'palyra_http_requests_total',
        help: 'Requests answered, by route and status.',
        type: 'counter',
        samples: [...this.#answers.values()].map(({ route, status, count }) => ({
          labels: { route, status: String(status) },
          value: count,
        })),
      },
      {
        name: 'palyra_http_refused_total',
        help: 'Requests not taken: too many in progress, too slow, or not HTTP.',
        type: 'counter',
        samples: [...this.#refusals].map(([reason, value]) => ({ labels: { reason }, value })),
      },
    ];
  }
}
