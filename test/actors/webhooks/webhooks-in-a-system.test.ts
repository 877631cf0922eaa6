/** Webhooks among real neighbours: ledger, vault and job pool, on one thread and over several. */
import { Webhook } from 'standardwebhooks';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ledgerActor } from '../../../actors/ledger/actor.ts';
import type { LedgerProtocol } from '../../../actors/ledger/protocol.ts';
import { vaultActor } from '../../../actors/vault/actor.ts';
import type { VaultProtocol } from '../../../actors/vault/protocol.ts';
import { webhooksActor } from '../../../actors/webhooks/actor.ts';
import type { WebhookEntry, WebhooksProtocol } from '../../../actors/webhooks/protocol.ts';
import { type ActorRef, child, refTo } from '../../../runtime/actor.ts';
import type { ChildSpec } from '../../../runtime/child-spec.ts';
import { codeOf } from '../../../runtime/errors.ts';
import { createNodeHost } from '../../../runtime/host/node-host.ts';
import { createSystem, type System, supervisor } from '../../../runtime/index.ts';
import { jobsActor } from '../../../runtime/jobs/actor.ts';
import type { JobsProtocol } from '../../../runtime/jobs/protocol.ts';
import type { WebhookAnswer } from '../../../transports/http/gateway-ports.ts';
import { ingested } from '../../support/hand-in.ts';
import { until, within } from '../../support/within.ts';
import {
  type StandInListener,
  type StandInRouter,
  standInListener,
  standInRouter,
} from './stand-ins.ts';

const test = suite('webhooks in a system');
const SECRET = `whsec_${Buffer.alloc(24, 'a').toString('base64')}`;
const SOON = { inMs: 5_000 };
const BACKOFF = { minMs: 1, maxMs: 20, factor: 2, jitter: 0, resetAfterMs: 1_000 };

const ledger = refTo<LedgerProtocol>('t', 'root/ledger');
const vault = refTo<VaultProtocol>('t', 'root/vault');
const jobs = refTo<JobsProtocol>('t', 'root/jobs');
const router = refTo<StandInRouter>('t', 'root/router');
const listener = refTo<StandInListener>('t', 'root/http');
const webhooks = refTo<WebhooksProtocol>('t', 'root/webhooks');

async function withGateway(mode: 'inline' | 'threads', work: (system: System) => Promise<void>) {
  const module = new URL('./stand-ins.js', import.meta.url).href;
  const system = await createSystem({
    name: 't',
    threads: mode === 'inline' ? 'inline' : { pool: 2, maxHeapMb: 64 },
    thread: { module, export: 'setup', args: { secret: SECRET } },
  });
  const integration = {
    integrationId: 'orders',
    provider: 'generic',
    enabled: true,
    maxPayloadBytes: 262_144,
    secretRefs: ['env:ORDERS'],
  };
  const children = [
    child(ledgerActor, { id: 'ledger', args: { retention: [] } }),
    child(vaultActor, { id: 'vault', args: { ledger } }),
    child(jobsActor, { id: 'jobs', args: { maxWaiting: 8, deadlineMs: 5_000 } }),
    child(standInRouter, { id: 'router', args: null }),
    child(webhooksActor, {
      id: 'webhooks',
      args: { integrations: [integration], connectors: [], ledger, vault, jobs, listener },
    }),
    child(standInListener, { id: 'http', args: null }),
  ] as readonly ChildSpec<unknown, unknown>[];
  const strategy = {
    strategy: 'one_for_one',
    intensity: 100,
    periodMs: 10_000,
    backoff: BACKOFF,
  } as const;
  try {
    const root = system.spawn(supervisor('root', { ...strategy, children }));
    await within('the tree has started', system.started(root));
    await work(system);
  } finally {
    await within('the system has stopped', system.stop({ deadlineMs: 4_000 }));
  }
}

async function entryOf(system: System, id: string): Promise<WebhookEntry> {
  const entries = await system.ask(webhooks, 'directory', null, SOON);
  const entry = entries.find(({ integrationId }) => integrationId === id);
  assert.ok(entry);
  return entry;
}

function post(
  system: System,
  webhook: WebhookEntry,
  sent: { id: string; body: string; secret?: string },
) {
  const now = new Date();
  const request = {
    integrationId: webhook.integrationId,
    webhookId: sent.id,
    webhookTimestamp: String(Math.floor(now.getTime() / 1_000)),
    webhookSignature: new Webhook(sent.secret ?? SECRET).sign(sent.id, now, sent.body),
    body: Buffer.from(sent.body),
    trace: 'trace',
  };
  const self = { ask: system.ask.bind(system), clock: createNodeHost() };
  return ingested(self as Parameters<typeof ingested>[0], { router, webhook }, request);
}

const typeOf = (reply: WebhookAnswer) => (reply.type === 'refused' ? reply.error.code : reply.type);

for (const mode of ['inline', 'threads'] as const) {
  test(`${mode}: an event is accepted, then a duplicate, then a conflict, and refused when tampered`, () =>
    withGateway(mode, async (system) => {
      const orders = await entryOf(system, 'orders');
      const send = (id: string, body: string) => post(system, orders, { id, body });
      assert.is(typeOf(await send('m1', '{"text":"hi"}')), 'accepted');
      assert.is(typeOf(await send('m1', '{"text":"hi"}')), 'duplicate');
      assert.is(typeOf(await send('m1', '{"text":"other"}')), 'idempotency_conflict');
      const forged = `whsec_${Buffer.alloc(24, 'z').toString('base64')}`;
      const wrong = await post(system, orders, { id: 'm2', body: '{}', secret: forged });
      assert.is(typeOf(wrong), 'signature_invalid');
      const seen = await system.ask(router, 'seen', null, SOON);
      assert.equal(
        seen.map(({ offer }) => offer.body),
        ['hi'],
      );
    }));

  test(`${mode}: a large body goes through the job pool, and its whole text arrives`, () =>
    withGateway(mode, async (system) => {
      const orders = await entryOf(system, 'orders');
      const text = 'ž'.repeat(50_000);
      const reply = await post(system, orders, { id: 'big', body: JSON.stringify({ text }) });
      assert.is(typeOf(reply), 'accepted');
      const [request] = await system.ask(router, 'seen', null, SOON);
      assert.is(request?.offer.body, text);
      assert.is((await system.ask(jobs, 'status', null, SOON)).done, 1);
    }));

  test(`${mode}: a webhook that is added takes events at once with the secret that was shown`, () =>
    withGateway(mode, async (system) => {
      const input = {
        integration_id: 'new',
        provider: 'generic',
        secret_refs: [],
        max_payload_bytes: 1_000,
        enabled: true,
      };
      const call = { operation: 'webhooks.add', input, principal: 'test' } as const;
      const added = await system.ask(webhooks, 'operate', call, SOON);
      assert.ok(added.ok, JSON.stringify(added));
      const { secret } = added.output as { secret: string };
      const heard = await system.ask(listener, 'heard', null, SOON);
      const entry = heard.find(({ integrationId }) => integrationId === 'new');
      assert.ok(entry);
      assert.is(typeOf(await post(system, entry, { id: 'm1', body: '{}', secret })), 'accepted');
      const stored = await system.ask(ledger, 'read', { table: 'webhooks', key: 'new' }, SOON);
      assert.is(stored.length, 1);
    }));

  test(`${mode}: a router that crashed leaves events unanswered, not accepted; then it goes on`, () =>
    withGateway(mode, async (system) => {
      const orders = await entryOf(system, 'orders');
      system.tell(router, 'crash', null);
      await until('the router is back', async () => {
        const outcome = await post(system, orders, { id: 'm1', body: '{}' }).then(typeOf, codeOf);
        const outcomes = ['accepted', 'actor_crashed', 'ask_timeout'];
        assert.ok(outcomes.includes(outcome), outcome);
        return outcome === 'accepted';
      });
    }));

  test(`${mode}: a listener that was restarted hears the list again`, () =>
    withGateway(mode, async (system) => {
      await until('the listener heard', async () => {
        return (await system.ask(listener, 'heard', null, SOON)).length === 1;
      });
      system.tell(listener, 'crash', null);
      await until('the new listener heard', async () => {
        return (await system.ask(listener, 'heard', null, SOON)).length === 1;
      });
    }));
}

test('the ledger answers many commits of many askers with few store commits', () =>
  withGateway('inline', async (system) => {
    const changes = (key: string) => ({
      expect: [],
      put: [{ table: 'inbox', key, row: { v: 1 } }],
      remove: [],
      facts: [],
    });
    const replies = await Promise.all(
      Array.from({ length: 500 }, (_, n) =>
        system.ask(ledger, 'commit', { changes: changes(`k${n}`), admits: true }, SOON),
      ),
    );
    assert.ok(replies.every((reply) => reply.ok));
    const health = await system.ask(ledger, 'health', null, SOON);
    assert.ok(health.commits < 50, `${health.commits} commits`);
    const bad = system.ask(ledger, 'commit', { changes: changes(''), admits: true }, SOON);
    const code = await bad.then(
      () => 'answered',
      (error: { code: string }) => error.code,
    );
    assert.is(code, 'refused');
    const after = await system.ask(ledger as ActorRef<LedgerProtocol>, 'health', null, SOON);
    assert.is(after.pending, 0);
  }));

test.run();
