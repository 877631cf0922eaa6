/** The channels by hand: one child an account, its operations, what is shown of one that does not answer. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ChannelsArgs, channelsActor } from '../../../actors/channels/actor.ts';
import type { ConnectorStatus } from '../../../actors/channels/protocol.ts';
import { type OperationName, operations } from '../../../proto/control/catalogue.ts';
import type { Metric, OperationReply } from '../../../proto/control/owner.ts';
import { AskError } from '../../../runtime/errors.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';
import { declared } from '../../support/declared.ts';

const account = (connectorId: string) => ({
  connectorId,
  kind: 'echo',
  tokenRef: '',
  onUnknown: 'retry' as const,
  maxAgeMs: 1,
  parkedMaxAgeMs: 1,
  options: {},
});

const ARGS: ChannelsArgs = {
  accounts: [account('echo:a'), account('echo:b')],
  vault: { address: 'vault' },
  router: { address: 'router' },
  outbox: { address: 'outbox' },
  channels: { address: 'channels' },
};

const STATUS: ConnectorStatus = {
  connectorId: 'echo:a',
  kind: 'echo',
  availability: 'internal_test_only',
  readiness: 'ready',
  liveness: 'running',
  reason: '',
  restarts: 0,
  lastInboundAtMs: 1_799_999_990_000,
  lastOutboundAtMs: 0,
  inFlight: 0,
  ignored: { bot: 2 },
};

const QUEUE = {
  pending: 1,
  sending: 0,
  waiting: 0,
  unknown: 0,
  held: 0,
  deadLetters: 2,
  parked: false,
  parkReason: '',
  oldestPendingAtMs: 5,
  nextAttemptAtMs: 6,
  lastDeliveredAtMs: 7,
};

const DELIVERY = {
  deliveryId: 'R:0000',
  connectorId: 'echo:a',
  conversationId: 'c',
  status: 'delivered',
  attempts: 1,
  chunk: 1,
  chunks: 1,
  reason: '',
  nativeMessageIds: ['n'],
  createdAtMs: 1,
  updatedAtMs: 2,
  maybeDuplicate: false,
};

/** Account b never answers. */
async function open(inject: unknown = { type: 'accepted', envelopeId: 'E' }) {
  const kit = await createBehaviorKit(channelsActor, ARGS, undefined, {
    address: 'channels',
    answer(to, kind) {
      if (to === 'channels/echo:b#1') throw new AskError('ask_timeout', to, kind);
      if (kind === 'status') return STATUS;
      if (kind === 'accounts') {
        const left = { 'echo:a': 1, 'gone:dead': 0, 'gone:x': 1 };
        return {
          accounts: Object.entries(left).map(([connectorId, active]) => ({ connectorId, active })),
        };
      }
      if (kind === 'queue') return QUEUE;
      if (kind === 'recent') return { deliveries: [DELIVERY], deadLetters: [] };
      if (kind === 'inject') return inject;
      if (kind === 'stopReceiving') return { stopped: true };
      throw new Error(kind);
    },
  });
  const operate = async (operation: OperationName, input: unknown) => {
    const reply = kit.receive('operate', { operation, input, principal: 'test' });
    return declared(operation, (await reply) as OperationReply);
  };
  return { kit, operate };
}

const channels = suite('channels');

channels('each account is one permanent child, placed by its id', async () => {
  const { kit } = await open();
  const specs = kit.effects.flatMap((e) => (e.type === 'spawn' ? [e.spec] : []));
  assert.equal(
    specs.map(({ id, restart, placement }) => ({ id, restart, placement })),
    [
      { id: 'echo:a', restart: 'permanent', placement: { hash: 'echo:a' } },
      { id: 'echo:b', restart: 'permanent', placement: { hash: 'echo:b' } },
    ],
  );
});

channels(
  'list shows every account; one that does not answer is degraded and says why',
  async () => {
    const { operate } = await open();
    const reply = await operate('channels.list', {});
    assert.ok(reply.ok);
    const { connectors } = operations['channels.list'].output.parse(reply.output);
    assert.equal(
      connectors.map((c) => [c.connector_id, c.readiness, c.liveness, c.reason, c.queue.pending]),
      [
        ['echo:a', 'ready', 'running', '', 1],
        ['echo:b', 'ready', 'degraded', 'ask_timeout', 1],
        ['gone:dead', 'ready', 'stopped', 'not_configured', 1],
        ['gone:x', 'misconfigured', 'stopped', 'not_configured', 1],
      ],
    );
  },
);

channels(
  'get shows one account with its deliveries, and not_found where there is none',
  async () => {
    const { operate } = await open();
    const reply = await operate('channels.get', { connector_id: 'echo:a', limit: 5 });
    assert.ok(reply.ok);
    const shown = operations['channels.get'].output.parse(reply.output);
    assert.is(shown.deliveries[0]?.delivery_id, 'R:0000');
    assert.is(shown.connector.last_outbound_at_ms, 7);
    const orphan = await operate('channels.get', { connector_id: 'gone:x', limit: 5 });
    assert.ok(orphan.ok);
    const { connector, deliveries } = operations['channels.get'].output.parse(orphan.output);
    assert.equal([connector.kind, connector.readiness], ['gone', 'misconfigured']);
    assert.is(deliveries.length, 1);
    const missing = await operate('channels.get', { connector_id: 'echo:z' });
    assert.is(missing.ok ? '' : missing.error.code, 'not_found');
  },
);

channels(
  'it counts the accounts that are not up, and those whose deliveries wait in vain',
  async () => {
    const { kit } = await open();
    kit.take();
    assert.equal(await kit.receive('trouble', null), { accounts: 3 });
    kit.receive('observed', STATUS);
    assert.equal(await kit.receive('trouble', null), { accounts: 2 });
    const asked = kit.take().flatMap((e) => (e.type === 'ask' ? [e.kind] : []));
    assert.equal(asked, ['accounts', 'accounts'], 'no connector is asked');
  },
);

channels('test says whether the message was admitted, or why not', async () => {
  const input = { connector_id: 'echo:a', text: 'x' };
  const accepted = await (await open()).operate('channels.test', input);
  assert.equal(accepted, { ok: true, output: { accepted: true, envelope_id: 'E', reason: '' } });
  const rejected = await (
    await open({ type: 'rejected', envelopeId: 'E', reason: 'no_rule' })
  ).operate('channels.test', input);
  assert.equal(rejected, {
    ok: true,
    output: { accepted: false, envelope_id: 'E', reason: 'no_rule' },
  });
  for (const code of ['busy', 'storage_low', 'conversation_busy', 'stopping'] as const) {
    const { operate } = await open({ type: 'refused', code, retryAfterMs: 3 });
    const refused = await operate('channels.test', input);
    assert.is(refused.ok ? '' : refused.error.code, code);
    assert.is(!refused.ok && refused.mayHaveHappened, undefined);
  }
});

channels('test says that it may have happened where the account did not answer', async () => {
  const { operate } = await open();
  const late = await operate('channels.test', { connector_id: 'echo:b', text: 'x' });
  assert.is(late.ok ? '' : late.error.code, 'deadline_exceeded');
  assert.is(!late.ok && late.mayHaveHappened, true);
});

channels('a connector’s end is seen before its successor speaks', async () => {
  const { kit } = await open();
  kit.receive('observed', { ...STATUS, connectorId: 'echo:b' });
  await channelsActor.childEnded?.(
    kit.state,
    {
      id: 'echo:b',
      ref: { address: 'x' },
      incarnation: 1,
      cause: { kind: 'crashed', code: 'boom' },
    },
    kit.self,
  );
  const last = kit.state.observed.get('echo:b');
  assert.is(last?.liveness, 'degraded');
  assert.is(last?.reason, 'boom');
  assert.is(last?.restarts, 1);
});

channels('stopReceiving counts those that stopped', async () => {
  const { kit } = await open();
  assert.equal(await kit.receive('stopReceiving', null), { stopped: 1 });
});

channels(
  'metrics tell which accounts are up, one without configuration too, and how old their last event is',
  async () => {
    const { kit } = await open();
    const metrics = (await kit.receive('metrics', null)) as readonly Metric[];
    const samples = (name: string) => metrics.find((m) => m.name === name)?.samples;
    assert.equal(samples('palyra_connector_up'), [
      { labels: { connector: 'echo:a' }, value: 1 },
      { labels: { connector: 'echo:b' }, value: 0 },
      { labels: { connector: 'gone:x' }, value: 0 },
    ]);
    assert.equal(samples('palyra_connector_last_event_age_seconds'), [
      { labels: { connector: 'echo:a' }, value: 10 },
    ]);
  },
);

channels.run();
