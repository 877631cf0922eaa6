/** Where each control operation stands in the admin API, as the CLI calls it. It sends nothing. */
import type { OperationName } from '../proto/control/catalogue.ts';

interface Route {
  readonly method: 'GET' | 'POST';
  /** `{name}` is filled from the input; what is left of it goes to the query (GET) or the body (POST). */
  readonly path: string;
}

const ROUTES: Readonly<Record<OperationName, Route>> = {
  'status.get': { method: 'GET', path: '/admin/v1/status' },
  'channels.list': { method: 'GET', path: '/admin/v1/channels' },
  'channels.get': { method: 'GET', path: '/admin/v1/channels/{connector_id}' },
  'channels.test': { method: 'POST', path: '/admin/v1/channels/{connector_id}/test' },
  'webhooks.list': { method: 'GET', path: '/admin/v1/webhooks' },
  'webhooks.add': { method: 'POST', path: '/admin/v1/webhooks' },
  'webhooks.sign': { method: 'POST', path: '/admin/v1/webhooks/{integration_id}/sign' },
  'journal.read': { method: 'GET', path: '/admin/v1/journal' },
  'runs.get': { method: 'GET', path: '/admin/v1/runs/{run_id}' },
  'backup.create': { method: 'POST', path: '/admin/v1/backup' },
  'jobs.get': { method: 'GET', path: '/admin/v1/jobs/{job_id}' },
};

export interface RoutedCall {
  readonly method: 'GET' | 'POST';
  /** Path and query, percent-encoded. */
  readonly target: string;
  /** JSON; undefined for a GET. */
  readonly body: string | undefined;
}

export function routeOf(
  operation: OperationName,
  input: Readonly<Record<string, unknown>>,
): RoutedCall {
  const { method, path } = ROUTES[operation];
  const rest = new Map(Object.entries(input).filter(([, value]) => value !== undefined));
  const target = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(rest.get(name) ?? '');
    rest.delete(name);
    return encodeURIComponent(value);
  });
  if (method === 'POST') return { method, target, body: JSON.stringify(Object.fromEntries(rest)) };
  const query = new URLSearchParams();
  for (const [name, value] of rest) query.set(name, String(value));
  return { method, target: query.size === 0 ? target : `${target}?${query}`, body: undefined };
}
