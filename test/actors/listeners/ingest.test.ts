/** An event's way in by hand: what each word of its actor and of the router means to the sender. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AdmitReply, AdmitRequest } from '../../../actors/router/protocol.ts';
import type { CheckReply, WebhookEntry } from '../../../actors/webhooks/protocol.ts';
import { inboundOfferSchema } from '../../../proto/channel-messages.ts';
import { AskError, codeOf } from '../../../runtime/errors.ts';
import type { WebhookAnswer } from '../../../transports/http/gateway-ports.ts';
import { ingested } from '../../support/hand-in.ts';

const test = suite('webhook ingest');
const ROUTER = { address: 'router' };
const WEBHOOK: WebhookEntry = {
  integrationId: 'orders',
  channel: 'webhook:orders',
  enabled: true,
  maxPayloadBytes: 9,
  replyTo: null,
  ref: { address: 'hook' } as WebhookEntry['ref'],
};
const RECEIVED_AT_MS = 1_800_000_000_000;
const EVENT = {
  webhookId: 'm',
  webhookTimestamp: '1',
  webhookSignature: 'v1,x',
  body: new Uint8Array(1),
};
const REQUEST = { ...EVENT, integrationId: 'orders', trace: 't' };
const GENUINE = { type: 'genuine', text: 'hi', bodySha256: 'a'.repeat(64) } as const;

/** The check takes `checkMs` of the clock that both deadlines are counted by. */
async function send(
  check: CheckReply | Error,
  admit: AdmitReply | Error,
  checkMs = 0,
  webhook = WEBHOOK,
) {
  const asked: [string, string, unknown, number][] = [];
  let nowMs = 100;
  const self = {
    clock: { monotonicMs: () => nowMs, wallMs: () => RECEIVED_AT_MS },
    async ask({ address }: Ref, kind: string, payload: unknown, { inMs }: { inMs: number }) {
      asked.push([address, kind, payload, inMs]);
      if (kind === 'check') nowMs += checkMs;
      const word = kind === 'check' ? check : admit;
      if (word instanceof Error) throw word;
      return word;
    },
  } as unknown as Parameters<typeof ingested>[0];
  const reply = await ingested(self, { router: ROUTER, webhook }, REQUEST);
  return { reply, asked };
}

interface Ref {
  readonly address: string;
}

const wordOf = (reply: WebhookAnswer) => (reply.type === 'refused' ? reply.error.code : reply.type);

test('each word of the router has its answer', async () => {
  const words: [AdmitReply, string][] = [
    [{ type: 'accepted', envelopeId: 'E' }, 'accepted'],
    [{ type: 'duplicate', envelopeId: 'E' }, 'duplicate'],
    [{ type: 'conflict' }, 'idempotency_conflict'],
    [{ type: 'rejected', envelopeId: 'E', reason: 'channel_disabled' }, 'message_rejected'],
    [{ type: 'refused', code: 'conversation_busy', retryAfterMs: 700 }, 'conversation_busy'],
    [{ type: 'refused', code: 'busy', retryAfterMs: 700 }, 'busy'],
    [{ type: 'refused', code: 'storage_low', retryAfterMs: 700 }, 'storage_low'],
    [{ type: 'refused', code: 'stopping', retryAfterMs: 700 }, 'stopping'],
  ];
  for (const [word, expected] of words) {
    const { reply } = await send(GENUINE, word);
    assert.is(wordOf(reply), expected);
    if (word.type === 'refused') {
      assert.is(reply.type === 'refused' && reply.error.retryAfterMs, 700);
    }
  }
});

test('the router hears what the check made of the event, and nothing of one that was refused', async () => {
  const { asked } = await send(GENUINE, { type: 'conflict' });
  assert.equal(asked[0], ['hook', 'check', EVENT, 15_000]);
  const [to, kind, admission, inMs] = asked[1] ?? [];
  assert.equal([to, kind, inMs], ['router', 'admit', 15_000]);
  assert.is((admission as AdmitRequest).bodySha256, GENUINE.bodySha256);
  const error = { code: 'signature_invalid', message: 'no' } as const;
  const refused = await send({ type: 'refused', error }, { type: 'conflict' });
  assert.equal(refused.reply, { type: 'refused', error });
  assert.is(refused.asked.length, 1);
});

test('a genuine event reaches the router as a verified message of the time it came', async () => {
  const replyTo = { connectorId: 'telegram:main', conversationId: '42', threadId: '' };
  const { asked } = await send(GENUINE, { type: 'conflict' }, 50, { ...WEBHOOK, replyTo });
  const request = asked[1]?.[2] as AdmitRequest;
  const { nativeId, ...event } = inboundOfferSchema.parse(request.offer);
  assert.is(nativeId, 'm');
  assert.is(event.connectorId, 'webhook:orders');
  assert.is(event.conversationId, '42');
  assert.is(event.senderId, 'webhook:orders');
  assert.is(event.senderVerified, true);
  assert.is(event.body, 'hi');
  assert.is(event.receivedAtMs, RECEIVED_AT_MS);
  assert.equal(request.replyTo, replyTo);
  assert.is(request.trace, 't');
});

test('without a reply target the conversation is `default` and outputs go nowhere else', async () => {
  const { asked } = await send(GENUINE, { type: 'conflict' });
  const request = asked[1]?.[2] as AdmitRequest;
  assert.is(request.offer.conversationId, 'default');
  assert.is(request.replyTo, null);
});

test('both answers have to come within one deadline', async () => {
  const { asked } = await send(GENUINE, { type: 'conflict' }, 14_000);
  assert.equal(
    asked.map(([, , , inMs]) => inMs),
    [15_000, 1_000],
  );
});

test('where one of them gives no answer, nothing is acknowledged', async () => {
  const crashed = new AskError('actor_crashed', 'router', 'admit');
  assert.is(await send(GENUINE, crashed).catch(codeOf), 'actor_crashed');
  assert.is(await send(crashed, { type: 'conflict' }).catch(codeOf), 'actor_crashed');
});

test('a word of the router that nobody knows acknowledges nothing', async () => {
  const strange = { type: 'strange' } as unknown as AdmitReply;
  assert.is(await send(GENUINE, strange).catch(() => 'failed'), 'failed');
});

test.run();
