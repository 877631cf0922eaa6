/** What every HTTP engine promises when clients are slow, broken or too many, and when it stops. Each engine's test runs it. */
import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Connections } from '../../transports/http/connections.ts';
import type { OpenHttpServer } from '../../transports/http/http-server.ts';
import { call, createHandler, eventually, refusedCode, withServer } from '../support/http-bench.ts';
import { connectRaw, hasAnswers, splitAnswers } from '../support/raw-http.ts';

/** How an engine's library refuses what it does not take for HTTP: it lets us answer, or has a page of its own. */
export type OwnRefusals = 'problem document' | 'own page';

export function httpEnduranceContract(
  name: string,
  load: () => Promise<OpenHttpServer>,
  ownRefusals: OwnRefusals,
): void {
  const test = suite(`http server under attack and at its end: ${name}`);

  test('a request that is not whole in time is closed, whether its head or its body is late', () =>
    withServer(load, { requestTimeoutMs: 300 }, async ({ server, seen, refusals }) => {
      const late = [
        '',
        'POST / HT',
        'POST / HTTP/1.1\r\nHost: a\r\n',
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n',
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf',
        'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
      ];
      const connections = await Promise.all(late.map(() => connectRaw(server.port)));
      for (const [index, raw] of connections.entries()) raw.send(late[index] ?? '');
      // An engine may have a time of its own for heads, never above 15 s.
      await Promise.all(connections.map((raw) => raw.closed(20_000)));
      assert.is(seen.length, 0);
      assert.ok(refusals.includes('timed_out'));
      assert.is((await call(server.port, { path: '/' })).status, 200);
    }));

  test('a body that drips in is closed at the same time as one that stops', () =>
    withServer(load, { requestTimeoutMs: 400 }, async ({ server, seen }) => {
      const raw = await connectRaw(server.port);
      raw.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n');
      const drip = setInterval(() => raw.send('x'), 50);
      try {
        await raw.closed(5_000);
      } finally {
        clearInterval(drip);
      }
      assert.is(seen.length, 0);
    }));

  test('a slow handler is not closed by the time that its request had', () =>
    withServer(load, { requestTimeoutMs: 200 }, async ({ server, seen }, gate) => {
      const raw = await connectRaw(server.port);
      raw.send('POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
      await eventually('the request', () => seen[0]);
      const startedAtMs = performance.now();
      await eventually('twice that time', () =>
        performance.now() - startedAtMs > 800 ? true : undefined,
      );
      gate.release?.();
      assert.is(splitAnswers(await raw.until('the answer', hasAnswers(1)))[0]?.body, 'released');
      raw.destroy();
    }));

  test('500 connections that say nothing keep nobody else from being answered', () =>
    withServer(load, { maxRequests: 10 }, async ({ server }) => {
      const silent = await Promise.all(Array.from({ length: 500 }, () => connectRaw(server.port)));
      for (const raw of silent) raw.send('POST / HTTP/1.1\r\nHost: a\r\n');
      for (let turn = 0; turn < 20; turn += 1) {
        assert.is((await call(server.port, { path: '/' })).status, 200);
      }
      for (const raw of silent) raw.destroy();
    }));

  test('a connection too many is closed and counted, and one that goes frees its place', () => {
    const connections = new Connections(2);
    return withServer(load, { connections }, async ({ server, seen, refusals }, gate) => {
      const held = [await connectRaw(server.port), await connectRaw(server.port)];
      for (const raw of held) raw.send('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
      await eventually('both are in progress', () => seen[1]);
      for (let n = 1; n <= 20; n += 1) {
        assert.is(await (await connectRaw(server.port)).closed(), '');
        await eventually('it is counted', () => (refusals.length === n ? true : undefined));
      }
      assert.ok(refusals.every((reason) => reason === 'too_many_connections'));
      gate.release?.();
      await eventually('one of the two has its answer', () =>
        held.find((raw) => hasAnswers(1)(raw.received())),
      );
      for (const raw of held) raw.destroy();
      await eventually('a place is free again', () =>
        call(server.port, { path: '/' }).then(
          ({ status }) => (status === 200 ? true : undefined),
          () => undefined,
        ),
      );
      const last = await connectRaw(server.port);
      await eventually('it is there alone', () => (connections.open === 1 ? true : undefined));
      await server.close(0);
      await eventually('none is counted after the end', () =>
        connections.open === 0 ? true : undefined,
      );
      last.destroy();
    });
  });

  test('bytes that are not HTTP are answered or closed, and nothing else happens', () =>
    withServer(load, {}, async ({ server, seen }) => {
      const garbage = [
        Buffer.from([0, 1, 2, 3, 255, 254, 10, 13, 10, 13, 10]),
        Buffer.from('160301020001000001fc0303', 'hex'),
        randomBytes(4_096),
        'GET / HTTP/9.9\r\n\r\n',
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\nabc',
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nabc',
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
        'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n',
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      ];
      for (const bytes of garbage) {
        const raw = await connectRaw(server.port);
        raw.send(bytes);
        raw.send('\r\n\r\n');
        const got = await raw.closed(15_000);
        for (const { status } of splitAnswers(got)) {
          assert.ok(status >= 400, `${JSON.stringify(bytes)} → ${got}`);
        }
      }
      assert.is(seen.length, 0);
      assert.is((await call(server.port, { path: '/' })).status, 200);
    }));

  test('a transfer coding other than chunked is refused, and nothing that follows it is read', () =>
    withServer(load, {}, async ({ server, seen, refusals }) => {
      const body = '3\r\nabc\r\n0\r\n\r\n';
      const next = 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n';
      const codings = [
        'xchunked',
        'identity',
        'gzip, chunked',
        'chunked, identity',
        'chunked;q=1',
        '"chunked"',
        'gzip\r\nTransfer-Encoding: chunked',
        'chunked\r\nTransfer-Encoding: chunked',
      ];
      for (const coding of codings) {
        const head = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ${coding}\r\n\r\n`;
        const statusesAfter = async (bytes: string) => {
          const raw = await connectRaw(server.port);
          raw.send(bytes);
          return splitAnswers(await raw.closed()).map(({ status }) => status);
        };
        assert.equal(await statusesAfter(head + body), [400], coding);
        // In one piece with a next request it may end without an answer.
        const statuses = await statusesAfter(head + body + next);
        assert.equal(statuses, statuses.length === 0 ? [] : [400], coding);
      }
      assert.is(seen.length, 0);
      assert.equal(new Set(refusals), new Set(['unreadable']));
      const raw = await connectRaw(server.port);
      raw.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n');
      const [answer] = splitAnswers(await raw.until('an answer', hasAnswers(1)));
      assert.is(answer?.status, 200);
      raw.destroy();
    }));

  test('HTTP/1.0, which some proxies speak unless told otherwise, and a target that is no path are 505', () =>
    withServer(load, {}, async ({ server, seen }) => {
      for (const line of [
        'GET / HTTP/1.0',
        'GET http://a/ HTTP/1.1',
        'OPTIONS * HTTP/1.1',
        'CONNECT a:1 HTTP/1.1',
      ]) {
        const raw = await connectRaw(server.port);
        raw.send(`${line}\r\nHost: a\r\n\r\n`);
        assert.match(await raw.closed(), /^HTTP\/1\.1 505 /, line);
      }
      assert.is(seen.length, 0);
    }));

  test(`what is no HTTP/1.1 request to the library is answered (${ownRefusals}) and ends the connection`, () =>
    withServer(load, {}, async ({ server, seen, refusals }) => {
      const post = 'POST / HTTP/1.1\r\nHost: a\r\nx: 4f1c\r\n';
      const refused: [status: number, request: string][] = [
        [505, 'GET / HTTP/1.0\r\nHost: a\r\nx: 4f1c\r\n\r\n'],
        [505, 'GET http://a/4f1c HTTP/1.1\r\nHost: a\r\n\r\n'],
        [400, `${post}Content-Length: 4f1c\r\n\r\n4f1c`],
        [400, `${post}Content-Length: -1\r\n\r\n4f1c`],
        [
          400,
          `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n4f1c\r\n0\r\n\r\n`,
        ],
        [400, `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n4f1c\r\n`],
      ];
      // The other engine waits for the rest of such a head until its time is up.
      if (ownRefusals === 'problem document') refused.push([400, 'GET /4f1c HTTP/1.1\r\n\r\n']);
      for (const [status, request] of refused) {
        const raw = await connectRaw(server.port);
        raw.send(request);
        const got = await raw.closed();
        const [answer, next] = splitAnswers(got);
        assert.is(answer?.status, status, request);
        assert.is(answer?.headers.connection, 'close', request);
        assert.is(next, undefined, request);
        assert.not.match(got, '4f1c');
        if (ownRefusals === 'own page') {
          assert.is(answer?.headers['content-type'], undefined, request);
          continue;
        }
        assert.is(answer?.headers['content-type'], 'application/problem+json', request);
        const problem = JSON.parse(answer?.body ?? '');
        assert.equal([problem.status, problem.code], [status, 'malformed'], request);
      }
      assert.is(seen.length, 0);
      assert.is(refusals.length, ownRefusals === 'own page' ? 0 : refused.length);
      assert.is((await call(server.port, { path: '/' })).status, 200);
    }));

  test('a flood of headers is refused or closed', () =>
    withServer(load, {}, async ({ server, seen }) => {
      for (const headers of [`x: ${'a'.repeat(9_000)}\r\n`, 'x: y\r\n'.repeat(50_000)]) {
        const raw = await connectRaw(server.port);
        raw.send(`GET / HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
        const got = await raw.closed(15_000);
        for (const { status } of splitAnswers(got)) assert.ok([400, 431].includes(status), got);
      }
      assert.is(seen.length, 0);
    }));

  test('invalid UTF-8 in path and headers reaches the handler as text or is refused', () =>
    withServer(load, {}, async ({ server }) => {
      const raw = await connectRaw(server.port);
      raw.send(Buffer.from('GET /\xff\xfe%ff HTTP/1.1\r\nHost: a\r\nx-b: \xff\r\n\r\n', 'latin1'));
      const [answer] = splitAnswers(await raw.until('an answer', hasAnswers(1)));
      assert.ok([200, 400].includes(answer?.status ?? 0));
      raw.destroy();
      assert.is((await call(server.port, { path: '/%ff%fe' })).status, 200);
    }));

  test('a header value of an answer cannot begin another header', () =>
    withServer(load, {}, async ({ server }) => {
      const answer = await call(server.port, { path: '/split' });
      assert.is(answer.status, 200);
      assert.is(answer.headers['x-injected'], undefined);
    }));

  test('beyond maxRequests the handler says what the answer is, and the place is free again afterwards', () =>
    withServer(load, { maxRequests: 2 }, async ({ server, seen, refusals }, gate) => {
      const first = call(server.port, { path: '/wait' });
      await eventually('the first', () => seen[0]);
      const releaseFirst = gate.release;
      const second = call(server.port, { path: '/wait' });
      await eventually('the second', () => seen[1]);
      const refused = await call(server.port, { path: '/' });
      assert.equal([refused.status, refused.body], [503, 'overloaded']);
      assert.equal(refusals, ['overloaded']);
      const early = await call(server.port, { path: '/early' });
      assert.is(early.status, 403, 'what is answered at once needs no place');
      releaseFirst?.();
      assert.is((await first).status, 200);
      assert.is((await call(server.port, { path: '/' })).status, 200);
      gate.release?.();
      assert.is((await second).status, 200);
    }));

  test('uploads that stand still take their source its share, and nobody else a place', () =>
    withServer(
      load,
      { maxRequests: 10, maxReserved: 1 },
      async ({ server, seen, refusals }, gate) => {
        const ask = async (headers: Record<string, string>) =>
          (await call(server.port, { path: '/', headers })).status;
        const slow = await Promise.all(Array.from({ length: 10 }, () => connectRaw(server.port)));
        for (const raw of slow) {
          raw.send('POST / HTTP/1.1\r\nHost: a\r\nx-source: slow\r\nContent-Length: 9\r\n\r\nhalf');
        }
        await eventually('two are too many', () => (refusals.length === 2 ? true : undefined));
        assert.is(await ask({ 'x-source': 'slow' }), 503);
        assert.is(await ask({ 'x-source': 'quiet' }), 200);
        const kept = call(server.port, { path: '/wait', headers: { 'x-reserved': 'yes' } });
        await eventually('the reserved place is taken', () => seen[1]);
        assert.is(await ask({ 'x-reserved': 'yes' }), 503);
        assert.is(await ask({ 'x-source': 'quiet' }), 200, 'it was no one else’s');
        gate.release?.();
        assert.is((await kept).status, 200);
        for (const raw of slow) raw.destroy();
        await eventually('the share is free again', async () =>
          (await ask({ 'x-source': 'slow' })) === 200 ? true : undefined,
        );
      },
    ));

  test('stopListening refuses new connections and lets requests in progress end', () =>
    withServer(load, {}, async ({ server, seen }, gate) => {
      const raw = await connectRaw(server.port);
      raw.send('POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
      await eventually('the request', () => seen[0]);
      await server.stopListening();
      await server.stopListening();
      assert.is(await refusedCode(server.port), 'ECONNREFUSED');
      gate.release?.();
      const got = await raw.closed();
      assert.is(splitAnswers(got)[0]?.body, 'released');
      assert.is(splitAnswers(got)[0]?.headers.connection, 'close');
    }));

  test('close waits for requests in progress, then frees the port', () =>
    withServer(load, {}, async ({ server, seen }, gate) => {
      const pending = call(server.port, { path: '/wait' });
      await eventually('the request', () => seen[0]);
      const idle = await connectRaw(server.port);
      const closed = server.close(10_000);
      gate.release?.();
      assert.is((await pending).body, 'released');
      await closed;
      await idle.closed();
      assert.is(await refusedCode(server.port), 'ECONNREFUSED');
    }));

  test('close ends what is still in progress after its grace, and says so to the handler', () =>
    withServer(load, {}, async ({ server, seen }) => {
      const raw = await connectRaw(server.port);
      raw.send('POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
      const { signal } = await eventually('the request', () => seen[0]);
      await server.close(50);
      await raw.closed();
      assert.is(signal.aborted, true);
    }));

  test('port 0 picks a free port; a port in use and an address that is not ours are coded errors', () =>
    withServer(load, {}, async ({ server, seen }) => {
      assert.ok(server.port > 0);
      assert.is(server.host, '127.0.0.1');
      const open = await load();
      const again = (host: string, port: number) =>
        open(
          {
            host,
            port,
            requestTimeoutMs: 1_000,
            connections: new Connections(9),
            maxRequests: 1,
            maxReserved: 1,
          },
          createHandler(seen, {}),
        ).then(
          () => 'opened',
          (error: { code: string }) => error.code,
        );
      assert.is(await again('127.0.0.1', server.port), 'address_in_use');
      assert.is(await again('192.0.2.1', 0), 'address_unknown');
      await server.close(0);
      const { port } = server;
      const reopened = await open(
        {
          host: '127.0.0.1',
          port,
          requestTimeoutMs: 1_000,
          connections: new Connections(9),
          maxRequests: 1,
          maxReserved: 1,
        },
        createHandler(seen, {}),
      );
      assert.is(reopened.port, port);
      await reopened.close(0);
    }));

  test('it listens on the given address only', () =>
    withServer(load, { host: '127.0.0.2' }, async ({ server }) => {
      assert.is(await refusedCode(server.port), 'ECONNREFUSED');
    }));

  test.run();
}
