/** The gateway's routes over scripted ports: who is answered what, and what the ports are asked. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PalyraError } from '../../../proto/errors.ts';
import type { GatewayPorts } from '../../../transports/http/gateway-ports.ts';
import { HttpCounters } from '../../../transports/http/http-counters.ts';
import type { HttpAnswer } from '../../../transports/http/http-server.ts';
import { createGatewayHandler } from '../../../transports/http/routes.ts';
import { createFakePorts, TOKEN } from '../../support/fake-ports.ts';

const hooks = suite('webhook ingress');
const probes = suite('probes and metrics');
const admin = suite('admin API');

interface Sent {
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** As a server does it: begin, read at most so much, answer. */
async function send(
  ports: GatewayPorts,
  method: string,
  target: string,
  { body = '', headers = {} }: Sent = {},
  counters = new HttpCounters(),
): Promise<HttpAnswer & { readonly json: Record<string, unknown> }> {
  const handler = createGatewayHandler(ports, counters);
  const [path = '', query = ''] = target.split('?');
  const request = { method, path, query, headers };
  const bytes = new TextEncoder().encode(body);
  const begun = handler.begin(request);
  let answer: HttpAnswer;
  if ('status' in begun) answer = begun;
  else if (bytes.byteLength > begun.maxBodyBytes) answer = begun.tooLarge();
  else {
    const client = { signal: new AbortController().signal };
    answer = await new Promise((resolve, reject) => {
      const done = (end: HttpAnswer | Error) => (end instanceof Error ? reject(end) : resolve(end));
      begun.answer(bytes, client, done)?.catch(reject);
    });
  }
  const isJson = answer.headers['content-type']?.includes('json') === true;
  return { ...answer, json: isJson ? JSON.parse(answer.body) : {} };
}

const bearer = { authorization: `Bearer ${TOKEN}` };
const signed = {
  'webhook-id': 'msg_1',
  'webhook-timestamp': '1800000000',
  'webhook-signature': 'v1,c2ln',
};

hooks(
  'an accepted webhook is 202 with its envelope id, and the port gets headers and raw body',
  async () => {
    const ports = createFakePorts();
    const answer = await send(ports, 'POST', '/hooks/v1/orders', {
      body: ' {"a":1}',
      headers: signed,
    });
    assert.is(answer.status, 202);
    assert.equal(answer.json, { accepted: true, envelope_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' });
    const [request] = ports.ingested;
    assert.is(request?.integrationId, 'orders');
    assert.is(request?.webhookId, 'msg_1');
    assert.is(request?.webhookTimestamp, '1800000000');
    assert.is(request?.webhookSignature, 'v1,c2ln');
    assert.is(new TextDecoder().decode(request?.body), ' {"a":1}');
    assert.is(request?.trace, 'f'.repeat(32));
  },
);

hooks('a duplicate is 200 and names no envelope', async () => {
  const ports = createFakePorts({
    ingest: (_, done) => done({ type: 'duplicate', envelopeId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }),
  });
  const answer = await send(ports, 'POST', '/hooks/v1/orders', { headers: signed });
  assert.is(answer.status, 200);
  assert.equal(answer.json, { accepted: true, duplicate: true });
});

hooks(
  'unknown comes before disabled, disabled before too large, too large before the signature',
  async () => {
    const ports = createFakePorts({
      ingest: (_, done) =>
        done({
          type: 'refused',
          error: { code: 'signature_missing', message: 'webhook-id is missing' },
        }),
    });
    const large = 'x'.repeat(1_001);
    const statuses = [];
    for (const [id, body] of [
      ['nobody', large],
      ['off', large],
      ['orders', large],
      ['orders', 'x'],
    ] as const) {
      statuses.push((await send(ports, 'POST', `/hooks/v1/${id}`, { body })).status);
    }
    assert.equal(statuses, [404, 403, 413, 401]);
  },
);

hooks(
  'where its requests in progress are too many a webhook is told 429, an admin call 503',
  () => {
    const handler = createGatewayHandler(createFakePorts(), new HttpCounters());
    const begin = (method: string, path: string) => {
      const begun = handler.begin({ method, path, query: '', headers: bearer });
      if ('status' in begun) throw new Error(`answered ${begun.status}`);
      const { status, headers, body } = begun.overloaded();
      const { source, isReserved } = begun;
      return [source, isReserved, status, headers['retry-after'], JSON.parse(body).code];
    };
    assert.equal(begin('POST', '/hooks/v1/orders'), ['orders', false, 429, '1', 'busy']);
    assert.equal(begin('GET', '/admin/v1/status'), ['admin', true, 503, '1', 'unavailable']);
    assert.equal(begin('GET', '/metrics'), ['metrics', true, 503, '1', 'unavailable']);
  },
);

hooks('missing headers reach the port as empty text, for it to refuse and count', async () => {
  const ports = createFakePorts();
  await send(ports, 'POST', '/hooks/v1/orders');
  const [request] = ports.ingested;
  assert.equal(
    [request?.webhookId, request?.webhookTimestamp, request?.webhookSignature],
    ['', '', ''],
  );
});

hooks('a full queue is 429 and a full disk 503, both with Retry-After', async () => {
  for (const [code, status] of [
    ['busy', 429],
    ['conversation_busy', 429],
    ['storage_low', 503],
  ] as const) {
    const ports = createFakePorts({
      ingest: (_, done) =>
        done({ type: 'refused', error: { code, message: 'later', retryAfterMs: 1_500 } }),
    });
    const answer = await send(ports, 'POST', '/hooks/v1/orders', { headers: signed });
    assert.is(answer.status, status);
    assert.is(answer.headers['retry-after'], '2');
    assert.is(answer.json.code, code);
  }
});

hooks(
  'while the gateway stops nothing reaches the port: 503 stopping with Retry-After',
  async () => {
    const ports = createFakePorts({ webhook: () => ({ state: 'stopping' }) });
    const answer = await send(ports, 'POST', '/hooks/v1/orders', { headers: signed });
    assert.is(answer.status, 503);
    assert.is(answer.json.code, 'stopping');
    assert.is(answer.headers['retry-after'], '5');
    assert.is(ports.ingested.length, 0);
  },
);

hooks('ids that cannot be are unknown, a bad escape too; other methods get Allow', async () => {
  const ports = createFakePorts({ webhook: () => ({ state: 'open', maxPayloadBytes: 9 }) });
  for (const id of ['', 'UPPER', 'a/b', '%00', 'x'.repeat(65), '..%2Forders', '%ff', '%']) {
    assert.is((await send(ports, 'POST', `/hooks/v1/${id}`)).status, 404, id);
  }
  const answer = await send(ports, 'GET', '/hooks/v1/orders');
  assert.is(answer.status, 405);
  assert.is(answer.headers.allow, 'POST');
});

hooks('a webhook disabled while its body came is refused', async () => {
  let asked = 0;
  const ports = createFakePorts({
    webhook: () => {
      asked += 1;
      return asked === 1 ? { state: 'open', maxPayloadBytes: 9 } : { state: 'disabled' };
    },
  });
  assert.is((await send(ports, 'POST', '/hooks/v1/orders', { body: 'x' })).status, 403);
  assert.is(ports.ingested.length, 0);
});

hooks('no answer repeats the body or a header of the request', async () => {
  const ports = createFakePorts({
    ingest: () => {
      throw new PalyraError('malformed', 'The payload is not JSON.');
    },
  });
  const headers = { ...signed, 'x-request-id': 'bad id\r\nx: y', cookie: 'secret-cookie' };
  const answer = await send(ports, 'POST', '/hooks/v1/orders', { body: 'secret-body', headers });
  assert.is(answer.status, 400);
  const all = JSON.stringify(answer);
  for (const word of ['secret-body', 'secret-cookie', 'c2ln', 'bad id']) {
    assert.not.match(all, word);
  }
});

const outcomeOf = (ports: GatewayPorts, counters: HttpCounters) =>
  send(ports, 'POST', '/hooks/v1/orders', {}, counters).then(
    () => 'answered',
    (error: unknown) => (error as Error).message,
  );

hooks('a defect of the port is left to the server, which tells nothing of it', async () => {
  const ports = createFakePorts({
    ingest: () => {
      throw new Error('inner secret');
    },
  });
  const counters = new HttpCounters();
  assert.is(await outcomeOf(ports, counters), 'inner secret');
  assert.equal(counters.metrics()[0]?.samples[0]?.labels.status, '500');
});

hooks('an answer of the port that cannot be told, however late, is a defect too', async () => {
  const error = { code: 'no_such_code', message: 'x' } as never;
  const ports = createFakePorts({
    ingest: (_, done) => void setTimeout(() => done({ type: 'refused', error }), 1),
  });
  const counters = new HttpCounters();
  assert.match(await outcomeOf(ports, counters), /undefined/);
  assert.equal(counters.metrics()[0]?.samples[0]?.labels.status, '500');
});

hooks.run();

probes(
  'livez is always alive; readyz and healthz follow readiness; degraded is ready',
  async () => {
    const at = async (path: string, ready: boolean, degraded: string[] = []) => {
      const failing = ready ? [] : ['ledger'];
      const ports = createFakePorts({ readiness: () => ({ ready, failing, degraded }) });
      const { status, json } = await send(ports, 'GET', path);
      return [status, json];
    };
    assert.equal(await at('/livez', false), [200, { status: 'alive' }]);
    assert.equal(await at('/readyz', true), [200, { status: 'ready' }]);
    assert.equal(await at('/healthz', true, ['control']), [200, { status: 'degraded' }]);
    assert.equal(await at('/readyz', false), [503, { status: 'unready' }]);
    assert.equal(await at('/readyz?verbose', false, ['control']), [
      503,
      { status: 'unready', failing: ['ledger'], degraded: ['control'] },
    ]);
  },
);

probes(
  'metrics are those of the gateway and of HTTP itself, by route and never by path',
  async () => {
    const counters = new HttpCounters();
    const ports = createFakePorts({
      metrics: async () => [
        { name: 'palyra_up', help: 'Up.', type: 'gauge', samples: [{ labels: {}, value: 1 }] },
      ],
    });
    await send(ports, 'POST', '/hooks/v1/orders', {}, counters);
    await send(ports, 'GET', '/admin/v1/channels/telegram:secret', { headers: bearer }, counters);
    await send(ports, 'GET', '/some/private/path', {}, counters);
    counters.refused('overloaded');
    const answer = await send(ports, 'GET', '/metrics', {}, counters);
    assert.is(answer.status, 200);
    assert.is(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(answer.body, 'palyra_up 1\n');
    assert.match(
      answer.body,
      'palyra_http_requests_total{route="/hooks/v1/{integration_id}",status="202"} 1\n',
    );
    assert.match(answer.body, 'palyra_http_requests_total{route="other",status="404"} 1\n');
    assert.match(answer.body, 'palyra_http_refused_total{reason="overloaded"} 1\n');
    assert.not.match(answer.body, 'secret');
    assert.not.match(answer.body, 'private');
  },
);

probes('they need no token, take GET and HEAD only, and are kept by no cache', async () => {
  for (const path of ['/livez', '/readyz', '/healthz', '/metrics']) {
    const head = await send(createFakePorts(), 'HEAD', path);
    assert.is(head.status, 200, path);
    assert.is(head.headers['cache-control'], 'no-store');
    assert.is(head.headers['x-content-type-options'], 'nosniff');
    const post = await send(createFakePorts(), 'POST', path);
    assert.is(post.status, 405);
    assert.is(post.headers.allow, 'GET, HEAD');
  }
  assert.is((await send(createFakePorts(), 'GET', '/')).status, 404);
});

probes.run();

admin(
  'without the token every admin path is 401, also one that does not exist, and nothing is called',
  async () => {
    for (const path of ['/admin/v1/status', '/admin/v1/nothing', '/admin/v1/%ff']) {
      for (const authorization of [
        '',
        'Bearer',
        'Bearer wrong',
        `Basic ${TOKEN}`,
        TOKEN,
        `Bearer ${TOKEN}, Bearer ${TOKEN}`,
      ]) {
        const ports = createFakePorts();
        const answer = await send(ports, 'GET', path, { headers: { authorization } });
        assert.is(answer.status, 401, `${path} ${authorization}`);
        assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/);
        assert.is(ports.calls.length, 0);
      }
    }
  },
);

admin('a gateway without a token of its own says so, not that the caller’s is wrong', async () => {
  const ports = createFakePorts({ authenticate: () => 'unavailable' });
  const answer = await send(ports, 'GET', '/admin/v1/status', { headers: bearer });
  assert.equal([answer.status, answer.headers['retry-after']], [503, '5']);
  assert.equal([answer.json.code, answer.json.retryable], ['secret_unavailable', true]);
  assert.is(ports.calls.length, 0);
});

admin('an operation gets its input, principal, key and trace; its output is the body', async () => {
  const ports = createFakePorts();
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const answer = await send(ports, 'POST', '/admin/v1/channels/echo%3Adefault/test', {
    body: '{"text":"hi"}',
    headers: {
      authorization: `bearer ${TOKEN}`,
      'idempotency-key': 'key-1',
      'x-request-id': 'req-1',
      traceparent: `00-${trace}-00f067aa0ba902b7-01`,
    },
  });
  assert.is(answer.status, 200);
  assert.equal(answer.json, { done: 'channels.test' });
  assert.is(answer.headers['x-request-id'], 'req-1');
  assert.equal(ports.calls, [
    {
      operation: 'channels.test',
      input: { connector_id: 'echo:default', text: 'hi' },
      principal: { name: 'operator', scopes: ['admin:read', 'admin:write'] },
      idempotencyKey: 'key-1',
      trace,
    },
  ]);
});

admin('a job is 202; a refusal is its problem document', async () => {
  const job = await send(createFakePorts(), 'POST', '/admin/v1/backup', { headers: bearer });
  assert.is(job.status, 202);
  const ports = createFakePorts({
    call: async () => ({
      ok: false,
      error: {
        code: 'validation_error',
        message: 'wrong',
        issues: [{ field: 'limit', message: 'too large' }],
      },
    }),
  });
  const refused = await send(ports, 'GET', '/admin/v1/journal?limit=9999', { headers: bearer });
  assert.is(refused.status, 400);
  assert.equal(refused.json.issues, [{ field: 'limit', message: 'too large' }]);
});

admin(
  'a wrong method gets Allow, a wrong path 404, a bad key 400, a body on a GET 413',
  async () => {
    const ask = (method: string, path: string, sent: Sent = {}) =>
      send(createFakePorts(), method, path, { ...sent, headers: { ...bearer, ...sent.headers } });
    const put = await ask('PUT', '/admin/v1/webhooks');
    assert.is(put.status, 405);
    assert.is(put.headers.allow, 'GET, HEAD, POST');
    assert.is((await ask('DELETE', '/admin/v1/status')).headers.allow, 'GET, HEAD');
    assert.is((await ask('GET', '/admin/v1/nothing')).status, 404);
    assert.is((await ask('GET', '/admin/v1/channels/%ff')).status, 400);
    assert.is((await ask('GET', '/admin/v1/status', { body: 'x' })).status, 413);
    assert.is((await ask('HEAD', '/admin/v1/status')).status, 200);
    const key = { 'idempotency-key': 'two words' };
    assert.is((await ask('POST', '/admin/v1/backup', { headers: key })).status, 400);
  },
);

admin('a trace or request id that is not well-formed is replaced', async () => {
  for (const traceparent of [
    'garbage',
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `ff-${'a'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${'A'.repeat(32)}-00f067aa0ba902b7-01`,
  ]) {
    const ports = createFakePorts();
    const headers = { ...bearer, traceparent, 'x-request-id': 'x'.repeat(129) };
    const answer = await send(ports, 'GET', '/admin/v1/status', { headers });
    assert.is(ports.calls[0]?.trace, 'f'.repeat(32));
    assert.is(answer.headers['x-request-id'], 'f'.repeat(32));
  }
});

admin.run();
