/** One connector actor by hand: coming up, its health, coming back, going. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { connectorActor } from '../../../actors/channels/connector-actor.ts';
import type { ConnectorStatus } from '../../../actors/channels/protocol.ts';
import type { ConnectorUp } from '../../../actors/outbox/protocol.ts';
import type { ConnectorPorts } from '../../../connectors/connector.ts';
import { ARGS, ATTEMPT, hang, OFFER, open, opened } from './connector-world.ts';

const actor = suite('connector lifecycle');

actor(
  'the pace that a connector asks for is told to the outbox; what is no time is none',
  async () => {
    for (const [minIntervalMs, told] of [
      [250, 250],
      [1e9, 60_000],
      [Number.NaN, 0],
      ['soon', 0],
      [-1, 0],
    ] as const) {
      const { kit, tells } = await open({ minIntervalMs: minIntervalMs as number });
      await kit.settle();
      assert.is((tells('outbox', 'connectorUp')[0] as ConnectorUp).minIntervalMs, told);
    }
  },
);

actor(
  'it opens with the resolved credential, beside its start, and then tells the outbox',
  async () => {
    const { kit, scripted, tells, status } = await open();
    assert.is(status().liveness, 'starting');
    assert.equal(tells('outbox', 'connectorUp'), []);
    await kit.settle();
    assert.equal(scripted.credentials, ['secret-token']);
    assert.equal(tells('outbox', 'connectorUp'), [
      {
        connectorId: 'scripted:main',
        ref: kit.self.ref,
        incarnation: 1,
        onUnknown: 'retry',
        maxAgeMs: 86_400_000,
        minIntervalMs: 0,
      },
    ]);
    assert.equal(tells('outbox', 'parked'), [
      { connectorId: 'scripted:main', parked: false, reason: '' },
    ]);
    assert.is(status().readiness, 'ready');
    assert.is(status().liveness, 'running');
  },
);

actor(
  'without its credential it is missing_credential, parked, and tries again later',
  async () => {
    let secret: unknown = { ok: false, code: 'missing', message: 'nothing there' };
    const { kit, tells, status, scripted } = await open(
      {},
      { answer: (to) => (to === 'vault' ? secret : undefined) },
    );
    await kit.settle();
    assert.is(status().readiness, 'missing_credential');
    assert.is(status().availability, 'internal_test_only');
    assert.equal(tells('outbox', 'parked'), [
      { connectorId: 'scripted:main', parked: true, reason: 'missing_credential' },
    ]);
    assert.equal(tells('outbox', 'connectorUp'), []);
    assert.equal(scripted.log, []);
    secret = { ok: true, secret: 'now' };
    await kit.advance(15_000);
    await kit.settle();
    assert.is(status().readiness, 'ready');
    assert.equal(tells('outbox', 'parked').at(-1), {
      connectorId: 'scripted:main',
      parked: false,
      reason: '',
    });
  },
);

actor('a refused credential parks the account; the network’s trouble does not', async () => {
  for (const [code, readiness, isParked] of [
    ['auth_failed', 'auth_failed', true],
    ['ECONNREFUSED', 'ready', false],
  ] as const) {
    const { kit, tells, status } = await open({
      open: async () => Promise.reject(Object.assign(new Error('secret-token'), { code })),
    });
    await kit.settle();
    assert.is(status().readiness, readiness);
    assert.is(status().reason, code);
    assert.not.ok(JSON.stringify(kit.effects).includes('secret-token'));
    assert.is((tells('outbox', 'parked').at(-1) as { parked: boolean }).parked, isParked);
  }
});

actor(
  'a platform that never answers is given up and tried again, the old connector closed first',
  async () => {
    let tries = 0;
    const { kit, scripted, status } = await open({
      open: (_ports, signal) => {
        tries += 1;
        return tries === 1 ? hang(signal) : Promise.resolve();
      },
    });
    await new Promise((resolve) => setImmediate(resolve));
    await kit.advance(60_000);
    await kit.settle();
    assert.is(status().reason, 'open_timeout');
    await kit.advance(1_000);
    await kit.settle();
    assert.equal(scripted.log, ['open', 'close', 'open']);
    assert.is(status().liveness, 'running');
  },
);

actor('an auth outcome parks the account and opens it anew later', async () => {
  const { kit, tells, status, scripted } = await opened({
    deliver: async () => ({ type: 'auth', reason: 'unauthorized' }),
  });
  kit.receive('deliver', ATTEMPT);
  await kit.settle();
  assert.is(status().readiness, 'auth_failed');
  assert.equal(tells('outbox', 'parked').at(-1), {
    connectorId: 'scripted:main',
    parked: true,
    reason: 'unauthorized',
  });
  kit.receive('deliver', { ...ATTEMPT, attempt: 2 });
  const last = tells('outbox', 'settled').at(-1) as { outcome: { type: string } };
  assert.is(last.outcome.type, 'transient');
  await kit.advance(15_000);
  await kit.settle();
  assert.equal(scripted.log, ['open', 'close', 'open']);
  assert.is(status().readiness, 'ready');
});

actor('an account that was up and cannot be opened again stays parked until it is', async () => {
  let tries = 0;
  const { kit, tells, status } = await opened({
    open: async () => {
      tries += 1;
      if (tries === 2) throw Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
    },
    deliver: async () => ({ type: 'auth', reason: 'unauthorized' }),
  });
  kit.receive('deliver', ATTEMPT);
  await kit.settle();
  await kit.advance(15_000);
  await kit.settle();
  assert.equal([status().readiness, status().reason], ['ready', 'ECONNREFUSED']);
  assert.is((tells('outbox', 'parked').at(-1) as { parked: boolean }).parked, true);
  await kit.advance(60_000);
  await kit.settle();
  assert.is((tells('outbox', 'parked').at(-1) as { parked: boolean }).parked, false);
});

actor('the health that the connector observes reaches outbox and channels', async () => {
  const { tells, ports, status } = await opened();
  ports.health({ readiness: 'ready', liveness: 'degraded', reason: 'conflict' });
  assert.equal(tells('outbox', 'parked'), []);
  assert.is((tells('channels', 'observed').at(-1) as ConnectorStatus).liveness, 'degraded');
  ports.health({ readiness: 'auth_failed', liveness: 'stopped', reason: 'unauthorized' });
  assert.is((tells('outbox', 'parked').at(-1) as { parked: boolean }).parked, true);
  ports.health({ readiness: 'ready', liveness: 'running', reason: '' });
  assert.is((tells('outbox', 'parked').at(-1) as { parked: boolean }).parked, false);
  assert.is(status().liveness, 'running');
});

actor(
  'while the platform limits the account its health says so, and is as before then',
  async () => {
    let retryAfterMs = 5_000;
    const { kit, tells, ports, status } = await opened({
      deliver: async () => ({
        type: 'rate_limited',
        retryAfterMs,
        scope: 'account',
        reason: '429',
      }),
    });
    ports.health({ readiness: 'ready', liveness: 'running', reason: '' });
    const send = async (attempt: number) => {
      kit.receive('deliver', { ...ATTEMPT, attempt });
      await kit.settle();
    };
    const seen = () => [status().readiness, status().liveness];
    await send(1);
    assert.equal(seen(), ['ready', 'degraded']);
    assert.match(status().reason, /rate_limited.*429/);
    assert.is((tells('channels', 'observed').at(-1) as ConnectorStatus).liveness, 'degraded');
    ports.health({ readiness: 'ready', liveness: 'running', reason: '' });
    assert.equal(seen(), ['ready', 'degraded'], 'receiving is not limited');
    await kit.advance(1_000);
    retryAfterMs = 1_000;
    await send(2);
    await kit.advance(3_999);
    assert.equal(seen(), ['ready', 'degraded'], 'the later of the two ends');
    await kit.advance(1);
    assert.equal([...seen(), status().reason], ['ready', 'running', '']);
    assert.is((tells('channels', 'observed').at(-1) as ConnectorStatus).liveness, 'running');
  },
);

actor('a limit of one conversation is no trouble of the account', async () => {
  const { kit, status } = await opened({
    deliver: async () => ({
      type: 'rate_limited',
      retryAfterMs: 5_000,
      scope: 'conversation',
      reason: '429',
    }),
  });
  kit.receive('deliver', ATTEMPT);
  await kit.settle();
  assert.equal([status().liveness, status().reason], ['running', '']);
});

actor('when the outbox ends, its successor is told again', async () => {
  const { kit, tells } = await opened();
  const cause = { kind: 'crashed', code: 'x' } as const;
  await kit.down({ ref: ARGS.outbox, incarnation: 1, cause });
  await kit.advance(1_000);
  assert.is(tells('outbox', 'connectorUp').length, 1);
  assert.is(kit.effects.filter((e) => e.type === 'watch').length, 1);
});

actor('a stopped actor has closed its connector', async () => {
  const { kit, scripted } = await opened();
  await connectorActor.stop?.(kit.state, kit.self);
  assert.equal(scripted.log, ['open', 'close']);
});

actor('what an earlier try still says or offers is not believed', async () => {
  const all: ConnectorPorts[] = [];
  const { kit, status } = await open(
    {
      open: (ports, signal) => {
        all.push(ports);
        return all.length === 1 ? hang(signal) : Promise.resolve();
      },
    },
    { answer: (to) => (to === 'router' ? { type: 'duplicate', envelopeId: 'E' } : undefined) },
  );
  await new Promise((resolve) => setImmediate(resolve));
  await kit.advance(60_000);
  await kit.settle();
  await kit.advance(1_000);
  await kit.settle();
  const [early, present] = all;
  early?.health({ readiness: 'auth_failed', liveness: 'stopped', reason: 'late' });
  assert.is(status().readiness, 'ready');
  const signal = new AbortController().signal;
  assert.is((await early?.accept(OFFER, signal))?.accepted, false);
  assert.is((await present?.accept(OFFER, signal))?.accepted, true);
});

actor.run();
