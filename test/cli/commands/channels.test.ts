/** Holds `palyra status`, `channels …` and `runs get`: what they ask and what a person reads. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type FakeGateway, type FakeScript, openFakeGateway } from '../support/fake-gateway.ts';
import { runInProcess } from '../support/run-in-process.ts';
import { connectorView, deliveryView, webhookView } from '../support/views.ts';

const test = suite('cli: channels, status, runs');
let gateway: FakeGateway;
test.after.each(() => gateway.close());

async function run(script: FakeScript, ...args: readonly string[]) {
  gateway = await openFakeGateway(script);
  return runInProcess([...args, '--url', gateway.url], { PALYRA_ADMIN_TOKEN: 't' });
}

const STATUS = {
  version: '0.1.0',
  pid: 7,
  started_at_ms: 1_700_000_000_000,
  state: 'degraded',
  http: 'http://127.0.0.1:7142',
  model_provider: 'echo',
  store: {
    free_bytes: 1_048_576,
    used_bytes: 524_288,
    commits: 1,
    flushes: 2,
    journal_sequence: 3,
    admitting: false,
  },
  counters: {},
  connectors: [connectorView],
  webhooks: [webhookView(true)],
  components: [
    { path: 'gateway', state: 'running', restarts: 0, thread: 'main', mailbox: 0, last_error: '' },
    {
      path: 'gateway/field',
      state: 'degraded',
      restarts: 9,
      thread: 'main',
      mailbox: 0,
      last_error: 'boom\u001b[31m',
    },
  ],
};

test('status shows the whole, and of the components those in trouble', async () => {
  const { code, stdout } = await run(
    { 'GET /admin/v1/status': () => ({ body: STATUS }) },
    'status',
  );
  assert.is(code, 0);
  assert.match(stdout, /^GATEWAY +DEGRADED$/m);
  assert.match(stdout, /^admitting +no/m);
  assert.match(stdout, /^since +2023-11-14T22:13:20.000Z$/m);
  assert.match(stdout, /^gateway\/field +degraded +9 +boom/m);
  assert.not.match(stdout, /^gateway +running/m);
  assert.not.match(stdout, '\u001b');
});

test('with --json the result is the operation’s output as it is', async () => {
  const { stdout } = await run(
    { 'GET /admin/v1/status': () => ({ body: STATUS }) },
    'status',
    '--json',
  );
  assert.equal(JSON.parse(stdout), STATUS);
  assert.is(stdout.split('\n').length, 2);
});

test('list shows each connector with its queue and why it rests', async () => {
  const script = { 'GET /admin/v1/channels': () => ({ body: { connectors: [connectorView] } }) };
  const { stdout } = await run(script, 'channels', 'list');
  assert.match(stdout, /^echo:default +ready +running +3 parked +4 +3 +auth_failed$/m);
});

test('status of a channel shows deliveries and dead letters', async () => {
  const body = {
    connector: connectorView,
    deliveries: [deliveryView('run-1:0000', 'delivered')],
    dead_letters: [deliveryView('run-2:0000', 'dead')],
  };
  const script = { 'GET /admin/v1/channels/echo:default': () => ({ body }) };
  const { stdout } = await run(script, 'channels', 'status', 'echo:default', '--limit', '7');
  assert.is(gateway.requests[0]?.query.limit, '7');
  assert.match(stdout, 'pending 2, sending 1, dead_letters 4');
  assert.match(stdout, /run-1:0000 +demo +delivered/);
  assert.match(stdout, /dead letters\n.*\nrun-2:0000 +demo +dead/);
});

test('a channel that is unknown is exit 3', async () => {
  assert.is((await run({}, 'channels', 'status', 'echo:none')).code, 3);
});

test('a test message is a direct one unless it is said to be of a group', async () => {
  const script = {
    'POST /admin/v1/channels/echo:a/test': () => ({
      body: { accepted: true, envelope_id: 'E', reason: '' },
    }),
  };
  const { code, stdout } = await run(
    script,
    'channels',
    'test',
    'echo:a',
    '--text',
    'hi',
    '--group',
    '--sender',
    'me',
  );
  assert.is(code, 0);
  assert.is(stdout, 'accepted E\n');
  const { is_direct_message, sender_id } = JSON.parse(gateway.requests[0]?.body ?? '');
  assert.equal([is_direct_message, sender_id], [false, 'me']);
});

test('a test message that was rejected is exit 4 with the reason', async () => {
  const script = {
    'POST /admin/v1/channels/echo:a/test': () => ({
      body: { accepted: false, envelope_id: 'E', reason: 'channel_disabled' },
    }),
  };
  const { code, stderr } = await run(script, 'channels', 'test', 'echo:a', '--text', 'hi');
  assert.is(code, 4);
  assert.match(stderr, 'channel_disabled');
});

for (const [verb, status] of [
  ['replay', 'queued'],
  ['discard', 'dead'],
] as const) {
  test(`${verb} names the delivery in the path, and says when it was done before`, async () => {
    const id = '01KA0000000000000000000000:0000';
    let changed = true;
    const script = {
      [`POST /admin/v1/channels/echo:a/deliveries/${id}/${verb}`]: () => {
        const body = { delivery_id: id, status, changed };
        changed = false;
        return { body };
      },
    };
    const { code, stdout } = await run(script, 'channels', verb, 'echo:a', id);
    assert.equal([code, stdout], [0, `${id} ${status}\n`]);
    const flags = ['--url', gateway.url];
    const again = await runInProcess(['channels', verb, 'echo:a', id, ...flags], {
      PALYRA_ADMIN_TOKEN: 't',
    });
    assert.equal([again.code, again.stdout], [0, `${id} ${status}, done before\n`]);
  });

  test(`${verb} of a delivery that cannot be taken is exit 4, of none exit 3`, async () => {
    const id = '01KA0000000000000000000000:0000';
    const problem = { title: 't', status: 409, code: 'failed_precondition', detail: 'it was sent' };
    const path = `POST /admin/v1/channels/echo:a/deliveries/${id}/${verb}`;
    const script = { [path]: () => ({ status: 409, body: problem }) };
    const refused = await run(script, 'channels', verb, 'echo:a', id);
    assert.is(refused.code, 4);
    assert.match(refused.stderr, 'it was sent');
    gateway.close();
    assert.is((await run({}, 'channels', verb, 'echo:a', id)).code, 3);
  });
}

/** A journal of 9 entries, of which one page looks at two at most. */
const JOURNAL: FakeScript = {
  'GET /admin/v1/channels/echo:a': () => ({
    body: { connector: connectorView, deliveries: [], dead_letters: [] },
  }),
  'GET /admin/v1/journal': ({ query }) => {
    const number = (name: string) => Number(query[name] ?? 0);
    const pageSize = Math.min(number('limit'), 2);
    const before = number('before') || 10;
    const isGoingBack = query.tail === 'true' || number('before') > 0;
    const first = isGoingBack ? Math.max(1, before - pageSize) : number('after') + 1;
    const last = isGoingBack ? before - 1 : Math.min(9, number('after') + pageSize);
    const sequences = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
    const matches = sequences.filter((n) => query.subject === '' || n % 4 === 1);
    const entries = matches.map((sequence) => ({
      sequence,
      at_ms: 0,
      hash: 'h',
      facts: [{ type: 'delivery.sent', deliveryId: `d\n${sequence}` }],
    }));
    return { body: { entries, next: last, previous: first > 1 ? first : 0 } };
  },
};

const line = (sequence: number) => `${sequence} - delivery.sent deliveryId=d ${sequence}\n`;

test('logs are the newest journal entries that name the connector, one fact a line, from as many pages as it takes', async () => {
  const { stdout, stderr } = await run(JOURNAL, 'channels', 'logs', 'echo:a');
  const { query } = gateway.requests.at(-1) ?? {};
  assert.equal([query?.subject, query?.tail], ['echo:a', 'true']);
  assert.is(stdout, [1, 5, 9].map(line).join(''));
  assert.is(stderr, '', 'the whole journal was looked at');
});

test('logs go back page by page: what comes before is told beside the page', async () => {
  const logs = ['channels', 'logs', '--limit', '3'];
  const newest = await run(JOURNAL, ...logs);
  assert.is(newest.stdout, [7, 8, 9].map(line).join(''));
  assert.is(newest.stderr, 'go on with: --before 7\n');
  gateway.close();
  const older = await run(JOURNAL, ...logs, '--before', '4');
  assert.is(older.stdout, [1, 2, 3].map(line).join(''));
  assert.is(older.stderr, '');
});

test('with --json the page itself tells what comes before', async () => {
  const { stdout, stderr } = await run(JOURNAL, 'channels', 'logs', '--json', '--limit', '3');
  const { entries, next, previous } = JSON.parse(stdout);
  assert.equal([entries.length, next, previous], [3, 9, 7]);
  assert.is(stderr, '');
});

test('logs of all connectors go on after a cursor', async () => {
  const { stdout, stderr } = await run(JOURNAL, 'channels', 'logs', '--after', '5', '--limit', '3');
  const { query } = gateway.requests[0] ?? {};
  assert.equal([query?.subject, query?.tail, query?.after, query?.limit], ['', 'false', '5', '3']);
  assert.is(stdout, [6, 7, 8].map(line).join(''));
  assert.is(stderr, 'go on with: --after 8\n');
  gateway.close();
  const end = await run(JOURNAL, 'channels', 'logs', '--after', '8');
  assert.equal([end.stdout, end.stderr], [line(9), '']);
});

test('a run is shown with its tape', async () => {
  const id = '01KA0000000000000000000000';
  const body = {
    run_id: id,
    envelope_id: 'E',
    session_key: 's',
    status: 'failed',
    attempts: 1,
    created_at_ms: 0,
    reason: 'interrupted',
    tape: [{ seq: 1, type: 'status', text: 'cut', at_ms: 1 }],
  };
  const script = { [`GET /admin/v1/runs/${id}`]: () => ({ body }) };
  const { stdout } = await run(script, 'runs', 'get', id.toLowerCase());
  assert.match(stdout, `run ${id} failed: interrupted`);
  assert.match(stdout, /^1 +status +cut$/m);
});

test.run();
