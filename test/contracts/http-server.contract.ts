/** What every HTTP engine promises to well-behaved clients and their handlers. Each engine's test runs it. */
import { createHash, randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OpenHttpServer } from '../../transports/http/http-server.ts';
import { call, eventually, MAX_BODY_BYTES, withServer } from '../support/http-bench.ts';
import { connectRaw, hasAnswers, splitAnswers } from '../support/raw-http.ts';
import { until } from '../support/within.ts';

/** The server's and the client's buffers; what is not reachable goes some time after the collection. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().arrayBuffers;
}

const sha256 = (body: Uint8Array) => createHash('sha256').update(body).digest('hex');

export function httpServerContract(name: string, load: () => Promise<OpenHttpServer>): void {
  const test = suite(`http server: ${name}`);

  test('a body arrives exactly as sent, of any size up to the limit, whole or in chunks', () =>
    withServer(load, {}, async ({ server, seen }) => {
      for (const sizeBytes of [0, 1, 255, 65_536, 500_001, MAX_BODY_BYTES]) {
        for (const chunked of [false, true]) {
          const body = randomBytes(sizeBytes);
          const answer = await call(server.port, { path: '/', body, chunked });
          assert.is(answer.status, 200);
          assert.is(answer.body, `POST ${sha256(body)}`);
          const got = seen.at(-1)?.body;
          assert.is(got?.byteLength, sizeBytes);
          await call(server.port, { path: '/', body: randomBytes(sizeBytes), chunked });
          assert.is(sha256(got ?? new Uint8Array()), sha256(body), 'still the same afterwards');
        }
      }
    }));

  test('a head arrives as sent: method, undecoded path, query, joined headers in lower case', () =>
    withServer(load, {}, async ({ server, seen }) => {
      await call(server.port, {
        method: 'PUT',
        path: '/a%20b%2Fc?x=1&y=%20',
        headers: { 'X-Twice': ['one', 'two'] },
      });
      const request = seen[0]?.request;
      assert.is(request?.method, 'PUT');
      assert.is(request?.path, '/a%20b%2Fc');
      assert.is(request?.query, 'x=1&y=%20');
      assert.is(request?.headers['x-twice'], 'one, two');
      assert.is(request?.headers.toString, undefined);
    }));

  test('a longer body is answered by tooLarge and never reaches the handler', () =>
    withServer(load, {}, async ({ server, seen }) => {
      for (const chunked of [false, true]) {
        const answer = await call(server.port, { path: '/small', body: randomBytes(11), chunked });
        assert.is(answer.status, 413);
        assert.is(answer.body, 'at most 10');
      }
      assert.is((await call(server.port, { path: '/small', body: randomBytes(10) })).status, 200);
      assert.is(seen.length, 1);
    }));

  test('a body of 100 MB is refused without being held in memory', () =>
    withServer(load, {}, async ({ server }) => {
      const part = Buffer.alloc(1_000_000, 'x');
      const chunk = Buffer.concat([
        Buffer.from(`${part.length.toString(16)}\r\n`),
        part,
        Buffer.from('\r\n'),
      ]);
      for (const [head, piece] of [
        [`Content-Length: ${100 * part.length}`, part],
        ['Transfer-Encoding: chunked', chunk],
      ] as const) {
        const raw = await connectRaw(server.port);
        const beforeBytes = heldBytes();
        raw.send(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`);
        for (let sent = 1; sent <= 100 && !raw.isClosed(); sent += 1) {
          raw.send(piece);
          if (sent === 2) await raw.until('413', hasAnswers(1));
          await raw.sent();
        }
        assert.is(splitAnswers(raw.received())[0]?.status, 413);
        await until(
          `less than 10 MB of it are held while it is open, ${head}`,
          () => heldBytes() - beforeBytes < 10_000_000 && !raw.isClosed(),
          20_000,
        );
        raw.destroy();
      }
      assert.is((await call(server.port, { path: '/' })).status, 200);
    }));

  test('an early answer leaves the connection usable for the next request', () =>
    withServer(load, {}, async ({ server, seen }) => {
      const raw = await connectRaw(server.port);
      raw.send(`POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n`);
      await raw.until('early answer', hasAnswers(1));
      raw.send('x'.repeat(200_000));
      raw.send('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
      const answers = splitAnswers(await raw.until('second answer', hasAnswers(2)));
      assert.equal(
        answers.map(({ status }) => status),
        [403, 200],
      );
      assert.equal(
        seen.map(({ request }) => request.path),
        ['/next'],
      );
      raw.destroy();
    }));

  test('a handler that throws or rejects is answered 500 without its text, and reported', () =>
    withServer(load, {}, async ({ server, defects }) => {
      for (const path of ['/throws', '/rejects', '/defect', '/begin-throws']) {
        const answer = await call(server.port, { path });
        assert.is(answer.status, 500);
        assert.is(answer.headers['content-type'], 'application/problem+json');
        assert.is(JSON.parse(answer.body).code, 'internal_error');
        assert.not.match(answer.body, 'secret');
      }
      assert.is(defects.length, 4);
    }));

  test('only the first answer to a request counts, whatever comes after it', () =>
    withServer(load, {}, async ({ server }) => {
      for (const path of ['/twice', '/throws-after', '/twice']) {
        const { status, body } = await call(server.port, { path });
        assert.equal([status, body], [200, 'first']);
      }
    }));

  test('the signal aborts when the client goes away, and its answer is dropped', () =>
    withServer(load, {}, async ({ server, seen }, gate) => {
      const raw = await connectRaw(server.port);
      raw.send('POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
      const signal = await eventually('the request', () => seen[0]?.signal);
      assert.is(signal.aborted, false);
      raw.destroy();
      await eventually('the abort', () => (signal.aborted ? true : undefined));
      gate.release?.();
      assert.is((await call(server.port, { path: '/' })).status, 200);
    }));

  test('a client that goes away in the middle of its body is forgotten', () =>
    withServer(load, { maxRequests: 1 }, async ({ server, seen }) => {
      for (let round = 0; round < 20; round += 1) {
        const raw = await connectRaw(server.port);
        raw.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf');
        raw.destroy();
      }
      await eventually('a free place', async () =>
        (await call(server.port, { path: '/' })).status === 200 ? true : undefined,
      );
      assert.is(seen.length, 1);
    }));

  test('HEAD gets the headers and length of the answer, and no body', () =>
    withServer(load, {}, async ({ server }) => {
      const raw = await connectRaw(server.port);
      raw.send('HEAD /later?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      const got = await raw.closed();
      assert.match(got, /^HTTP\/1\.1 200 OK\r\n/);
      assert.match(got, /content-length: 7\r\n/i);
      assert.match(got, /x-answer: yes\r\n/i);
      assert.ok(got.endsWith('\r\n\r\n'), got);
      const kept = await connectRaw(server.port);
      for (let turn = 1; turn <= 3; turn += 1) {
        kept.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
        await kept.until(`answer ${turn}`, (text) => text.split('\r\n\r\n').length === turn + 1);
      }
      kept.destroy();
    }));

  test('a method of WebDAV is left to the handler', () =>
    withServer(load, {}, async ({ server }) => {
      const answer = await call(server.port, { path: '/', method: 'PROPFIND' });
      assert.match(answer.body, 'PROPFIND');
    }));

  test('one connection carries many requests, each answered in its turn', () =>
    withServer(load, {}, async ({ server }) => {
      const raw = await connectRaw(server.port);
      for (let turn = 1; turn <= 50; turn += 1) {
        raw.send(`GET /later?${turn} HTTP/1.1\r\nHost: a\r\n\r\n`);
        await raw.until(`answer ${turn}`, hasAnswers(turn));
      }
      const bodies = splitAnswers(raw.received()).map(({ body }) => body);
      assert.equal(
        bodies,
        bodies.map((_, index) => `later ${index + 1}`),
      );
      raw.destroy();
    }));

  test('requests sent ahead of their answers are answered in order, or the connection ends: never mixed', () =>
    withServer(load, {}, async ({ server }) => {
      const raw = await connectRaw(server.port);
      raw.send([1, 2, 3].map((n) => `GET /later?${n} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
      await eventually('an end', () =>
        raw.isClosed() || hasAnswers(3)(raw.received()) ? true : undefined,
      );
      const bodies = splitAnswers(raw.received()).map(({ body }) => body);
      assert.equal(bodies, ['later 1', 'later 2', 'later 3'].slice(0, bodies.length));
      raw.destroy();
    }));

  test('a large answer arrives whole', () =>
    withServer(load, {}, async ({ server }) => {
      const answer = await call(server.port, { path: '/large' });
      assert.is(answer.body.length, 3_000_000);
    }));

  test.run();
}
