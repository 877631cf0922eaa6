/** All integrations: declared and created ones, the list that the listener hears, and the operations. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { webhooksActor } from '../../../actors/webhooks/actor.ts';
import type { WebhookEntry } from '../../../actors/webhooks/protocol.ts';
import type { WebhooksDeps } from '../../../actors/webhooks/roster.ts';
import type { DeclaredWebhook } from '../../../actors/webhooks/rows.ts';
import { operations } from '../../../proto/control/catalogue.ts';
import type { OperationReply } from '../../../proto/control/owner.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ChangeSet, ScanQuery, Store } from '../../../runtime/store/store.ts';
import { createBehaviorKit, rejectionCode } from '../../../runtime/testing/behavior-kit.ts';
import { declared } from '../../support/declared.ts';

const test = suite('webhooks');
const SECRET = `whsec_${Buffer.alloc(24, 'a').toString('base64')}`;
const ORDERS: DeclaredWebhook = {
  integrationId: 'orders',
  provider: 'generic',
  enabled: true,
  maxPayloadBytes: 262_144,
  secretRefs: ['env:ORDERS'],
};

interface World {
  readonly store?: Store;
  readonly integrations?: readonly DeclaredWebhook[];
  readonly connectors?: readonly string[];
  readonly vault?: Map<string, string>;
  /** Why the vault seals nothing. */
  readonly seals?: string;
  /** Replies of the ledger's commit instead of the store's. */
  commit?(changes: ChangeSet): unknown;
}

async function open(world: World = {}) {
  const store = world.store ?? createMemoryStore();
  const vault = world.vault ?? new Map([['env:ORDERS', SECRET]]);
  const asked: string[] = [];
  const answer = async (_to: string, kind: string, payload: unknown): Promise<unknown> => {
    asked.push(kind);
    switch (kind) {
      case 'scan':
        return store.scan(payload as ScanQuery);
      case 'keys':
        return store.keys(payload as ScanQuery);
      case 'commit': {
        const { changes } = payload as { changes: ChangeSet };
        return world.commit?.(changes) ?? (await store.commit([changes], 1))[0];
      }
      case 'generate':
        return { secret: Buffer.alloc(32, asked.length).toString('base64') };
      case 'put': {
        const { ref, secret, replace } = payload as {
          ref: string;
          secret: string;
          replace: boolean;
        };
        if (world.seals !== undefined) return { ok: false, reason: world.seals };
        if (vault.has(ref) && !replace) return { ok: false, reason: 'already_exists' };
        vault.set(ref, secret);
        return { ok: true, reason: '' };
      }
      case 'reveal': {
        const { ref } = payload as { ref: string };
        const secret = vault.get(ref);
        if (secret !== undefined) return { ok: true, secret };
        const code = ref.startsWith('env:') ? 'missing' : 'invalid_ref';
        return { ok: false, code, message: code };
      }
      case 'status':
        return { secretPresent: true };
      case 'sign':
        return { ok: true, webhookId: 'msg_1', webhookTimestamp: '1', webhookSignature: 'v1,x' };
      default:
        throw new Error(`unexpected ${kind}`);
    }
  };
  const args = {
    integrations: world.integrations ?? [ORDERS],
    connectors: world.connectors ?? ['telegram:main'],
    ledger: { address: 't/ledger' },
    vault: { address: 't/vault' },
    jobs: { address: 't/jobs' },
    listener: { address: 't/http' },
  };
  const logged: object[] = [];
  const deps: WebhooksDeps = {
    log: (level, message, fields) => logged.push({ level, message, ...fields }),
  };
  const kit = await createBehaviorKit(webhooksActor, args, deps, { answer });
  const call = async (operation: keyof typeof operations, input: object) => {
    const parsed = operations[operation].input.parse(input);
    const reply = kit.receive('operate', { operation, input: parsed, principal: 'test' });
    return declared(operation, (await reply) as OperationReply);
  };
  const announced = () =>
    kit
      .take()
      .filter((effect) => effect.type === 'tell' && effect.to === 't/http')
      .map((effect) => ('payload' in effect ? (effect.payload as readonly WebhookEntry[]) : []));
  return { kit, store, vault, call, announced, asked, logged };
}

const codeOf = (reply: OperationReply): string => (reply.ok ? 'ok' : reply.error.code);

test('every declared and every stored integration has its own actor on a pool thread', async () => {
  const first = await open();
  await first.call('webhooks.add', { integration_id: '.created' });
  const { kit } = await open({ store: first.store });
  const specs = kit.effects.flatMap((effect) => (effect.type === 'spawn' ? [effect.spec] : []));
  assert.equal(
    specs.map(({ id, placement, restart }) => ({ id, placement, restart })),
    [
      {
        id: 'hook:orders',
        placement: { hash: 'webhook:orders', group: 'webhooks' },
        restart: 'permanent',
      },
      {
        id: 'hook:.created',
        placement: { hash: 'webhook:.created', group: 'webhooks' },
        restart: 'permanent',
      },
    ],
  );
});

test('the same id in the file and in the store refuses the start', async () => {
  const first = await open({ integrations: [] });
  await first.call('webhooks.add', { integration_id: 'orders' });
  assert.is(await rejectionCode(open({ store: first.store })), 'duplicate_webhook');
});

test('the listener hears the list at the start, at each change, and again after it was gone', async () => {
  const { kit, announced, call } = await open();
  assert.equal(
    announced()
      .at(-1)
      ?.map((entry) => entry.integrationId),
    ['orders'],
  );
  await call('webhooks.add', { integration_id: 'new', max_payload_bytes: 1_000 });
  const entry = announced().at(-1)?.at(-1);
  assert.is(entry?.integrationId, 'new');
  assert.is(entry?.maxPayloadBytes, 1_000);
  const cause = { kind: 'crashed', code: 'x' } as const;
  await kit.down({ ref: { address: 't/http' }, incarnation: 1, cause });
  await kit.advance(300);
  assert.is(announced().length, 1);
  await kit.advance(5_000);
  assert.is(announced().length, 1);
});

test('add without a secret makes one, keeps it in the vault and shows it once', async () => {
  const { call, vault, store, kit } = await open();
  const reply = await call('webhooks.add', {
    integration_id: 'new',
    reply_to: { connector: 'telegram:main', conversation: '42' },
  });
  assert.ok(reply.ok);
  const { secret, webhook } = reply.output as { secret: string; webhook: { status: string } };
  assert.match(secret, /^whsec_/);
  assert.is(vault.get('vault:webhook/new'), secret);
  assert.is(webhook.status, 'ready');
  const row = store.read('webhooks', 'new')?.row;
  assert.equal(row?.secretRefs, ['vault:webhook/new']);
  const listed = await call('webhooks.list', {});
  const isToVault = (effect: object) => 'kind' in effect && effect.kind === 'put';
  const said = kit.effects.filter((effect) => !isToVault(effect));
  const seen = JSON.stringify([listed, row, store.journal(0, 10), said]);
  assert.not.ok(seen.includes(secret.slice(6)));
});

test('a webhook whose replies no connector would send is refused, and nothing is kept of it', async () => {
  const { call, store, asked } = await open();
  asked.splice(0);
  const reply = await call('webhooks.add', {
    integration_id: 'new',
    reply_to: { connector: 'telegram:gone', conversation: '42' },
  });
  assert.is(codeOf(reply), 'validation_error');
  const [issue] = reply.ok ? [] : (reply.error.issues ?? []);
  assert.is(issue?.field, 'reply_to.connector');
  assert.match(issue?.message ?? '', 'telegram:gone');
  assert.equal(asked, []);
  assert.is(store.scan({ table: 'webhooks', limit: 1 }).rows.length, 0);
});

test('a stored webhook whose connector has left the file says so in its status, and in the log at the start', async () => {
  const first = await open();
  const reply_to = { connector: 'telegram:main', conversation: '42' };
  await first.call('webhooks.add', { integration_id: 'off', reply_to, enabled: false });
  await first.call('webhooks.add', { integration_id: 'shop', reply_to });
  assert.equal(first.logged, []);
  const { call, logged } = await open({ ...first, connectors: ['echo:a'] });
  const listed = await call('webhooks.list', {});
  assert.ok(listed.ok);
  const { webhooks } = operations['webhooks.list'].output.parse(listed.output);
  assert.equal(
    webhooks.map(({ integration_id, status }) => `${integration_id} ${status}`),
    ['orders ready', 'off disabled', 'shop reply_unavailable'],
  );
  assert.equal(logged, [
    {
      level: 'warn',
      message: 'nobody sends the replies of a webhook: their connector is not enabled',
      integration: 'shop',
      connector: 'telegram:main',
    },
  ]);
});

test('what is added twice exists already; what the file declares is read-only', async () => {
  const { call } = await open();
  assert.is(codeOf(await call('webhooks.add', { integration_id: 'orders' })), 'read_only');
  assert.is(codeOf(await call('webhooks.add', { integration_id: 'new' })), 'ok');
  assert.is(codeOf(await call('webhooks.add', { integration_id: 'new' })), 'already_exists');
});

test('given references must lead to a usable secret, unless the webhook is disabled', async () => {
  const { call, vault, store } = await open();
  vault.set('env:SHORT', 'whsec_c2hvcnQ=');
  const add = (integration_id: string, ref: string, enabled = true) =>
    call('webhooks.add', { integration_id, secret_refs: [ref], enabled });
  assert.is(codeOf(await add('a', 'env:NONE')), 'secret_unavailable');
  assert.is(codeOf(await add('b', 'env:SHORT')), 'secret_unavailable');
  for (const enabled of [true, false]) {
    const reply = await add('c', SECRET, enabled);
    assert.is(codeOf(reply), 'validation_error');
    assert.is(reply.ok ? '' : reply.error.issues?.[0]?.field, 'secret_refs.0');
    assert.not.ok(JSON.stringify(reply).includes(SECRET.slice(6)));
  }
  assert.is(codeOf(await add('d', 'env:NONE', false)), 'ok');
  const good = await add('e', 'env:ORDERS');
  assert.is(good.ok && (good.output as { secret: string }).secret, '');
  assert.equal(
    store.scan({ table: 'webhooks', limit: 10 }).rows.map(({ key }) => key),
    ['d', 'e'],
  );
});

test('a refusal of the ledger is passed on, and no actor is started', async () => {
  const { call, kit } = await open({
    commit: () => ({ ok: false, code: 'storage_low', retryAfterMs: 5_000 }),
  });
  kit.take();
  const reply = await call('webhooks.add', { integration_id: 'new' });
  assert.is(codeOf(reply), 'storage_low');
  assert.not.ok(kit.effects.some((effect) => effect.type === 'spawn'));
});

test('a commit nobody heard of is taken in from the store afterwards', async () => {
  const store = createMemoryStore();
  const { call, kit } = await open({
    store,
    commit(changes) {
      void store.commit([changes], 1);
      throw Object.assign(new Error('gone'), { code: 'actor_crashed' });
    },
  });
  const reply = await call('webhooks.add', { integration_id: 'new' });
  assert.is(codeOf(reply), 'unavailable');
  assert.is(!reply.ok && reply.mayHaveHappened, true);
  await kit.advance(1_000);
  const entries = kit.receive('directory', null) as readonly WebhookEntry[];
  assert.equal(
    entries.map((entry) => entry.integrationId),
    ['orders', 'new'],
  );
});

test('list shows each integration with its state and counters', async () => {
  const disabled = { ...ORDERS, integrationId: 'off', enabled: false };
  const { call, kit } = await open({ integrations: [ORDERS, disabled] });
  const results = { accepted: 2, duplicate: 1, busy: 1 };
  kit.receive('tallies', [
    { integrationId: 'orders', results },
    { integrationId: 'gone', results },
  ]);
  const reply = await call('webhooks.list', {});
  assert.ok(reply.ok);
  const { webhooks } = reply.output as {
    webhooks: { status: string; accepted: number; duplicates: number; refused: object }[];
  };
  assert.equal(
    webhooks.map(({ status }) => status),
    ['ready', 'disabled'],
  );
  assert.is(webhooks[0]?.accepted, 2);
  assert.is(webhooks[0]?.duplicates, 1);
  assert.equal(webhooks[0]?.refused, { busy: 1 });
});

test('add says why the vault or the ledger did not take it, in codes of the catalogue', async () => {
  const added = { integration_id: 'new' };
  for (const [seals, code] of [
    ['busy', 'busy'],
    ['storage_low', 'storage_low'],
    ['vault_key_unusable', 'unavailable'],
    ['not_found', 'unavailable'],
  ] as const) {
    const { call } = await open({ seals });
    assert.is(codeOf(await call('webhooks.add', added)), code);
  }
  for (const code of ['busy', 'storage_low'] as const) {
    const { call } = await open({ commit: () => ({ ok: false, code, retryAfterMs: 5 }) });
    assert.is(codeOf(await call('webhooks.add', added)), code);
  }
});

test('sign asks the integration’s own actor; an unknown one is not found', async () => {
  const { call } = await open();
  assert.is(codeOf(await call('webhooks.sign', { integration_id: 'orders', body: '{}' })), 'ok');
  assert.is(
    codeOf(await call('webhooks.sign', { integration_id: 'none', body: '{}' })),
    'not_found',
  );
});

test('a secret that the file asks for is made once and never replaced', async () => {
  const demo = { ...ORDERS, secretRefs: ['vault:webhook/demo'], generateSecret: true };
  const vault = new Map<string, string>();
  await open({ integrations: [demo], vault });
  const made = vault.get('vault:webhook/demo');
  assert.match(made ?? '', /^whsec_/);
  await open({ integrations: [demo], vault });
  assert.is(vault.get('vault:webhook/demo'), made);
});

test('metrics carry the integration and the reason, nothing else', async () => {
  const { kit } = await open();
  kit.receive('tallies', [{ integrationId: 'orders', results: { accepted: 1, malformed: 2 } }]);
  const metrics = (await kit.receive('metrics', null)) as {
    name: string;
    samples: { labels: object; value: number }[];
  }[];
  const refused = metrics.find(({ name }) => name === 'palyra_webhook_refused_total');
  assert.equal(refused?.samples, [
    { labels: { integration: 'orders', reason: 'malformed' }, value: 2 },
  ]);
});

test.run();
