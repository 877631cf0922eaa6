/** How the CLI calls a control operation by the admin API's own table of routes. It sends nothing. */
import type { OperationName } from '../proto/control/catalogue.ts';
import { ADMIN_ROUTES } from '../transports/http/admin-routes.ts';

export interface RoutedCall {
  readonly method: 'GET' | 'POST';
  /** Path and query, percent-encoded. */
  readonly target: string;
  /** JSON; undefined for a GET. */
  readonly body: string | undefined;
}

/** Fields of the input that the path names stand there; the others in the query (GET) or the body (POST). */
export function routeOf(
  operation: OperationName,
  input: Readonly<Record<string, unknown>>,
): RoutedCall {
  const route = ADMIN_ROUTES.find((known) => known.operation === operation);
  if (route === undefined) throw new Error(`the admin API has no route for ${operation}`);
  const { method, path } = route;
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
