/** Holds `palyra webhooks`: above all that a test goes in by the public route and is followed to its reply. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type EnvelopeId, runIdOf } from '../../../proto/ids.ts';
import { type FakeGateway, type FakeScript, openFakeGateway } from '../support/fake-gateway.ts';
import { runInProcess } from '../support/run-in-process.ts';
import { connectorView, deliveryView, webhookView } from '../support/views.ts';

const test = suite('cli: webhooks');
const ENVELOPE = '01KA0000000000000000000000';
const RUN = runIdOf(ENVELOPE as EnvelopeId);
const ENV = { PALYRA_ADMIN_TOKEN: 'secret-admin-token' };

let gateway: FakeGateway;
test.after.each(() => gateway.close());

const run = (status: string, reason = '') => ({
  run_id: RUN,
  envelope_id: ENVELOPE,
  session_key: 'channel:webhook:demo:conversation:demo',
  status,
  attempts: 0,
  created_at_ms: 1,
  reason,
  tape: [
    { seq: 1, type: 'message.received', text: 'Hello', at_ms: 1 },
    { seq: 2, type: 'message.replied', text: 'Hello\u001b[2J', at_ms: 2 },
  ],
});

const delivery = (status: string, runId: string = RUN) => deliveryView(`${runId}:0000`, status);

/** A gateway on which one message goes through; `runs` and `deliveries` are what it shows, look after look. */
function scriptOf(
  replies: boolean,
  runs: readonly object[],
  deliveries: readonly object[] = [],
): FakeScript {
  const nextOf = (list: readonly object[]) => {
    let index = 0;
    return () => list[Math.min(index++, list.length - 1)];
  };
  const nextRun = nextOf(runs);
  const nextDelivery = nextOf(deliveries);
  return {
    'GET /admin/v1/webhooks': () => ({ body: { webhooks: [webhookView(replies)] } }),
    'POST /admin/v1/webhooks/demo/sign': () => ({
      body: { webhook_id: 'msg_1', webhook_timestamp: '1', webhook_signature: 'v1,c2ln' },
    }),
    'POST /hooks/v1/demo': () => ({ status: 202, body: { accepted: true, envelope_id: ENVELOPE } }),
    [`GET /admin/v1/runs/${RUN}`]: () => ({ body: nextRun() }),
    'GET /admin/v1/channels/echo:default': () => ({
      body: { connector: connectorView, deliveries: [nextDelivery()], dead_letters: [] },
    }),
  };
}

async function probe(script: FakeScript, ...more: readonly string[]) {
  gateway = await openFakeGateway(script);
  const args = ['webhooks', 'test', 'demo', '--text', 'Hello', '--url', gateway.url, ...more];
  return runInProcess(args, ENV);
}

test('a test posts exactly the signed body by the public route, without the admin token', async () => {
  const { code } = await probe(scriptOf(false, [run('done')]));
  assert.is(code, 0);
  const sign = gateway.requests.find(({ path }) => path.endsWith('/sign'));
  const post = gateway.requests.find(({ path }) => path === '/hooks/v1/demo');
  assert.is(JSON.parse(sign?.body ?? '').body, post?.body);
  assert.equal(JSON.parse(post?.body ?? ''), { text: 'Hello' });
  assert.is(post?.headers['webhook-id'], 'msg_1');
  assert.is(post?.headers['webhook-signature'], 'v1,c2ln');
  assert.is(post?.headers.authorization, undefined);
});

test('without reply_to the run is awaited and its reply is shown', async () => {
  const { code, stdout } = await probe(
    scriptOf(false, [run('pending'), run('pending'), run('done')]),
    '--json',
  );
  assert.is(code, 0);
  const result = JSON.parse(stdout);
  assert.is(result.envelope_id, ENVELOPE);
  assert.is(result.run.status, 'done');
  assert.match(result.reply, 'Hello');
  assert.equal(result.deliveries, []);
});

test('with reply_to the delivery is awaited too; deliveries of other runs do not count', async () => {
  const other = delivery('delivered', '01KA0000000000000000000001');
  const script = scriptOf(true, [run('done')], [other, delivery('sending'), delivery('delivered')]);
  const { code, stdout } = await probe(script);
  assert.is(code, 0);
  assert.match(stdout, /^reply +Hello/m);
  assert.match(stdout, /^delivered +echo:default demo, attempt 1$/m);
  assert.is(
    gateway.requests.filter(({ path }) => path.startsWith('/admin/v1/channels/')).length,
    3,
  );
});

test('the text of a reply cannot drive the terminal', async () => {
  const { stdout } = await probe(scriptOf(false, [run('done')]));
  assert.not.match(stdout, '\u001b');
});

test('a failed run and a dead delivery end with exit 1', async () => {
  const failed = await probe(scriptOf(true, [run('failed', 'interrupted')]));
  assert.is(failed.code, 1);
  assert.match(failed.stdout, 'failed: interrupted');
  gateway.close();
  assert.is((await probe(scriptOf(true, [run('done')], [delivery('dead')]))).code, 1);
});

test('a message that the router rejected ends with exit 4 and the reason in the journal', async () => {
  const { code, stderr } = await probe({
    ...scriptOf(false, []),
    [`GET /admin/v1/runs/${RUN}`]: () => ({
      status: 404,
      body: { title: '', status: 404, code: 'not_found', detail: '' },
    }),
    'GET /admin/v1/journal': ({ query }) => ({
      body: {
        entries: [
          {
            sequence: 1,
            at_ms: 1,
            hash: '',
            facts: [
              {
                type: 'message.rejected',
                envelopeId: query.subject ?? '',
                reason: 'channel_disabled',
              },
            ],
          },
        ],
        next: 1,
        previous: 0,
      },
    }),
  });
  assert.is(code, 4);
  assert.match(stderr, 'channel_disabled');
});

test('a webhook that refuses is shown with its code', async () => {
  const { code, stderr } = await probe({
    ...scriptOf(false, []),
    'POST /hooks/v1/demo': () => ({
      status: 403,
      body: { title: '', status: 403, code: 'webhook_disabled', detail: 'it is disabled' },
    }),
  });
  assert.is(code, 4);
  assert.match(stderr, 'webhook_disabled: it is disabled');
});

test('a run that does not end in time is exit 5, with how to look again', async () => {
  const { code, stderr } = await probe(scriptOf(false, [run('pending')]), '--timeout', '1');
  assert.is(code, 5);
  assert.match(stderr, `palyra runs get ${RUN}`);
});

test('an integration that is unknown is exit 3', async () => {
  gateway = await openFakeGateway({ 'GET /admin/v1/webhooks': () => ({ body: { webhooks: [] } }) });
  const end = await runInProcess(
    ['webhooks', 'test', 'x', '--text', 'a', '--url', gateway.url],
    ENV,
  );
  assert.is(end.code, 3);
});

test('add sends what was asked for and shows a made secret once', async () => {
  const secret = 'whsec_c2VjcmV0';
  gateway = await openFakeGateway({
    'POST /admin/v1/webhooks': () => ({ body: { webhook: webhookView(true), secret } }),
  });
  const end = await runInProcess(
    [
      'webhooks',
      'add',
      'demo',
      '--reply-to',
      'echo:default',
      '--conversation',
      'c',
      '--disabled',
      '--url',
      gateway.url,
    ],
    ENV,
  );
  assert.is(end.code, 0);
  assert.match(end.stdout, secret);
  assert.equal(JSON.parse(gateway.requests[0]?.body ?? ''), {
    integration_id: 'demo',
    provider: 'generic',
    secret_refs: [],
    max_payload_bytes: 262_144,
    enabled: false,
    reply_to: { connector: 'echo:default', conversation: 'c' },
  });
});

test('list shows each integration with who manages it and where it replies', async () => {
  gateway = await openFakeGateway({
    'GET /admin/v1/webhooks': () => ({
      body: { webhooks: [webhookView(true), webhookView(false)] },
    }),
  });
  const { stdout } = await runInProcess(['webhooks', 'list', '--url', gateway.url], ENV);
  assert.match(stdout, /^demo +ready +config +echo:default demo +1 +0 +2$/m);
  assert.match(stdout, "the run's tape");
});

test.run();
