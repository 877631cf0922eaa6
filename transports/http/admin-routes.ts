/** Where each control operation stands below `/admin/v1`, and how path, query and body make its input. It calls nothing. */
import type { OperationName } from '../../proto/control/catalogue.ts';
import { PalyraError } from '../../proto/errors.ts';
import type { HttpRequest } from './http-server.ts';

export const ADMIN_PREFIX = '/admin/v1/';

export interface AdminRoute {
  readonly method: 'GET' | 'POST';
  /** `{name}` is the input field of that name. */
  readonly path: string;
  readonly operation: OperationName;
  /** How a query parameter's text becomes an input field; a GET has no other way in but its path. */
  readonly query?: Readonly<Record<string, 'text' | 'number' | 'boolean'>>;
  /** What its largest allowed input needs as JSON; more is 413. Default 64 KiB. */
  readonly maxBodyBytes?: number;
}

const DEFAULT_BODY_BYTES = 65_536;
/** JSON may write one byte of text as six (`\u0001`). */
const ESCAPED = 6;

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  { method: 'GET', path: '/admin/v1/status', operation: 'status.get' },
  { method: 'GET', path: '/admin/v1/channels', operation: 'channels.list' },
  {
    method: 'GET',
    path: '/admin/v1/channels/{connector_id}',
    operation: 'channels.get',
    query: { limit: 'number' },
  },
  {
    method: 'POST',
    path: '/admin/v1/channels/{connector_id}/test',
    operation: 'channels.test',
    maxBodyBytes: ESCAPED * 131_072 + DEFAULT_BODY_BYTES,
  },
  {
    method: 'POST',
    path: '/admin/v1/channels/{connector_id}/deliveries/{delivery_id}/replay',
    operation: 'channels.replay',
  },
  {
    method: 'POST',
    path: '/admin/v1/channels/{connector_id}/deliveries/{delivery_id}/discard',
    operation: 'channels.discard',
  },
  { method: 'GET', path: '/admin/v1/webhooks', operation: 'webhooks.list' },
  { method: 'POST', path: '/admin/v1/webhooks', operation: 'webhooks.add' },
  {
    method: 'POST',
    path: '/admin/v1/webhooks/{integration_id}/sign',
    operation: 'webhooks.sign',
    maxBodyBytes: ESCAPED * 1_048_576 + DEFAULT_BODY_BYTES,
  },
  {
    method: 'GET',
    path: '/admin/v1/vault',
    operation: 'vault.list',
    query: { after: 'text', limit: 'number' },
  },
  {
    method: 'POST',
    path: '/admin/v1/vault/{scope}/{key}',
    operation: 'vault.put',
    maxBodyBytes: ESCAPED * 65_536 + DEFAULT_BODY_BYTES,
  },
  {
    method: 'GET',
    path: '/admin/v1/journal',
    operation: 'journal.read',
    query: { after: 'number', before: 'number', limit: 'number', subject: 'text', tail: 'boolean' },
  },
  { method: 'GET', path: '/admin/v1/runs/{run_id}', operation: 'runs.get' },
  { method: 'POST', path: '/admin/v1/backup', operation: 'backup.create' },
  { method: 'GET', path: '/admin/v1/jobs/{job_id}', operation: 'jobs.get' },
];

export interface AdminMatch {
  readonly route: AdminRoute;
  readonly fields: Readonly<Record<string, string>>;
}

/** Every route of a path, one a method; none where the path is not ours. Throws `malformed` for a bad percent escape. */
export function matchAdminRoutes(path: string): readonly AdminMatch[] {
  const parts = path.split('/');
  return ADMIN_ROUTES.flatMap((route) => {
    const fields = matchPath(route.path.split('/'), parts);
    return fields === undefined ? [] : [{ route, fields }];
  });
}

export function maxBodyBytesOf(route: AdminRoute): number {
  return route.method === 'GET' ? 0 : (route.maxBodyBytes ?? DEFAULT_BODY_BYTES);
}

/** The operation's input, not yet checked by its schema. */
export function inputOf(
  { route, fields }: AdminMatch,
  request: HttpRequest,
  body: Uint8Array,
): unknown {
  if (route.method === 'GET') return { ...queryFields(route, request.query), ...fields };
  if (request.query !== '') {
    throw new PalyraError('malformed', 'This path takes no query; put the fields in the body.');
  }
  const sent = parseBody(body);
  const twice = Object.keys(fields).find((name) => Object.hasOwn(sent, name));
  if (twice !== undefined) {
    throw new PalyraError('malformed', `${twice} stands in the path; leave it out of the body.`);
  }
  return { ...sent, ...fields };
}

function queryFields(route: AdminRoute, query: string): Record<string, unknown> {
  const parameters = new URLSearchParams(query);
  return Object.fromEntries(
    [...new Set(parameters.keys())].map((name) => {
      const all = parameters.getAll(name);
      const only = all[0] ?? '';
      // Whatever does not fit, also a repeated parameter, is left to the operation's schema to name.
      if (all.length > 1) return [name, all];
      const kind =
        route.query !== undefined && Object.hasOwn(route.query, name) ? route.query[name] : '';
      if (kind === 'number' && /^\d{1,15}$/.test(only)) return [name, Number(only)];
      if (kind === 'boolean' && /^(?:true|false)$/.test(only)) return [name, only === 'true'];
      return [name, only];
    }),
  );
}

function parseBody(body: Uint8Array): object {
  if (body.byteLength === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    // Its own text quotes the body.
    throw new PalyraError('malformed', 'The body is not JSON in UTF-8.', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PalyraError('malformed', 'The body is not a JSON object.');
  }
  return value;
}

function matchPath(
  pattern: readonly string[],
  parts: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const fields: Record<string, string> = {};
  for (const [index, piece] of pattern.entries()) {
    const part = parts[index] ?? '';
    const name = /^\{(\w+)\}$/.exec(piece)?.[1];
    if (name === undefined) {
      if (piece !== part) return undefined;
    } else if (part === '') {
      return undefined;
    } else {
      fields[name] = decodePart(part);
    }
  }
  return fields;
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new PalyraError('malformed', 'The path holds a percent escape that is not UTF-8.', {
      cause: error,
    });
  }
}
