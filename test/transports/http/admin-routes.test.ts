/** The admin routes and the control catalogue describe the same operations. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { type OperationName, operations } from '../../../proto/control/catalogue.ts';
import {
  ADMIN_ROUTES,
  inputOf,
  matchAdminRoutes,
  maxBodyBytesOf,
} from '../../../transports/http/admin-routes.ts';

const test = suite('admin routes');

const bytes = (text: string) => new TextEncoder().encode(text);
const request = (path: string, query = '') => ({ method: 'GET', path, query, headers: {} });

function inputFor(method: string, path: string, query = '', body = ''): unknown {
  const match = matchAdminRoutes(path).find(({ route }) => route.method === method);
  if (match === undefined) throw new Error(`no route for ${method} ${path}`);
  return inputOf(match, request(path, query), bytes(body));
}

function codeFor(...args: Parameters<typeof inputFor>): string {
  try {
    inputFor(...args);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
}

test('every served operation has one route and every route an operation', () => {
  const served = Object.values(operations)
    .filter(({ status }) => status === 'served')
    .map(({ name }) => name);
  assert.equal(ADMIN_ROUTES.map(({ operation }) => operation).sort(), served.sort());
});

test('what changes something is a POST, what reads is a GET', () => {
  for (const { operation, method } of ADMIN_ROUTES) {
    const reads = ['query', 'feed'].includes(operations[operation].kind);
    assert.is(method, reads ? 'GET' : 'POST', operation);
  }
});

test('every field of an input can be sent: in the path, the query by its type, or the body', () => {
  for (const { operation, method, path, query = {} } of ADMIN_ROUTES) {
    const schema = z.toJSONSchema(operations[operation].input, { io: 'input' }) as {
      properties?: Record<string, { type: string }>;
    };
    const fields = schema.properties ?? {};
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
    for (const name of [...inPath, ...Object.keys(query)]) {
      assert.ok(name in fields, `${operation} has no field ${name}`);
    }
    if (method === 'POST') continue;
    for (const [name, { type }] of Object.entries(fields)) {
      if (inPath.includes(name)) continue;
      const kind = type === 'integer' ? 'number' : type === 'string' ? 'text' : type;
      assert.is(query[name], kind, `${operation} ${name}`);
    }
  }
});

test('a body of the largest allowed input fits', () => {
  const bodyOf = (operation: OperationName) =>
    maxBodyBytesOf(ADMIN_ROUTES.find((route) => route.operation === operation) ?? never());
  const worst = JSON.stringify({ body: '\u0001'.repeat(1_048_576) });
  assert.ok(worst.length <= bodyOf('webhooks.sign'));
  assert.ok(JSON.stringify({ text: '\u0001'.repeat(131_072) }).length <= bodyOf('channels.test'));
  assert.is(bodyOf('status.get'), 0);
});

test('path, query and body make the input that the schema takes', () => {
  assert.equal(inputFor('GET', '/admin/v1/channels/telegram%3Amain', 'limit=5'), {
    connector_id: 'telegram:main',
    limit: 5,
  });
  assert.equal(inputFor('GET', '/admin/v1/journal', 'after=0&subject=a%20b&tail=true'), {
    after: 0,
    subject: 'a b',
    tail: true,
  });
  assert.equal(inputFor('POST', '/admin/v1/channels/echo:default/test', '', '{"text":"hi"}'), {
    connector_id: 'echo:default',
    text: 'hi',
  });
  assert.equal(inputFor('POST', '/admin/v1/backup'), {});
});

test('what does not fit is left to the schema, which names the field', () => {
  for (const query of ['limit=many', 'limit=1&limit=2', 'unknown=1', 'limit=-1', '__proto__=1']) {
    const input = inputFor('GET', '/admin/v1/journal', query);
    assert.is(operations['journal.read'].input.safeParse(input).success, false, query);
  }
});

test('a body that is not a JSON object in UTF-8, or says the path again, is malformed', () => {
  const path = '/admin/v1/channels/echo:default/test';
  for (const body of ['{', '[]', 'null', '"text"', '7', '{"connector_id":"other"}']) {
    assert.is(codeFor('POST', path, '', body), 'malformed', body);
  }
  assert.is(codeFor('POST', path, 'text=hi', '{}'), 'malformed');
  const match = matchAdminRoutes(path)[0] ?? never();
  assert.throws(() => inputOf(match, request(path), Buffer.from([0x22, 0xff, 0x22])), /not JSON/);
});

test('a path that is not ours has no route; a bad percent escape is malformed', () => {
  for (const path of [
    '/admin/v1/nothing',
    '/admin/v1/status/',
    '/admin/v1/channels/',
    '/admin/v1/',
  ]) {
    assert.is(matchAdminRoutes(path).length, 0, path);
  }
  assert.is(codeFor('GET', '/admin/v1/channels/%ff'), 'malformed');
});

function never(): never {
  throw new Error('not in the table');
}

test.run();
