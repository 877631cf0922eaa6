/** One integration's actor: what is refused before the router hears of it, and what the router gets to hear. */
import { createHash } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { digestBody } from '../../../actors/webhooks/digest-body.ts';
import type { CheckReply, CheckRequest } from '../../../actors/webhooks/protocol.ts';
import type { Integration } from '../../../actors/webhooks/rows.ts';
import { webhookActor } from '../../../actors/webhooks/webhook-actor.ts';
import { AskError } from '../../../runtime/errors.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';

const test = suite('webhook actor');
const NOW_MS = 1_800_000_000_000;
const SECRET = `whsec_${Buffer.alloc(24, 'a').toString('base64')}`;
const NEXT = `whsec_${Buffer.alloc(24, 'b').toString('base64')}`;

interface World {
  readonly integration?: Partial<Integration>;
  readonly secrets?: Record<string, string>;
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
  const genuine: Extract<CheckReply, { type: 'genuine' }>[] = [];
  const jobs: number[] = [];
  const logs: string[] = [];
  const args = {
    integration,
    vault: { address: 't/vault' },
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
    throw new Error(`unexpected ${kind}`);
  };
  const kit = await createBehaviorKit(webhookActor, args, deps, { answer, wallMs: NOW_MS });
  const check = async (request: CheckRequest): Promise<CheckReply> => {
    const later = kit.receive('check', request) as CheckReply | Promise<CheckReply>;
    await kit.settle();
    const reply = await later;
    if (reply.type === 'genuine') genuine.push(reply);
    return reply;
  };
  return { kit, check, genuine, jobs, logs, secrets };
}

function signed(
  body: string,
  options: Partial<CheckRequest> & { secret?: string } = {},
): CheckRequest {
  const { secret = SECRET, webhookId = 'msg_1', ...rest } = options;
  const signature = new Webhook(secret).sign(webhookId, new Date(NOW_MS), body);
  return {
    webhookId,
    webhookTimestamp: String(NOW_MS / 1_000),
    webhookSignature: signature,
    body: Buffer.from(body),
    ...rest,
  };
}

const codeOf = (reply: CheckReply): string =>
  reply.type === 'refused' ? reply.error.code : reply.type;

test('of a genuine event it says the message and the digest of the raw body', async () => {
  const { check, genuine } = await open();
  const body = '{ "text": "hi" }';
  assert.is(codeOf(await check(signed(body))), 'genuine');
  const bodySha256 = createHash('sha256').update(body).digest('hex');
  assert.equal(genuine, [{ type: 'genuine', text: 'hi', bodySha256 }]);
});

test('reasons to refuse come in their promised order, and none of them reaches the router', async () => {
  const disabled = await open({ integration: { enabled: false, maxPayloadBytes: 1 } });
  assert.is(
    codeOf(await disabled.check(signed('{}', { webhookSignature: '' }))),
    'webhook_disabled',
  );
  const small = await open({ integration: { maxPayloadBytes: 1 } });
  assert.is(codeOf(await small.check(signed('{}', { webhookSignature: '' }))), 'payload_too_large');
  const { check, genuine } = await open();
  assert.is(codeOf(await check(signed('no json', { webhookSignature: '' }))), 'signature_missing');
  assert.is(codeOf(await check(signed('no json', { secret: NEXT }))), 'signature_invalid');
  const stale = signed('no json', { webhookTimestamp: String(NOW_MS / 1_000 - 301) });
  assert.is(codeOf(await check(stale)), 'timestamp_stale');
  assert.is(codeOf(await check(signed('no json'))), 'malformed');
  assert.equal([genuine.length, small.genuine.length, disabled.genuine.length], [0, 0, 0]);
});

test('a webhook-id that is long or holds a space is malformed, once its signature is right', async () => {
  const { check } = await open();
  for (const webhookId of ['x'.repeat(257), 'a b', 'ž']) {
    assert.is(codeOf(await check(signed('{}', { webhookId }))), 'malformed', webhookId);
  }
  assert.is(codeOf(await check(signed('{}', { webhookId: 'x'.repeat(256) }))), 'genuine');
});

test('a body over 64 KiB is hashed by the job pool, a smaller one in place', async () => {
  const { check, genuine, jobs } = await open();
  const large = JSON.stringify({ text: 'x'.repeat(70_000) });
  assert.is(codeOf(await check(signed(large))), 'genuine');
  assert.equal(jobs, [large.length]);
  assert.is(genuine[0]?.text.length, 70_000);
  await check(signed('{}', { webhookId: 'msg_2' }));
  assert.is(jobs.length, 1);
});

test('a large body with a wrong signature costs no job', async () => {
  const { check, jobs } = await open();
  const large = JSON.stringify({ text: 'x'.repeat(70_000) });
  assert.is(codeOf(await check(signed(large, { secret: NEXT }))), 'signature_invalid');
  assert.equal(jobs, []);
});

test('a full job pool is busy, a broken one unavailable', async () => {
  const large = signed(JSON.stringify({ text: 'x'.repeat(70_000) }));
  const full = await open({ run: () => ({ ok: false, code: 'jobs_full', message: '' }) });
  assert.is(codeOf(await full.check(large)), 'busy');
  const broken = await open({ run: () => ({ ok: false, code: 'job_timeout', message: '' }) });
  assert.is(codeOf(await broken.check(large)), 'unavailable');
});

test('a missing secret is unavailable until the vault has it', async () => {
  const world = await open({ secrets: {} });
  assert.is(codeOf(await world.check(signed('{}'))), 'unavailable');
  assert.is((world.kit.receive('status', null) as { secretPresent: boolean }).secretPresent, false);
  assert.is(codeOf(await world.check(signed('{}', { webhookSignature: '' }))), 'signature_missing');
  world.secrets['env:A'] = SECRET;
  await world.kit.advance(4_000);
  await world.kit.settle();
  const late = signed('{}', { webhookId: 'msg_9' });
  assert.is(codeOf(await world.check(late)), 'genuine');
});

test('a rotated secret is taken up within a minute, and the old one no longer', async () => {
  const world = await open();
  world.secrets['env:A'] = NEXT;
  await world.kit.advance(60_000);
  await world.kit.settle();
  assert.is(codeOf(await world.check(signed('{}', { secret: NEXT }))), 'genuine');
  assert.is(codeOf(await world.check(signed('{}'))), 'signature_invalid');
});

test('a vault that does not answer, or cannot read just now, takes no secret away', async () => {
  for (const trouble of ['vault-is-down', 'unreadable']) {
    const world = await open();
    world.secrets['env:A'] = trouble;
    await world.kit.advance(60_000);
    await world.kit.settle();
    assert.is(codeOf(await world.check(signed('{}'))), 'genuine', trouble);
  }
});

test('a secret that was taken away is good no longer', async () => {
  const world = await open();
  delete world.secrets['env:A'];
  await world.kit.advance(60_000);
  await world.kit.settle();
  assert.is(codeOf(await world.check(signed('{}'))), 'unavailable');
});

test('two secrets are both good while one is being replaced, also when one reference is empty', async () => {
  const integration = { secretRefs: ['env:A', 'env:B'] };
  const both = await open({ integration, secrets: { 'env:A': SECRET, 'env:B': NEXT } });
  assert.is(codeOf(await both.check(signed('{}'))), 'genuine');
  assert.is(codeOf(await both.check(signed('{}', { secret: NEXT }))), 'genuine');
  const one = await open({ integration, secrets: { 'env:B': NEXT } });
  assert.is(codeOf(await one.check(signed('{}', { secret: NEXT }))), 'genuine');
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
  const { kit, check } = await open();
  const body = '{"text":"from inside"}';
  const reply = kit.receive('sign', { body }) as CheckRequest & { ok: boolean };
  assert.is(reply.ok, true);
  assert.match(reply.webhookId, /^msg_[0-9A-Z]{26}$/);
  const expected = new Webhook(SECRET).sign(reply.webhookId, new Date(NOW_MS), body);
  assert.is(reply.webhookSignature, expected);
  assert.is(codeOf(await check({ ...reply, body: Buffer.from(body) })), 'genuine');
});

test('large bodies in flight are bounded; the refusal says when to come back', async () => {
  const { kit } = await open({
    integration: { maxPayloadBytes: 1_048_576 },
    run: () => new Promise(() => undefined),
  });
  const body = JSON.stringify({ text: 'x'.repeat(1_000_000) });
  const send = () => kit.receive('check', signed(body)) as CheckReply | Promise<CheckReply>;
  for (let n = 0; n < 33; n += 1) assert.instance(send(), Promise);
  const reply = (await send()) as CheckReply;
  assert.is(codeOf(reply), 'busy');
  assert.ok(reply.type === 'refused' && (reply.error.retryAfterMs ?? 0) > 0);
});

test.run();
