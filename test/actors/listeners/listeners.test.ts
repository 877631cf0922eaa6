/** The HTTP listener by hand: what it knows, whom it asks, what it says when nobody answers. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readinessOf } from '../../../actors/listeners/readiness.ts';
import { AskError, StaleIncarnation } from '../../../runtime/errors.ts';
import { handIn } from '../../support/hand-in.ts';
import { ARGS, ENTRY, open, ordinary } from './open-listener.ts';

const REQUEST = {
  integrationId: 'orders',
  webhookId: 'w',
  webhookTimestamp: '1',
  webhookSignature: 'v1,x',
  body: new Uint8Array(1),
  trace: 't',
};

const live = new AbortController().signal;
const listener = suite('http listener');

listener('it opens when it knows its webhooks and its token, and says where', async () => {
  const { kit, ports, seen, bound } = await open();
  assert.equal(kit.receive('where', null), { url: 'http://127.0.0.1:4711' });
  assert.equal(bound(), { host: '127.0.0.1', port: 4711 });
  assert.equal(ports.webhook('orders'), { state: 'open', maxPayloadBytes: 9 });
  assert.equal(ports.webhook('off'), { state: 'disabled' });
  assert.equal(ports.webhook('nobody'), { state: 'unknown' });
  assert.equal(ports.authenticate('the-token'), {
    name: 'admin',
    scopes: ['admin:read', 'admin:write'],
  });
  assert.is(ports.authenticate('the-token '), 'nobody');
  assert.equal(seen.published, ['the-token']);
});

listener(
  'a restart takes the port that the first one got, also where it is not free at once',
  async () => {
    const { seen, kit } = await open(ordinary, {
      bound: { host: '127.0.0.1', port: 5000 },
      openFails: 2,
    });
    assert.equal(seen.opened, [5000, 5000, 5000]);
    assert.equal(kit.receive('where', null), { url: 'http://127.0.0.1:5000' });
  },
);

listener('a first start on a taken port fails at once with its code', async () => {
  const code = await open(ordinary, { openFails: 1 }).then(
    () => 'opened',
    (error: unknown) => (error as { code: string }).code,
  );
  assert.is(code, 'EADDRINUSE');
});

listener('while the webhooks do not answer no sender is told 404, but to try again', async () => {
  const { ports, kit } = await open((to, kind) => {
    if (kind === 'directory') throw new AskError('actor_dead', to, kind);
    return ordinary(to, kind);
  });
  assert.is(ports.webhook('orders').state, 'open');
  const answer = await handIn(ports, REQUEST);
  assert.ok(answer.type === 'refused' && answer.error.code === 'unavailable');
  assert.equal(ports.readiness(), { ready: true, failing: [], degraded: ['webhooks'] });
  kit.receive('webhooks', [ENTRY]);
  assert.is(ports.webhook('orders').state, 'open');
  assert.is(ports.webhook('nobody').state, 'unknown');
  assert.equal(await handIn(ports, REQUEST), { type: 'accepted', envelopeId: 'E' });
});

listener(
  'a webhook actor that is dead, full or late, and an ended listener, are errors of the wire',
  async () => {
    for (const [thrown, code] of [
      [new AskError('actor_dead', 'x', 'check'), 'unavailable'],
      [new AskError('ask_timeout', 'x', 'check'), 'unavailable'],
      [new AskError('mailbox_full', 'x', 'check'), 'busy'],
      [new StaleIncarnation('x', 1), 'unavailable'],
    ] as const) {
      const { ports } = await open((to, kind) => {
        if (kind === 'check' || kind === 'call') throw thrown;
        return ordinary(to, kind);
      });
      const answer = await handIn(ports, REQUEST);
      assert.is(answer.type === 'refused' ? answer.error.code : '', code);
      const call = {
        operation: 'x',
        input: {},
        principal: { name: 'a', scopes: [] },
        idempotencyKey: '',
        trace: '',
      };
      const reply = await ports.call(call, live);
      assert.is(reply.ok ? '' : reply.error.code, code);
      assert.equal(await ports.metrics(), []);
    }
  },
);

listener('what became of events is told to the webhooks together, some time later', async () => {
  const { ports, kit } = await open((to, kind) => {
    if (kind === 'check' && to === 'bad') throw new AskError('ask_timeout', to, kind);
    return ordinary(to, kind);
  });
  kit.receive('webhooks', [ENTRY, { ...ENTRY, integrationId: 'bad', ref: { address: 'bad' } }]);
  await handIn(ports, REQUEST);
  await handIn(ports, REQUEST);
  await handIn(ports, { ...REQUEST, integrationId: 'bad' });
  const told = () =>
    kit.effects.flatMap((effect) =>
      effect.type === 'tell' && effect.kind === 'tallies' ? [effect.payload] : [],
    );
  assert.equal(told(), []);
  await kit.advance(100);
  await kit.settle();
  assert.equal(told(), [
    [
      { integrationId: 'orders', results: { accepted: 2 } },
      { integrationId: 'bad', results: { unavailable: 1 } },
    ],
  ]);
});

listener(
  'bodies on their way in are bounded together, in fair shares; the refusal says when to come back',
  async () => {
    const { ports } = await open((to, kind) =>
      kind === 'check' && to === 'webhook:orders'
        ? new Promise(() => undefined)
        : ordinary(to, kind),
    );
    const request = { ...REQUEST, body: new Uint8Array(1_048_576) };
    for (let n = 0; n < 64; n += 1) void handIn(ports, request);
    const other = await handIn(ports, { ...request, integrationId: 'quiet' });
    assert.is(other.type, 'accepted', 'another integration has room');
    const answer = await handIn(ports, request);
    assert.ok(answer.type === 'refused' && answer.error.code === 'busy');
    assert.ok((answer.error.retryAfterMs ?? 0) > 0);
  },
);

listener(
  'it is unready when the ledger is silent, degraded when control is, unready when it stops',
  async () => {
    let silent = '';
    const { kit, ports, seen } = await open((to, kind) => {
      if (to === silent) throw new AskError('ask_timeout', to, kind);
      return ordinary(to, kind);
    });
    const passTime = async () => {
      for (let i = 0; i < 6; i += 1) {
        await kit.advance(1_000);
        await kit.settle();
      }
    };
    await passTime();
    assert.equal(ports.readiness(), { ready: true, failing: [], degraded: [] });
    silent = 'control';
    await passTime();
    assert.equal(ports.readiness(), { ready: true, failing: [], degraded: ['control'] });
    silent = 'ledger';
    await passTime();
    assert.equal(ports.readiness(), { ready: false, failing: ['ledger'], degraded: [] });
    silent = '';
    await passTime();
    assert.equal(kit.receive('turnUnready', null), { unready: true });
    assert.equal(ports.readiness(), { ready: false, failing: ['stopping'], degraded: [] });
    assert.equal(ports.webhook('orders'), { state: 'open', maxPayloadBytes: 9 });
    assert.is((await handIn(ports, REQUEST)).type, 'accepted');
    assert.equal(await kit.receive('stopListening', null), { stopped: true });
    assert.equal(ports.readiness(), { ready: false, failing: ['stopping'], degraded: [] });
    assert.equal(seen.log, ['stopListening']);
    assert.equal(ports.webhook('orders'), { state: 'stopping' });
  },
);

listener('a nearly full disk is shown and does not make it unready', async () => {
  const { kit, ports } = await open((to, kind) =>
    kind === 'health' ? { admitting: false, commitAgeMs: 0 } : ordinary(to, kind),
  );
  await kit.advance(1_000);
  await kit.settle();
  assert.equal(ports.readiness(), { ready: true, failing: [], degraded: ['storage_low'] });
});

listener('a disk that does not answer makes it unready until it answers', async () => {
  let commitAgeMs = 4_999;
  const { kit, ports } = await open((to, kind) =>
    kind === 'health' ? { admitting: true, commitAgeMs } : ordinary(to, kind),
  );
  const readinessAfterPing = async () => {
    await kit.advance(1_000);
    await kit.settle();
    return ports.readiness();
  };
  assert.is((await readinessAfterPing()).ready, true);
  commitAgeMs = 5_000;
  assert.equal(await readinessAfterPing(), {
    ready: false,
    failing: ['store_stalled'],
    degraded: [],
  });
  commitAgeMs = 0;
  assert.is((await readinessAfterPing()).ready, true);
});

listener(
  'connectors in trouble, and channels that are silent, are shown and do not make it unready',
  async () => {
    let accounts = 2;
    let isSilent = false;
    const { kit, ports } = await open((to, kind) => {
      if (kind === 'trouble' && isSilent) throw new AskError('ask_timeout', to, kind);
      return kind === 'trouble' ? { accounts } : ordinary(to, kind);
    });
    const passTime = async (seconds: number) => {
      for (let i = 0; i < seconds; i += 1) {
        await kit.advance(1_000);
        await kit.settle();
      }
    };
    await passTime(1);
    assert.equal(ports.readiness(), { ready: true, failing: [], degraded: ['connectors'] });
    accounts = 0;
    await passTime(1);
    assert.equal(ports.readiness().degraded, []);
    isSilent = true;
    await passTime(6);
    assert.equal(ports.readiness(), { ready: true, failing: [], degraded: ['channels'] });
  },
);

listener('a stopped listener has closed its server', async () => {
  const { stop, seen } = await open();
  await stop();
  assert.equal(seen.log, ['stopListening', 'close']);
});

listener('when the webhooks end, their list is asked for again', async () => {
  const { kit } = await open();
  kit.take();
  await kit.down({ ref: ARGS.webhooks, incarnation: 1, cause: { kind: 'crashed', code: 'x' } });
  await kit.advance(500);
  await kit.settle();
  const asked = kit.effects.filter((e) => e.type === 'ask' && e.kind === 'directory');
  assert.is(asked.length, 1);
});

listener('readiness names components, never ids', () => {
  const pulses = [{ name: 'ledger', isVital: true, lastAnswerAtMs: 0 }];
  const vitals = {
    isStopping: false,
    isUnready: false,
    isTokenKnown: false,
    isDirectoryKnown: true,
    isAdmitting: true,
    commitAgeMs: 0,
    hasConnectorTrouble: false,
    pulses,
  };
  assert.equal(readinessOf(vitals, 4_000), { ready: true, failing: [], degraded: ['admin_token'] });
  assert.equal(readinessOf(vitals, 4_001), {
    ready: false,
    failing: ['ledger'],
    degraded: ['admin_token'],
  });
});

listener.run();
