/** One integration's actor: what is refused before the router hears of it, and how the router's word is passed on. */
import { Webhook } from 'standardwebhooks';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AdmitReply, AdmitRequest } from '../../../actors/router/protocol.ts';
import { digestBody } from '../../../actors/webhooks/digest-body.ts';
import type { IngestReply, IngestRequest } from '../../../actors/webhooks/protocol.ts';
import type { Integration } from '../../../actors/webhooks/rows.ts';
import { webhookActor } from '../../../actors/webhooks/webhook-actor.ts';
import { inboundMessageEventSchema } from '../../../proto/channel-messages.ts';
import { AskError } from '../../../runtime/errors.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';

const test = suite('webhook actor');
const NOW_MS = 1_800_000_000_000;
const SECRET = `whsec_${Buffer.alloc(24, 'a').toString('base64')}`;
const NEXT = `whsec_${Buffer.alloc(24, 'b').toString('base64')}`;

interface World {
  readonly integration?: Partial<Integration>;
  readonly secrets?: Record<string, string>;
  admit?(request: AdmitRequest): AdmitReply | Promise<AdmitReply>;
  run?(request: { input: { body: Uint8Array } }): unknown;
}

async function open(world: World = {}) {
  const integration: Integration = {
    integrationId: 'orders',
    provider: 'generic',
    managedBy: 'config',
    enabled: true,
    maxPayloadBytes: 262_144,
    secretRefs: ['env:A'],
    ...world.integration,
  };
  const secrets = world.secrets ?? { 'env:A': SECRET };
  const admitted: AdmitRequest[] = [];
  const jobs: number[] = [];
  const logs: string[] = [];
  const args = {
    integration,
    vault: { address: 't/vault' },
    router: { address: 't/router' },
    jobs: { address: 't/jobs' },
  };
  const deps = {
    log: (_level: string, message: string, fields?: object) =>
      void logs.push(message + JSON.stringify(fields)),
  };
  const answer = async (to: string, kind: string, payload: unknown): Promise<unknown> => {
    if (kind === 'reveal') {
      const { ref } = payload as { ref: string };
      const secret = secrets[ref];
      if (secret === 'vault-is-down') throw new AskError('ask_timeout', to, kind);
      if (secret === 'unreadable') return { ok: false, code: 'unreadable', message: 'no ledger' };
      return secret === undefined
        ? { ok: false, code: 'missing', message: `nothing stands at ${ref}` }
        : { ok: true, secret };
    }
    if (kind === 'run') {
      const request = payload as { input: { body: Uint8Array } };
      jobs.push(request.input.body.byteLength);
      return world.run?.(request) ?? { ok: true, output: digestBody(request.input) };
    }
    admitted.push(payload as AdmitRequest);
    return (
      world.admit?.(payload as AdmitRequest) ?? { type: 'accepted', envelopeId: 'E', runId: 'R' }
    );
  };
  const kit = await createBehaviorKit(webhookActor, args, deps, { answer, wallMs: NOW_MS });
  const ingest = async (request: IngestRequest): Promise<IngestReply> => {
    const reply = kit.receive('ingest', request) as Promise<IngestReply>;
    await kit.settle();
    return reply;
  };
  return { kit, ingest, admitted, jobs, logs, secrets };
}

function signed(
  body: string,
  options: Partial<IngestRequest> & { secret?: string } = {},
): IngestRequest {
  const { secret = SECRET, webhookId = 'msg_1', ...rest } = options;
  const signature = new Webhook(secret).sign(webhookId, new Date(NOW_MS), body);
  return {
    webhookId,
    webhookTimestamp: String(NOW_MS / 1_000),
    webhookSignature: signature,
    body: Buffer.from(body),
    trace: 'trace-1',
    ...rest,
  };
}

const codeOf = (reply: IngestReply): string =>
  reply.type === 'refused' ? reply.error.code : reply.type;

test('a genuine event reaches the router as a verified message with the digest of its raw body', async () => {
  const replyTo = { connectorId: 'telegram:main', conversationId: '42', threadId: '' };
  const { ingest, admitted } = await open({ integration: { replyTo } });
  assert.equal(await ingest(signed('{"text":"hi"}')), { type: 'accepted', envelopeId: 'E' });
  const [request] = admitted;
  assert.ok(request);
  const { nativeId, ...event } = request.offer;
  inboundMessageEventSchema.parse({ ...event, envelopeId: '0'.repeat(26) });
  assert.is(nativeId, 'msg_1');
  assert.is(event.connectorId, 'webhook:orders');
  assert.is(event.conversationId, '42');
  assert.is(event.senderId, 'webhook:orders');
  assert.is(event.senderVerified, true);
  assert.is(event.body, 'hi');
  assert.equal(request.replyTo, replyTo);
  assert.is(request.trace, 'trace-1');
  assert.match(request.bodySha256, /^[0-9a-f]{64}$/);
});

test('without a reply target the conversation is `default` and outputs go nowhere else', async () => {
  const { ingest, admitted } = await open();
  await ingest(signed('{}'));
  assert.is(admitted[0]?.offer.conversationId, 'default');
  assert.not.ok('replyTo' in (admitted[0] ?? {}));
});

test('reasons to refuse come in their promised order, and none of them reaches the router', async () => {
  const disabled = await open({ integration: { enabled: false, maxPayloadBytes: 1 } });
  assert.is(
    codeOf(await disabled.ingest(signed('{}', { webhookSignature: '' }))),
    'webhook_disabled',
  );
  const small = await open({ integration: { maxPayloadBytes: 1 } });
  assert.is(
    codeOf(await small.ingest(signed('{}', { webhookSignature: '' }))),
    'payload_too_large',
  );
  const { ingest, admitted } = await open();
  assert.is(codeOf(await ingest(signed('no json', { webhookSignature: '' }))), 'signature_missing');
  assert.is(codeOf(await ingest(signed('no json', { secret: NEXT }))), 'signature_invalid');
  const stale = signed('no json', { webhookTimestamp: String(NOW_MS / 1_000 - 301) });
  assert.is(codeOf(await ingest(stale)), 'timestamp_stale');
  assert.is(codeOf(await ingest(signed('no json'))), 'malformed');
  assert.equal([admitted.length, small.admitted.length, disabled.admitted.length], [0, 0, 0]);
});

test('a webhook-id that is long or holds a space is malformed, once its signature is right', async () => {
  const { ingest } = await open();
  for (const webhookId of ['x'.repeat(257), 'a b', 'ž']) {
    assert.is(codeOf(await ingest(signed('{}', { webhookId }))), 'malformed', webhookId);
  }
  assert.is(codeOf(await ingest(signed('{}', { webhookId: 'x'.repeat(256) }))), 'accepted');
});

test('each word of the router has its answer', async () => {
  const words: [AdmitReply, string][] = [
    [{ type: 'accepted', envelopeId: 'E', runId: 'R' }, 'accepted'],
    [{ type: 'duplicate', envelopeId: 'E' }, 'duplicate'],
    [{ type: 'conflict' }, 'idempotency_conflict'],
    [{ type: 'rejected', envelopeId: 'E', reason: 'channel_disabled' }, 'message_rejected'],
    [{ type: 'refused', code: 'conversation_busy', retryAfterMs: 700 }, 'conversation_busy'],
    [{ type: 'refused', code: 'busy', retryAfterMs: 700 }, 'busy'],
    [{ type: 'refused', code: 'storage_low', retryAfterMs: 700 }, 'storage_low'],
    [{ type: 'refused', code: 'stopping', retryAfterMs: 700 }, 'stopping'],
  ];
  for (const [word, expected] of words) {
    const { ingest } = await open({ admit: () => word });
    const reply = await ingest(signed('{}'));
    assert.is(codeOf(reply), expected);
    if (word.type === 'refused') {
      assert.is(reply.type === 'refused' && reply.error.retryAfterMs, 700);
    }
  }
});

test('a router that does not answer means nothing is acknowledged: unavailable, come back', async () => {
  const { ingest, logs } = await open({
    admit: () => {
      throw new AskError('actor_crashed', 't/router', 'admit');
    },
  });
  const reply = await ingest(signed('{}'));
  assert.is(codeOf(reply), 'unavailable');
  assert.ok(reply.type === 'refused' && (reply.error.retryAfterMs ?? 0) > 0);
  assert.ok(logs.some((line) => line.includes('actor_crashed')));
});

test('a body over 64 KiB is hashed by the job pool, a smaller one in place', async () => {
  const { ingest, admitted, jobs } = await open();
  const large = JSON.stringify({ text: 'x'.repeat(70_000) });
  assert.is(codeOf(await ingest(signed(large))), 'accepted');
  assert.equal(jobs, [large.length]);
  assert.is(admitted[0]?.offer.body.length, 70_000);
  await ingest(signed('{}', { webhookId: 'msg_2' }));
  assert.is(jobs.length, 1);
});

test('a large body with a wrong signature costs no job', async () => {
  const { ingest, jobs } = await open();
  const large = JSON.stringify({ text: 'x'.repeat(70_000) });
  assert.is(codeOf(await ingest(signed(large, { secret: NEXT }))), 'signature_invalid');
  assert.equal(jobs, []);
});

test('a full job pool is busy, a broken one unavailable', async () => {
  const large = signed(JSON.stringify({ text: 'x'.repeat(70_000) }));
  const full = await open({ run: () => ({ ok: false, code: 'jobs_full', message: '' }) });
  assert.is(codeOf(await full.ingest(large)), 'busy');
  const broken = await open({ run: () => ({ ok: false, code: 'job_timeout', message: '' }) });
  assert.is(codeOf(await broken.ingest(large)), 'unavailable');
});

test('a missing secret is unavailable until the vault has it', async () => {
  const world = await open({ secrets: {} });
  assert.is(codeOf(await world.ingest(signed('{}'))), 'unavailable');
  assert.is((world.kit.receive('status', null) as { secretPresent: boolean }).secretPresent, false);
  assert.is(
    codeOf(await world.ingest(signed('{}', { webhookSignature: '' }))),
    'signature_missing',
  );
  world.secrets['env:A'] = SECRET;
  await world.kit.advance(4_000);
  await world.kit.settle();
  const late = signed('{}', { webhookId: 'msg_9' });
  assert.is(codeOf(await world.ingest(late)), 'accepted');
});

test('a rotated secret is taken up within a minute, and the old one no longer', async () => {
  const world = await open();
  world.secrets['env:A'] = NEXT;
  await world.kit.advance(60_000);
  await world.kit.settle();
  assert.is(codeOf(await world.ingest(signed('{}', { secret: NEXT }))), 'accepted');
  assert.is(codeOf(await world.ingest(signed('{}'))), 'signature_invalid');
});

test('a vault that does not answer, or cannot read just now, takes no secret away', async () => {
  for (const trouble of ['vault-is-down', 'unreadable']) {
    const world = await open();
    world.secrets['env:A'] = trouble;
    await world.kit.advance(60_000);
    await world.kit.settle();
    assert.is(codeOf(await world.ingest(signed('{}'))), 'accepted', trouble);
  }
});

test('a secret that was taken away is good no longer', async () => {
  const world = await open();
  delete world.secrets['env:A'];
  await world.kit.advance(60_000);
  await world.kit.settle();
  assert.is(codeOf(await world.ingest(signed('{}'))), 'unavailable');
});

test('two secrets are both good while one is being replaced, also when one reference is empty', async () => {
  const integration = { secretRefs: ['env:A', 'env:B'] };
  const both = await open({ integration, secrets: { 'env:A': SECRET, 'env:B': NEXT } });
  assert.is(codeOf(await both.ingest(signed('{}'))), 'accepted');
  assert.is(codeOf(await both.ingest(signed('{}', { secret: NEXT }))), 'accepted');
  const one = await open({ integration, secrets: { 'env:B': NEXT } });
  assert.is(codeOf(await one.ingest(signed('{}', { secret: NEXT }))), 'accepted');
});

test('what stands at a reference and is no whsec_ secret is told without being shown', async () => {
  const world = await open({ secrets: { 'env:A': 'hunter2' } });
  const reply = world.kit.receive('sign', { body: '{}' }) as {
    ok: boolean;
    error: { code: string };
  };
  assert.is(reply.error.code, 'secret_unavailable');
  assert.not.ok(JSON.stringify([reply, world.logs]).includes('hunter2'));
});

test('what it signs it accepts, and so does the reference library’s clock-free check', async () => {
  const { kit, ingest } = await open();
  const body = '{"text":"from inside"}';
  const reply = kit.receive('sign', { body }) as IngestRequest & { ok: boolean };
  assert.is(reply.ok, true);
  assert.match(reply.webhookId, /^msg_[0-9A-Z]{26}$/);
  const expected = new Webhook(SECRET).sign(reply.webhookId, new Date(NOW_MS), body);
  assert.is(reply.webhookSignature, expected);
  assert.is(codeOf(await ingest({ ...reply, body: Buffer.from(body), trace: '' })), 'accepted');
});

test('events in flight are bounded; the refusal says when to come back', async () => {
  const { kit } = await open({ admit: () => new Promise(() => undefined) });
  for (let n = 0; n < 2_048; n += 1)
    void kit.receive('ingest', signed('{}', { webhookId: `m${n}` }));
  const reply = kit.receive('ingest', signed('{}', { webhookId: 'late' })) as IngestReply;
  assert.is(codeOf(reply), 'busy');
  assert.ok(reply.type === 'refused' && (reply.error.retryAfterMs ?? 0) > 0);
});

test('every answer is counted by its kind', async () => {
  let word: AdmitReply = { type: 'accepted', envelopeId: 'E', runId: 'R' };
  const { kit, ingest } = await open({ admit: () => word });
  await ingest(signed('{}'));
  word = { type: 'duplicate', envelopeId: 'E' };
  await ingest(signed('{}'));
  await ingest(signed('{}', { secret: NEXT }));
  await ingest(signed('nope'));
  assert.equal(kit.receive('status', null), {
    secretPresent: true,
    accepted: 1,
    duplicates: 1,
    refused: { signature_invalid: 1, malformed: 1 },
  });
});

test.run();
