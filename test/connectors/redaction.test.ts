/** A server or proxy that says a call's path again says the token too: it gets no further than the call. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRedaction } from '../../connectors/redaction.ts';
import { telegramKind } from '../../connectors/telegram/index.ts';
import { createTestDeps, createTestPorts, never } from './test-deps.ts';
import { until, within } from './within.ts';

const test = suite('connectors: redaction');

const TOKEN = '110201543:AAHdq-TcvCH1vGWJxf_SeofSAs0K5PALDsaw';
const SECRET = TOKEN.slice(TOKEN.indexOf(':') + 1);
const ENCODED = Array.from(TOKEN, (c) => `%${c.charCodeAt(0).toString(16)}`).join('');

const twice = (text: string) => encodeURIComponent(encodeURIComponent(text));
const inHtml = (text: string) => text.replace(/[^a-z\d]/gi, (c) => `&#${c.charCodeAt(0)};`);

for (const [form, said] of [
  ['encoded twice', twice(TOKEN)],
  ['every character of it encoded, twice', encodeURIComponent(ENCODED)],
  ['encoded five times', encodeURIComponent(twice(twice(TOKEN)))],
  ['with its colon as an HTML reference', TOKEN.replace(':', '&#58;')],
  ['with its colon as a named one, escaped', TOKEN.replace(':', '&amp;colon;')],
  ['with its colon as in JSON', TOKEN.replace(':', '\\u003a')],
  ['with every sign as an HTML reference', inHtml(TOKEN)],
  ['without its id', SECRET],
  ['without its id, encoded', ENCODED.slice(ENCODED.indexOf('%3a') + 3)],
  ['cut by three characters', TOKEN.slice(0, -3)],
  ['cut to twelve of its secret', TOKEN.slice(0, TOKEN.indexOf(':') + 13)],
  ['in capitals', TOKEN.toUpperCase()],
] as const) {
  test(`a token is taken out ${form}`, () => {
    const redact = createRedaction(TOKEN);
    assert.is(redact(`/bot${said}/a and /bot${said}`), '/bot<token>/a and /bot<token>');
  });
}

test('an id alone, other words and a short token’s parts stay', () => {
  const text = 'Bad Request: bot 110201543 knows no chat AAHdq-TcvCH';
  assert.is(createRedaction(TOKEN)(text), text);
  assert.is(createRedaction('1:chat')('chat 1 of 1:chat'), 'chat 1 of <token>');
});

test('a long credential of a host’s connector is taken out whole, in any form, or as far as the text has it', () => {
  const digest = (n: number) => createHash('sha256').update(`${n}`).digest('base64');
  const line = (n: number) => `${digest(n)}ü${'A'.repeat(n)}${digest(-n)}`;
  const key = ['-----BEGIN KEY-----', ...Array.from({ length: 40 }, (_, n) => line(n))].join('\n');
  const redact = createRedaction(key);
  for (const form of [key, encodeURIComponent(key)]) {
    assert.is(redact(`refused: ${form} (401)`), 'refused: <token> (401)');
  }
  assert.is(redact(`refused: ${key.slice(0, 1_000)}`), 'refused: <token>');
  assert.is(redact('nothing of it'), 'nothing of it');
});

test('a page made to be slow is read in a time that grows with its length only', () => {
  const redact = createRedaction(TOKEN);
  const id = TOKEN.slice(0, TOKEN.indexOf(':'));
  for (const part of [id, SECRET.slice(0, 11), `${id}:${SECRET.slice(0, 10)}`, '%25', '25', '&#']) {
    const page = `%${part.repeat(Math.ceil(1_048_576 / part.length))}`;
    const startedAtMs = performance.now();
    assert.ok(redact(page) === page, part);
    assert.ok(performance.now() - startedAtMs < 20_000, part);
  }
});

test('a token is taken out as it is and percent-encoded, in part or whole, and nothing else is', () => {
  const redact = createRedaction(TOKEN);
  for (const form of [TOKEN, encodeURIComponent(TOKEN), ENCODED, ENCODED.toUpperCase()]) {
    assert.is(redact(`/bot${form}/a and /bot${form}/b`), '/bot<token>/a and /bot<token>/b');
  }
  assert.is(redact('Bad Request: chat not found'), 'Bad Request: chat not found');
  assert.is(createRedaction('')('text'), 'text');
});

for (const [status, readiness] of [
  [400, 'ready'],
  [401, 'auth_failed'],
  [500, 'ready'],
] as const) {
  for (const [form, say] of [
    ['the path', (path: string) => path],
    ['the encoded path', encodeURIComponent],
    ['the twice encoded path', twice],
  ] as const) {
    test(`an answer ${status} that repeats ${form} shows no token`, async () => {
      const server = createServer((request, response) => {
        request.resume();
        const description = `Refused: proxy knows no ${say(request.url ?? '')}`;
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ ok: false, error_code: status, description }));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const options = { api_root: `http://127.0.0.1:${port}`, poll_timeout_s: 1 };
      const deps = createTestDeps(TOKEN);
      const ports = createTestPorts();
      const account = { connectorId: 'telegram:main', kind: 'telegram', options };
      const connector = telegramKind.create(account, deps);
      let refused = '';
      const opening = connector.open(ports, never()).catch((error: unknown) => {
        refused = `${String(error)} ${JSON.stringify(error)}`;
      });
      try {
        const where = { conversationId: '42', threadId: '', inReplyTo: '' };
        const piece = { deliveryId: 'd', attempt: 1, chunk: 0, text: 'hello', ...where };
        const outcome = await within('deliver', connector.deliver(piece, never()), 20_000);
        await until('trouble', () => ports.healths.at(-1)?.readiness === readiness, 20_000);
        await until('its reason', () => ports.healths.some(({ reason }) => /proxy/.test(reason)));
        const said = JSON.stringify({ outcome, healths: ports.healths, lines: deps.lines });
        assert.match(said, 'Refused: proxy knows no');
        assert.match(said, '<token>');
        assert.not.match(said, SECRET);
      } finally {
        await within('close', connector.close(never()), 20_000);
        server.closeAllConnections();
        server.close();
      }
      await within('the end of open', opening, 20_000);
      assert.not.match(refused, SECRET);
    });
  }
}

test.run();
