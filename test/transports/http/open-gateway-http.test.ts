/** The gateway's HTTP as the listener opens it: the engine that loads, and whole requests over sockets on both engines. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Connections } from '../../../transports/http/connections.ts';
import { type HttpLog, openGatewayHttp } from '../../../transports/http/index.ts';
import { openNodeHttp } from '../../../transports/http/node.ts';
import { pickHttpEngine } from '../../../transports/http/open-http-server.ts';
import { createFakePorts, TOKEN } from '../../support/fake-ports.ts';
import { connectRaw } from '../../support/raw-http.ts';
import { until, within } from '../../support/within.ts';

const test = suite('gateway http');

const PLACE = { host: '127.0.0.1', port: 0, connections: new Connections(1_000) };

type Line = readonly [level: string, message: string, fields: unknown];

function createLog(): { readonly log: HttpLog; readonly lines: Line[] } {
  const lines: Line[] = [];
  return { lines, log: (level, message, fields) => void lines.push([level, message, fields]) };
}

const engines = {
  'the engine of this system': pickHttpEngine,
  'node:http': async () => openNodeHttp,
};

test('where the binary cannot load, node:http takes over with one warning', async () => {
  const { log, lines } = createLog();
  const open = await pickHttpEngine(log, () => Promise.reject(new Error('no such binary')));
  assert.is(open, openNodeHttp);
  assert.is(lines.length, 1);
  assert.is(lines[0]?.[0], 'warn');
  assert.match(lines[0]?.[1] ?? '', 'node:http');
});

test('where it can load, nothing is said', async () => {
  const { log, lines } = createLog();
  assert.is.not(await pickHttpEngine(log), openNodeHttp);
  assert.equal(lines, []);
});

for (const [name, pick] of Object.entries(engines)) {
  test(`${name}: webhook, admin call, probes and errors over a socket`, async () => {
    const ports = createFakePorts();
    const { log, lines } = createLog();
    const server = await openGatewayHttp(PLACE, ports, log, pick);
    const url = `http://127.0.0.1:${server.port}`;
    const ask = (path: string, init: RequestInit = {}) =>
      within(path, fetch(`${url}${path}`, init));
    try {
      const hook = await ask('/hooks/v1/orders', { method: 'POST', body: '{"text":"é"}' });
      assert.is(hook.status, 202);
      assert.is(new TextDecoder().decode(ports.ingested[0]?.body), '{"text":"é"}');
      const large = await ask('/hooks/v1/orders', { method: 'POST', body: 'x'.repeat(900_000) });
      assert.is(large.status, 413);
      assert.is(((await large.json()) as { code: string }).code, 'payload_too_large');
      assert.is((await ask('/hooks/v1/nobody', { method: 'POST', body: '{}' })).status, 404);
      assert.is((await ask('/admin/v1/status')).status, 401);
      const headers = { authorization: `Bearer ${TOKEN}` };
      assert.is((await ask('/admin/v1/status', { headers })).status, 200);
      assert.is((await ask('/livez', { method: 'HEAD' })).status, 200);
      const metrics = await (await ask('/metrics')).text();
      assert.match(metrics, 'palyra_http_requests_total{route="/admin/v1/",status="401"} 1\n');
      assert.equal(lines, []);
    } finally {
      await server.close(0);
    }
  });

  test(`${name}: a webhook whose senders stand still takes nothing from another one, nor from the admin API`, async () => {
    const ports = createFakePorts({ webhook: () => ({ state: 'open', maxPayloadBytes: 1_000 }) });
    const { log } = createLog();
    const server = await openGatewayHttp(PLACE, ports, log, pick);
    const url = `http://127.0.0.1:${server.port}`;
    const statusOf = async (path: string, init: RequestInit = {}) =>
      (await within(path, fetch(`${url}${path}`, init))).status;
    const slow = await Promise.all(Array.from({ length: 480 }, () => connectRaw(server.port)));
    try {
      for (const raw of slow) {
        raw.send('POST /hooks/v1/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf');
      }
      const post = { method: 'POST', body: '{}' };
      const refused = () => slow.filter((raw) => raw.received().startsWith('HTTP/1.1 429')).length;
      await until('the rest is refused', () => refused() === 480 - 384, 20_000);
      assert.is(await statusOf('/hooks/v1/slow', post), 429);
      assert.is(await statusOf('/hooks/v1/quiet', post), 202);
      const headers = { authorization: `Bearer ${TOKEN}` };
      assert.is(await statusOf('/admin/v1/status', { headers }), 200);
      assert.is(await statusOf('/metrics'), 200);
    } finally {
      for (const raw of slow) raw.destroy();
      await server.close(0);
    }
  });

  test(`${name}: a defect is answered 500 without its text and stands in the log`, async () => {
    const ports = createFakePorts({ call: () => Promise.reject(new Error('inner secret')) });
    const { log, lines } = createLog();
    const server = await openGatewayHttp(PLACE, ports, log, pick);
    try {
      const url = `http://127.0.0.1:${server.port}/admin/v1/status`;
      const headers = { authorization: `Bearer ${TOKEN}` };
      const answer = await within('the answer', fetch(url, { headers }));
      assert.is(answer.status, 500);
      assert.not.match(await answer.text(), 'secret');
      assert.equal(
        lines.map(([level, message]) => [level, message]),
        [['error', 'a request met a defect']],
      );
    } finally {
      await server.close(0);
    }
  });
}

test.run();
