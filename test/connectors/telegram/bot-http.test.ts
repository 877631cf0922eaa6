/** One HTTP exchange with a platform that says too much: the call ends, and what was read is bounded. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type BotHttp,
  createBotHttp,
  HttpExchangeError,
} from '../../../connectors/telegram/bot-http.ts';
import { until, within } from '../within.ts';

const MIB = 1_024 * 1_024;
/** As `bot-http.ts` has it. */
const MOST_BYTES = 16 * MIB;
const PIECE = Buffer.alloc(64 * 1_024, 'x');
const LIMITS = { connectTimeoutMs: 60_000, deadlineMs: 60_000 };
const CALL = { method: 'POST', headers: {}, body: '{}', signal: undefined };

const test = suite('telegram: HTTP exchange');

interface Platform {
  readonly url: string;
  readonly http: BotHttp;
  /** Of the last answer: bytes that were written of it, and whether its connection is gone. */
  readonly last: { written: number; isClosed: boolean };
}

/** A platform whose answer to `/n` has n bytes, none of them announced. It writes as it is read. */
async function withPlatform(work: (platform: Platform) => Promise<void>): Promise<void> {
  const last = { written: 0, isClosed: false };
  const server = createServer((request, response) => {
    request.resume();
    Object.assign(last, { written: 0, isClosed: false });
    response.once('close', () => {
      last.isClosed = true;
    });
    write(response, Number(request.url?.slice(1)), last);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const http = createBotHttp(LIMITS);
  try {
    await work({ url: `http://127.0.0.1:${port}`, http, last });
  } finally {
    http.close();
    server.closeAllConnections();
    server.close();
  }
}

function write(response: ServerResponse, bytes: number, last: { written: number }): void {
  while (last.written < bytes && !response.destroyed) {
    const piece = PIECE.subarray(0, Math.min(PIECE.length, bytes - last.written));
    last.written += piece.length;
    if (response.write(piece)) continue;
    response.once('drain', () => write(response, bytes, last));
    return;
  }
  response.end();
}

const codeOfCall = (http: BotHttp, url: string) =>
  within(
    'the exchange has ended',
    http.exchange(url, CALL).then(
      ({ body }) => `an answer of ${body.length} bytes`,
      (error: unknown) => error,
    ),
    50_000,
  );

test('an answer that is too large by a byte ends the call, which may have had its effect; the largest is read', () =>
  withPlatform(async ({ url, http }) => {
    const error = await codeOfCall(http, `${url}/${MOST_BYTES + 1}`);
    assert.instance(error, HttpExchangeError);
    const { code, requestWritten } = error as HttpExchangeError;
    assert.equal([code, requestWritten], ['answer_too_large', true]);
    assert.is(await codeOfCall(http, `${url}/${MOST_BYTES}`), `an answer of ${MOST_BYTES} bytes`);
  }));

test('of an answer that does not end no more is read than the largest has, and its connection is closed', () =>
  withPlatform(async ({ url, http, last }) => {
    const error = await codeOfCall(http, `${url}/${1_024 * MIB}`);
    assert.is((error as HttpExchangeError).code, 'answer_too_large');
    await until('the connection is closed', () => last.isClosed, 50_000);
    // Beyond what was read, what the sockets of both sides and the sender hold.
    assert.ok(last.written < 4 * MOST_BYTES, `${last.written} bytes were taken`);
    assert.is(await codeOfCall(http, `${url}/2`), 'an answer of 2 bytes');
  }));

test.run();
