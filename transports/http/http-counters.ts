/** Counts what HTTP answered, by route and status, and what it refused before any route. Bounded: routes are a fixed list. */
import type { Metric } from '../../proto/control/owner.ts';
import type { HttpRefusal } from './http-server.ts';

export class HttpCounters {
  /** By route, then by status. */
  readonly #answers = new Map<string, Map<number, number>>();
  readonly #refusals = new Map<HttpRefusal, number>();

  /** `route` is a pattern, never a path: a path may hold the id of a conversation. */
  answered(route: string, status: number): void {
    const counts = this.#answers.get(route);
    if (counts === undefined) this.#answers.set(route, new Map([[status, 1]]));
    else counts.set(status, (counts.get(status) ?? 0) + 1);
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
        samples: [...this.#answers].flatMap(([route, counts]) =>
          [...counts].map(([status, value]) => ({
            labels: { route, status: String(status) },
            value,
          })),
        ),
      },
      {
        name: 'palyra_http_refused_total',
        help: 'Connections and requests not taken: too many open, too many in progress, too slow, or not HTTP.',
        type: 'counter',
        samples: [...this.#refusals].map(([reason, value]) => ({ labels: { reason }, value })),
      },
    ];
  }
}
