/** One connector actor by hand: coming up, sending once, settling until acknowledged, accepting. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { connectorActor } from '../../../actors/channels/connector-actor.ts';
import type { ConnectorArgs } from '../../../actors/channels/connector-state.ts';
import type { Attempt, ConnectorStatus } from '../../../actors/channels/protocol.ts';
import type { ConnectorPorts } from '../../../connectors/connector.ts';
import type { InboundOffer } from '../../../proto/channel-messages.ts';
import { StaleIncarnation } from '../../../runtime/errors.ts';
import {
  type BehaviorKitOptions,
  createBehaviorKit,
} from '../../../runtime/testing/behavior-kit.ts';
import { createScripted, type Script, type Scripted } from './scripted-connector.ts';

const ARGS: ConnectorArgs = {
  account: {
    connectorId: 'scripted:main',
    kind: 'scripted',
    tokenRef: 'env:TOKEN',
    onUnknown: 'retry',
    maxAgeMs: 86_400_000,
    options: {},
  },
  vault: { address: 'vault' },
  router: { address: 'router' },
  outbox: { address: 'outbox' },
  channels: { address: 'channels' },
};

const OFFER: InboundOffer = {
  connectorId: 'something:else',
  conversationId: '42',
  threadId: 't',
  senderId: 'u1',
  senderDisplay: '',
  senderVerified: true,
  body: 'hi',
  adapterMessageId: '7',
  receivedAtMs: 1,
  isDirectMessage: true,
  requestedBroadcast: false,
  attachments: [],
  nativeId: '42:7',
};

const ATTEMPT: Attempt = {
  deliveryId: 'D:0001',
  attempt: 1,
  chunk: 0,
  text: 'one|two',
  conversationId: '42',
  threadId: '',
  inReplyTo: '',
  resumed: false,
  trace: 'trace',
};

const KEY = { deliveryId: 'D:0001', attempt: 1, chunk: 0 };

async function open(script: Script = {}, options: BehaviorKitOptions = {}) {
  const scripted = createScripted(script);
  const deps = {
    connectorKind: async () => scripted.kind,
    sleep: async () => undefined,
    log: () => undefined,
  };
  const answer: BehaviorKitOptions['answer'] = (to, kind, payload) => {
    const scriptedAnswer = options.answer?.(to, kind, payload);
    if (scriptedAnswer !== undefined) return scriptedAnswer;
    if (to === 'vault') return { ok: true, secret: 'secret-token' };
    throw new Error(`no answer for ${kind}`);
  };
  const kit = await createBehaviorKit(connectorActor, ARGS, deps, { ...options, answer });
  const tells = (to: string, kind: string) =>
    kit.effects.flatMap((e) =>
      e.type === 'tell' && e.to === to && e.kind === kind ? [e.payload] : [],
    );
  return { kit, scripted, tells, status: () => kit.receive('status', null) as ConnectorStatus };
}

async function opened(script: Script = {}, options: BehaviorKitOptions = {}) {
  const all = await open(script, options);
  await all.kit.settle();
  all.kit.take();
  return { ...all, ports: portsOf(all.scripted) };
}

function portsOf(scripted: Scripted): ConnectorPorts {
  if (scripted.ports === undefined) throw new Error('not opened');
  return scripted.ports;
}

function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () =>
      reject(Object.assign(new Error('x'), { code: 'aborted' })),
    );
  });
}

const actor = suite('connector actor');

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

actor(
  'a piece is sent once and its settlement repeated each second until it is acknowledged',
  async () => {
    const { kit, scripted, tells } = await opened();
    kit.receive('deliver', ATTEMPT);
    kit.receive('deliver', ATTEMPT);
    await kit.settle();
    kit.receive('deliver', ATTEMPT);
    assert.is(scripted.sent.length, 1);
    assert.is(scripted.sent[0]?.text, 'one');
    const settlement = {
      ...KEY,
      chunks: 2,
      outcome: { type: 'delivered', nativeMessageId: 'n-1' },
    };
    assert.equal(tells('outbox', 'settled'), [settlement, settlement]);
    await kit.advance(2_000);
    assert.is(tells('outbox', 'settled').length, 4);
    kit.receive('settledAck', KEY);
    await kit.advance(10_000);
    assert.is(tells('outbox', 'settled').length, 4);
    kit.receive('deliver', ATTEMPT);
    assert.is(scripted.sent.length, 1);
    assert.equal(tells('outbox', 'settled').at(-1), settlement);
  },
);

actor('a resumed attempt that is not known here is answered unknown and not sent', async () => {
  const { kit, scripted, tells } = await opened();
  kit.receive('deliver', { ...ATTEMPT, resumed: true });
  assert.is(scripted.sent.length, 0);
  assert.equal(tells('outbox', 'settled'), [
    { ...KEY, chunks: 2, outcome: { type: 'unknown', reason: 'sender_restarted' } },
  ]);
});

actor(
  'a throw, a wrong answer and no answer in time are unknown, without the error’s text',
  async () => {
    for (const [deliver, reason] of [
      [
        () => Promise.reject(Object.assign(new Error('token!'), { code: 'ECONNRESET' })),
        'ECONNRESET',
      ],
      [() => Promise.resolve({ type: 'fine' } as never), 'bad_outcome'],
      [(_attempt: unknown, signal: AbortSignal) => hang(signal), 'no_answer_in_time'],
    ] as const) {
      const { kit, tells, status } = await opened({ deliver });
      kit.receive('deliver', ATTEMPT);
      assert.is(status().inFlight, 1);
      if (reason === 'no_answer_in_time') await kit.advance(30_000);
      await kit.settle();
      assert.equal(tells('outbox', 'settled')[0], {
        ...KEY,
        chunks: 2,
        outcome: { type: 'unknown', reason },
      });
      assert.is(status().inFlight, 0);
    }
  },
);

actor('what the platform answers after the deadline changes nothing', async () => {
  let answer: (outcome: never) => void = () => undefined;
  const { kit, tells } = await opened({
    deliver: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  });
  kit.receive('deliver', ATTEMPT);
  await new Promise((resolve) => setImmediate(resolve));
  await kit.advance(30_000);
  answer({ type: 'delivered', nativeMessageId: 'late' } as never);
  await kit.settle();
  const types = tells('outbox', 'settled').map(
    (s) => (s as { outcome: { type: string } }).outcome.type,
  );
  assert.equal([...new Set(types)], ['unknown']);
});

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

actor('when the outbox ends, its successor is told again', async () => {
  const { kit, tells } = await opened();
  const cause = { kind: 'crashed', code: 'x' } as const;
  await kit.down({ ref: ARGS.outbox, incarnation: 1, cause });
  await kit.advance(1_000);
  assert.is(tells('outbox', 'connectorUp').length, 1);
  assert.is(kit.effects.filter((e) => e.type === 'watch').length, 1);
});

actor(
  'an event is accepted under the account’s own name and answered after the router',
  async () => {
    const asked: unknown[] = [];
    const { ports, status } = await opened(
      {},
      {
        answer(to, _kind, payload) {
          if (to !== 'router') return undefined;
          asked.push(payload);
          return { type: 'accepted', envelopeId: 'E', runId: 'R' };
        },
      },
    );
    const answer = await ports.accept(OFFER, new AbortController().signal);
    assert.equal(answer, { accepted: true, envelopeId: 'E', duplicate: false });
    const request = asked[0] as { offer: InboundOffer; replyTo: unknown };
    assert.is(request.offer.connectorId, 'scripted:main');
    assert.equal(request.replyTo, {
      connectorId: 'scripted:main',
      conversationId: '42',
      threadId: 't',
    });
    assert.ok(status().lastInboundAtMs > 0);
  },
);

actor(
  'a durable rejection and a duplicate are confirmed; a refusal and a failed ask are not',
  async () => {
    let reply: () => unknown = () => undefined;
    const { ports } = await opened({}, { answer: (to) => (to === 'router' ? reply() : undefined) });
    const accept = () => ports.accept(OFFER, new AbortController().signal);
    reply = () => ({ type: 'rejected', envelopeId: 'E', reason: 'no_rule' });
    assert.equal(await accept(), { accepted: true, envelopeId: 'E', duplicate: false });
    reply = () => ({ type: 'duplicate', envelopeId: 'E' });
    assert.equal(await accept(), { accepted: true, envelopeId: 'E', duplicate: true });
    reply = () => ({ type: 'conflict' });
    assert.equal(await accept(), { accepted: true, envelopeId: '', duplicate: true });
    reply = () => ({ type: 'refused', code: 'busy', retryAfterMs: 9 });
    assert.equal(await accept(), { accepted: false, retryAfterMs: 9, reason: 'busy' });
    reply = () => {
      throw new StaleIncarnation('here', 1);
    };
    assert.equal(await accept(), { accepted: false, retryAfterMs: 1_000, reason: 'stopping' });
  },
);

actor('after stopReceiving nothing is accepted and sending still works', async () => {
  const { kit, ports, scripted, tells } = await opened();
  const stopped = kit.receive('stopReceiving', null);
  await kit.settle();
  assert.equal(await stopped, { stopped: true });
  const answer = await ports.accept(OFFER, new AbortController().signal);
  assert.equal(answer, { accepted: false, retryAfterMs: 1_000, reason: 'stopping' });
  kit.receive('deliver', ATTEMPT);
  await kit.settle();
  assert.is(scripted.sent.length, 1);
  assert.is(tells('outbox', 'settled').length, 1);
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

actor('an injected message is admitted like one of the platform’s', async () => {
  const { kit } = await opened(
    {},
    {
      answer: (to) =>
        to === 'router' ? { type: 'accepted', envelopeId: 'E', runId: 'R' } : undefined,
    },
  );
  const test = { text: 'hello', conversationId: 'c', senderId: 's', isDirectMessage: true };
  assert.equal(await kit.receive('inject', test), {
    type: 'accepted',
    envelopeId: 'E',
    runId: 'R',
  });
});

actor('the durable id of a delivery stands in the flight recorder', () => {
  assert.is(connectorActor.subject?.('deliver', ATTEMPT), 'D:0001');
  assert.is(connectorActor.subject?.('status', null), '');
});

actor.run();
