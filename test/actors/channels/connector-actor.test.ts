/** One connector actor by hand: sending once, settling until acknowledged, accepting. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { connectorActor } from '../../../actors/channels/connector-actor.ts';
import type { Settlement } from '../../../actors/outbox/protocol.ts';
import type { InboundOffer } from '../../../proto/channel-messages.ts';
import { StaleIncarnation } from '../../../runtime/errors.ts';
import { rejectionCode } from '../../../runtime/testing/behavior-kit.ts';
import { ATTEMPT, hang, KEY, OFFER, opened } from './connector-world.ts';

const actor = suite('connector actor');

const turn = () => new Promise((resolve) => setImmediate(resolve));

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
      [() => Promise.resolve({ type: 'transient' } as never), 'bad_outcome'],
      [() => Promise.resolve({ type: 'delivered', nativeMessageId: 7 } as never), 'bad_outcome'],
      [() => Promise.resolve({ type: 'rate_limited', reason: '' } as never), 'bad_outcome'],
      [() => Promise.resolve(undefined as never), 'bad_outcome'],
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

actor(
  'each send that hangs is unknown at its own deadline; too many that never end, end the actor',
  async () => {
    const { kit, tells } = await opened({ deliver: () => new Promise(() => undefined) });
    const hung = (n: number) => ({ ...ATTEMPT, deliveryId: `D:${String(n).padStart(4, '0')}` });
    for (let n = 1; n <= 32; n += 1) kit.receive('deliver', hung(n));
    await kit.advance(30_000);
    const settled = tells('outbox', 'settled') as readonly Settlement[];
    assert.is(new Set(settled.map(({ deliveryId }) => deliveryId)).size, 32);
    for (const { outcome } of settled) {
      assert.equal(outcome, { type: 'unknown', reason: 'no_answer_in_time' });
    }
    kit.receive('deliver', hung(33));
    assert.is(await rejectionCode(kit.advance(30_000)), 'sends_hang');
  },
);

actor(
  'sends that come back late do not end the actor, however much was sent meanwhile',
  async () => {
    const late: (() => void)[] = [];
    const done = { type: 'delivered', nativeMessageId: 'n' } as const;
    const { kit, status } = await opened({
      deliver: ({ deliveryId }) =>
        deliveryId.startsWith('late')
          ? new Promise((resolve) => late.push(() => resolve(done)))
          : Promise.resolve(done),
    });
    const send = (deliveryId: string) => kit.receive('deliver', { ...ATTEMPT, deliveryId });
    const acknowledge = (deliveryId: string) => kit.receive('settledAck', { ...KEY, deliveryId });
    for (let round = 0; round < 3; round += 1) {
      const names = Array.from({ length: 32 }, (_, nth) => `late:${round}:${nth}`);
      for (const name of names) send(name);
      await turn();
      await kit.advance(30_000);
      for (const name of names) acknowledge(name);
      // More than an actor keeps of what was acknowledged.
      for (let nth = 0; nth < 1_100; nth += 1) {
        const name = `good:${round}:${nth}`;
        send(name);
        await turn();
        acknowledge(name);
      }
      assert.is(late.length, 32);
      for (const comeBack of late.splice(0)) comeBack();
      await kit.settle();
    }
    assert.is(status().inFlight, 0);
  },
);

actor('a deadline that is heard after its send came back counts for nothing', async () => {
  const { kit, tells } = await opened();
  for (let nth = 0; nth < 40; nth += 1) {
    const deliveryId = `D:${nth}`;
    kit.receive('deliver', { ...ATTEMPT, deliveryId });
    await kit.settle();
    kit.receive('late' as never, { ...KEY, deliveryId });
  }
  const settled = tells('outbox', 'settled') as readonly Settlement[];
  assert.ok(settled.every(({ outcome }) => outcome.type === 'delivered'));
});

actor('what the platform answers after the deadline changes nothing', async () => {
  let answer: (outcome: never) => void = () => undefined;
  const { kit, tells } = await opened({
    deliver: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  });
  kit.receive('deliver', ATTEMPT);
  await turn();
  await kit.advance(30_000);
  answer({ type: 'delivered', nativeMessageId: 'late' } as never);
  await kit.settle();
  const types = tells('outbox', 'settled').map(
    (s) => (s as { outcome: { type: string } }).outcome.type,
  );
  assert.equal([...new Set(types)], ['unknown']);
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
          return { type: 'accepted', envelopeId: 'E' };
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
    assert.is(await rejectionCode(accept()), 'stale_incarnation');
  },
);

for (const [what, change] of [
  ['without a sender', { senderId: undefined }],
  ['whose body is no text', { body: 7 }],
  ['with a null where a text belongs', { senderDisplay: null }],
  ['with a field that nobody knows', { extra: 1 }],
  ['whose id is half a character', { nativeId: '42:\ud800' }],
] as const) {
  actor(`an event ${what} is refused for ever, and nobody else sees it`, async () => {
    const asked: unknown[] = [];
    const answer = (to: string) => {
      asked.push(to);
    };
    const { ports } = await opened({}, { answer });
    const offer = { ...OFFER, ...change } as unknown as InboundOffer;
    const code = await rejectionCode(ports.accept(offer, new AbortController().signal));
    assert.is(code, 'validation_error');
    assert.not.ok(asked.includes('router'));
  });
}

actor('what the connector ignores is counted by reason, and the reasons are bounded', async () => {
  const { ports, status } = await opened();
  for (let i = 0; i < 3; i += 1) ports.ignored?.('bot');
  for (let i = 0; i < 40; i += 1) ports.ignored?.(`reason-${i}`);
  const { ignored } = status();
  assert.is(ignored.bot, 3);
  assert.is(ignored.other, 9);
  assert.is(Object.keys(ignored).length, 33);
});

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

actor('an injected message is admitted like one of the platform’s', async () => {
  const { kit } = await opened(
    {},
    {
      answer: (to) => (to === 'router' ? { type: 'accepted', envelopeId: 'E' } : undefined),
    },
  );
  const test = { text: 'hello', conversationId: 'c', senderId: 's', isDirectMessage: true };
  assert.equal(await kit.receive('inject', test), {
    type: 'accepted',
    envelopeId: 'E',
  });
});

actor('the durable id of a delivery stands in the flight recorder', () => {
  assert.is(connectorActor.subject?.('deliver', ATTEMPT), 'D:0001');
  assert.is(connectorActor.subject?.('status', null), '');
});

actor.run();
