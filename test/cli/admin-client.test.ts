/** Holds the admin client against a scripted HTTP server: routes, errors, deadlines, and where url and token come from. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAdminClient } from '../../cli/admin-client.ts';
import { routeOf } from '../../cli/admin-routes.ts';
import { connect } from '../../cli/connection.ts';
import { CliError } from '../../cli/exit-codes.ts';
import { writeGatewayRecord } from '../../cli/state-root.ts';
import { operations } from '../../proto/control/catalogue.ts';
import { acquireWriterLock } from '../../runtime/store/lmdb/writer-lock.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly authorization: string;
  readonly body: string;
}

const test = suite('cli: admin client');
const directory = mkdtempSync(join(tmpdir(), 'palyra-client-'));
let answer: (response: ServerResponse) => void = (response) => response.end('{}');
let seen: Seen[] = [];
const server: Server = createServer((request, response) => void record(request, response));
let url = '';

async function record(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = '';
  for await (const part of request) body += String(part);
  const { method = '', url: target = '', headers } = request;
  seen.push({ method, url: target, authorization: headers.authorization ?? '', body });
  answer(response);
}

test.before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
test.before.each(() => {
  seen = [];
});
test.after(() => {
  rmSync(directory, { recursive: true });
  server.closeAllConnections();
  server.close();
});

function problem(status: number, code: string, headers: Record<string, string> = {}): void {
  answer = (response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
    response.end(
      JSON.stringify({
        type: `about:blank`,
        title: 'A title',
        status,
        code,
        detail: 'what happened',
      }),
    );
  };
}

function json(body: unknown): void {
  answer = (response) => response.end(JSON.stringify(body));
}

async function failure(work: Promise<unknown>): Promise<CliError> {
  try {
    await work;
  } catch (error) {
    assert.instance(error, CliError);
    return error as CliError;
  }
  return assert.unreachable('it succeeded') as never;
}

test('an operation is called by its route with the token, path, query and body', async () => {
  const client = createAdminClient({ url: `${url}/`, token: 't' });
  json({ accepted: true, envelope_id: 'E', reason: '' });
  const result = await client.call('channels.test', { connector_id: 'echo:default', text: 'hi' });
  assert.equal(result, { accepted: true, envelope_id: 'E', reason: '' });
  json({ entries: [], next: 0, previous: 0 });
  await client.call('journal.read', { subject: 'a b&c', limit: 5 });
  const [post, get] = seen;
  assert.is(`${post?.method} ${post?.url}`, 'POST /admin/v1/channels/echo%3Adefault/test');
  assert.is(post?.authorization, 'Bearer t');
  assert.equal(JSON.parse(post?.body ?? ''), {
    text: 'hi',
    conversation_id: 'test:conversation',
    sender_id: 'test-user',
    is_direct_message: true,
  });
  assert.is(get?.method, 'GET');
  assert.equal(Object.fromEntries(new URL(get?.url ?? '', url).searchParams), {
    after: '0',
    before: '0',
    limit: '5',
    subject: 'a b&c',
    tail: 'false',
  });
});

test('every operation has a route of its own', () => {
  const targets = Object.keys(operations).map((name) => {
    const input = { connector_id: 'c', integration_id: 'i', run_id: 'r', job_id: 'j' };
    const { method, target } = routeOf(name as keyof typeof operations, input);
    return `${method} ${target.split('?')[0]}`;
  });
  assert.is(new Set(targets).size, targets.length);
});

test('the gateway’s problem becomes its code, its words and an exit code', async () => {
  const client = createAdminClient({ url, token: 't' });
  const cases = [
    [401, 'unauthorized', 4],
    [403, 'forbidden', 4],
    [404, 'not_found', 3],
    [409, 'already_exists', 4],
    [400, 'validation_error', 2],
    [503, 'storage_low', 74],
    [503, 'unavailable', 5],
    [500, 'internal_error', 1],
    [418, 'never_heard_of', 1],
  ] as const;
  for (const [status, code, exitCode] of cases) {
    problem(status, code);
    const error = await failure(client.call('status.get', {}));
    assert.is(error.code, code);
    assert.is(error.exitCode, exitCode, code);
    assert.is(error.message, 'what happened');
  }
});

test('a field that is wrong is told once, in the detail or behind it', async () => {
  const refused = async (detail: string): Promise<string> => {
    const issues = [{ field: 'secret_refs.0', message: 'a reference is env:NAME' }];
    answer = (response) => {
      response.writeHead(400).end(JSON.stringify({ code: 'validation_error', detail, issues }));
    };
    return (await failure(createAdminClient({ url, token: 't' }).call('status.get', {}))).message;
  };
  const issue = 'secret_refs.0: a reference is env:NAME';
  assert.is(await refused(issue), issue);
  assert.is(await refused('a field is wrong'), `a field is wrong; ${issue}`);
});

test('what is not found is looked for where its ids stand', async () => {
  problem(404, 'not_found');
  const client = createAdminClient({ url, token: 't' });
  const run_id = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
  const delivery = { connector_id: 'echo:default', delivery_id: `${run_id}:0000` };
  const next = async (work: Promise<unknown>) => (await failure(work)).next;
  assert.match(
    await next(client.call('runs.get', { run_id })),
    /^palyra channels logs shows the runs/,
  );
  for (const verb of ['channels.replay', 'channels.discard'] as const) {
    assert.match(await next(client.call(verb, delivery)), 'palyra channels status the deliveries');
  }
  const { connector_id } = delivery;
  assert.match(
    await next(client.call('channels.get', { connector_id })),
    'palyra channels list or',
  );
});

test('Retry-After is the next step', async () => {
  problem(429, 'rate_limited', { 'retry-after': '7' });
  const error = await failure(createAdminClient({ url, token: 't' }).call('status.get', {}));
  assert.is(error.next, 'try again in 7 s');
  problem(503, 'secret_unavailable', { 'retry-after': '5' });
  const missing = await failure(createAdminClient({ url, token: 't' }).call('status.get', {}));
  assert.is(missing.next, 'provide what the secret reference names, then try again in 5 s');
});

test('a wrong input is refused before anything is sent', async () => {
  const error = await failure(
    createAdminClient({ url, token: 't' }).call('runs.get', { run_id: 'x' }),
  );
  assert.is(error.exitCode, 2);
  assert.is(seen.length, 0);
});

test('an answer of another shape, no JSON, or of a server that is no gateway is refused', async () => {
  const client = createAdminClient({ url, token: 't' });
  json({ webhooks: 'none' });
  assert.is((await failure(client.call('webhooks.list', {}))).code, 'unexpected_answer');
  answer = (response) => response.end('<html>');
  assert.is((await failure(client.call('webhooks.list', {}))).code, 'unexpected_answer');
  answer = (response) => response.writeHead(502).end('bad gateway');
  const error = await failure(client.call('webhooks.list', {}));
  assert.is(error.code, 'unexpected_answer');
  assert.match(error.message, '502');
});

test('an answer without an end is cut off', async () => {
  answer = (response) => {
    const chunk = Buffer.alloc(1_048_576, 32);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  };
  const error = await failure(createAdminClient({ url, token: 't' }).call('status.get', {}));
  assert.match(error.message, 'larger than');
});

test('a server that never answers is unreachable after the deadline', async () => {
  answer = () => undefined;
  const client = createAdminClient({ url, token: 't', deadlineMs: 50 });
  const atMs = performance.now();
  const error = await failure(client.call('status.get', {}));
  assert.ok(performance.now() - atMs < 3_000);
  assert.is(error.exitCode, 5);
  assert.match(error.message, '50 ms');
});

test('a closed port is unreachable, with the next step', async () => {
  const error = await failure(
    createAdminClient({ url: 'http://127.0.0.1:1', token: 't' }).call('status.get', {}),
  );
  assert.is(error.exitCode, 5);
  assert.match(error.next, 'palyra serve');
});

test('a redirect is not followed: the token would go elsewhere', async () => {
  answer = (response) => response.writeHead(307, { location: '/elsewhere' }).end();
  assert.is(
    (await failure(createAdminClient({ url, token: 't' }).call('status.get', {}))).exitCode,
    5,
  );
  assert.ok(seen.length > 0);
  assert.equal(
    seen.filter(({ url: target }) => target === '/elsewhere'),
    [],
  );
});

/** Of IRC, SIP and X11, which browsers and `fetch` refuse. */
const ODD_PORTS = [6667, 6668, 6669, 10080, 6566, 6665, 6666, 5060, 5061, 6000];

test('a gateway may listen on any port, also one that fetch refuses', async () => {
  json({ webhooks: [] });
  const other = createServer((incoming, response) => void record(incoming, response));
  const listen = (port: number) =>
    new Promise<boolean>((resolve) => {
      other.once('error', () => resolve(false));
      other.listen(port, '127.0.0.1', () => resolve(true));
    });
  let port = 0;
  for (const odd of ODD_PORTS) if (port === 0 && (await listen(odd))) port = odd;
  assert.is.not(port, 0, 'one of the ports is free');
  try {
    const client = createAdminClient({ url: `http://127.0.0.1:${port}`, token: 't' });
    assert.equal(await client.call('webhooks.list', {}), { webhooks: [] });
  } finally {
    other.close();
  }
});

test('a post as an outside sender carries no token', async () => {
  json({});
  await createAdminClient({ url, token: 't' }).post('/hooks/v1/x', { 'webhook-id': 'm' }, '{}');
  assert.is(seen[0]?.authorization, '');
});

test('url and token come from flags, environment and the state root’s files, in this order', async () => {
  json({ webhooks: [] });
  writeGatewayRecord(directory, { http: url, pid: process.pid });
  const store = join(directory, 'store');
  mkdirSync(store);
  const lock = await acquireWriterLock(store);
  writeFileSync(join(directory, 'admin.token'), 'from-file\n');
  const flags = { stateRoot: directory };
  const env = { PALYRA_ADMIN_TOKEN: 'from-env', MINE: 'from-ref' };
  await connect(flags, {}).call('webhooks.list', {});
  await connect(flags, env).call('webhooks.list', {});
  await connect({ ...flags, tokenRef: 'env:MINE' }, env).call('webhooks.list', {});
  await connect(
    { stateRoot: '/nowhere', url, tokenRef: `file:${join(directory, 'admin.token')}` },
    env,
  ).call('webhooks.list', {});
  assert.equal(
    seen.map(({ authorization }) => authorization.slice(7)),
    ['from-file', 'from-env', 'from-ref', 'from-file'],
  );
  lock.release();
});

test('a record whose writer does not hold the store leads nowhere: no token is sent to who took its port', async () => {
  json({ webhooks: [] });
  writeFileSync(join(directory, 'admin.token'), 'from-file\n');
  const stale = async (env: Record<string, string>) => {
    const error = await failure(
      Promise.resolve().then(() =>
        connect({ stateRoot: directory }, env).call('webhooks.list', {}),
      ),
    );
    assert.is(`${error.code} ${error.exitCode}`, 'unreachable 5');
    assert.match(error.message, 'stale gateway.json');
  };
  // This process lives, and does not hold the store; then another one holds it.
  writeGatewayRecord(directory, { http: url, pid: process.pid });
  await stale({});
  await stale({ PALYRA_ADMIN_TOKEN: 'from-env' });
  const lock = await acquireWriterLock(join(directory, 'store'));
  writeGatewayRecord(directory, { http: url, pid: process.ppid });
  await stale({});
  lock.release();
  assert.equal(seen, []);
});

test('the token file of this machine’s gateway is not sent to another host', async () => {
  const error = await failure(
    Promise.resolve().then(() => connect({ stateRoot: directory, url: 'https://example.com' }, {})),
  );
  assert.is(error.code, 'unauthorized');
});

test('a token that no header takes is refused with exit 2 and is not shown', async () => {
  const file = join(directory, 'blank-line');
  writeFileSync(file, 'hidden\n\n');
  const given: readonly (readonly [{ readonly tokenRef?: string }, string, string])[] = [
    [{}, 'hiddén', 'PALYRA_ADMIN_TOKEN'],
    [{}, 'hidden\nbehind', 'PALYRA_ADMIN_TOKEN'],
    [{}, 'hidden '.repeat(2), 'PALYRA_ADMIN_TOKEN'],
    [{}, 'hidden'.repeat(700), 'PALYRA_ADMIN_TOKEN'],
    [{ tokenRef: `file:${file}` }, 'unused', '--token-ref'],
  ];
  for (const [flags, token, from] of given) {
    const work = async () => connect({ url, ...flags }, { PALYRA_ADMIN_TOKEN: token });
    const error = await failure(work());
    assert.is(`${error.code} ${error.exitCode}`, 'bad_option 2');
    assert.match(error.message, `${from}: expected a token`);
    assert.not.match(error.message, 'hid');
  }
});

test('no gateway, no token, and references that the command cannot read are told apart', async () => {
  const codeOf = async (work: () => unknown): Promise<string> => {
    const error = await failure(Promise.resolve().then(work));
    return `${error.code} ${error.exitCode}`;
  };
  assert.is(await codeOf(() => connect({ stateRoot: '/nowhere' }, {})), 'unreachable 5');
  assert.is(await codeOf(() => connect({ stateRoot: '/nowhere', url }, {})), 'unauthorized 4');
  assert.is(await codeOf(() => connect({ url, tokenRef: 'vault:a/b' }, {})), 'bad_option 2');
  for (const [tokenRef, reason] of [
    ['env:NONE', 'is not set'],
    ['env:EMPTY', 'is empty'],
    [`file:${join(directory, 'none')}`, 'does not exist'],
    [`file:${directory}`, 'cannot be read: EISDIR'],
  ] as const) {
    const error = await failure(
      Promise.resolve().then(() => connect({ url, tokenRef }, { EMPTY: '' })),
    );
    assert.is(`${error.code} ${error.exitCode}`, 'secret_unavailable 4');
    assert.is(error.message, `--token-ref: ${tokenRef} ${reason}`);
  }
  assert.is(
    await codeOf(() => connect({ url: 'ftp://x' }, { PALYRA_ADMIN_TOKEN: 't' })),
    'bad_option 2',
  );
});

test.run();
