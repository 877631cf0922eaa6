/** What every connector keeps, whatever its platform: run by each kind against its fake. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Connector, ConnectorKind, DeliveryAttempt } from '../../connectors/connector.ts';
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';
import { createDeferred } from '../../runtime/deferred.ts';
import { codeOf } from '../../runtime/errors.ts';
import { accepted, createTestDeps, createTestPorts, never } from '../connectors/test-deps.ts';
import { until, within } from '../connectors/within.ts';
import { skipTest } from '../support/skip.ts';

/** The platform's side of a test, started anew for each. */
export interface ConnectorRig {
  readonly credential: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly conversationId: string;
  /** Texts that the platform took; undefined where there is no platform to ask. */
  sent(): readonly string[] | undefined;
  /** Makes the next send end so; gives back the text to send. */
  arm(outcome: DeliveryOutcome['type'] | 'hang'): string;
  /** Someone writes to the account. */
  push(text: string): void;
  /** How many of the pushed messages the platform has been told to forget. */
  confirmed(): number;
  stop(): Promise<void>;
}

export interface ConnectorFixture {
  readonly kind: ConnectorKind;
  start(): Promise<ConnectorRig>;
  /** '' where the platform sends messages in; else why not. */
  readonly noInbound: string;
  /** '' where a credential is needed; else why not. */
  readonly noCredential: string;
}

interface Opened {
  readonly rig: ConnectorRig;
  readonly connector: Connector;
  readonly ports: ReturnType<typeof createTestPorts>;
  readonly deps: ReturnType<typeof createTestDeps>;
}

const OUTCOMES = ['rate_limited', 'transient', 'auth', 'permanent', 'unknown'] as const;

export function connectorContract(name: string, fixture: ConnectorFixture): void {
  const test = suite(`connector contract: ${name}`);
  const { kind } = fixture;

  const create = (rig: ConnectorRig, deps = createTestDeps(rig.credential)) =>
    kind.create({ connectorId: `${kind.kind}:main`, kind: kind.kind, options: rig.options }, deps);

  /** Runs `work` with an opened connector and takes everything down again. */
  const withOpen = async (work: (opened: Opened) => Promise<void>, ports = createTestPorts()) => {
    const rig = await fixture.start();
    const deps = createTestDeps(rig.credential);
    const connector = create(rig, deps);
    try {
      await within('open', connector.open(ports, never()));
      await work({ rig, connector, ports, deps });
    } finally {
      await within('close', connector.close(never()));
      await rig.stop();
    }
  };

  const attemptFor = (rig: ConnectorRig, text: string, more: Partial<DeliveryAttempt> = {}) => ({
    deliveryId: `run:${text}`,
    attempt: 1,
    chunk: 0,
    text,
    conversationId: rig.conversationId,
    threadId: '',
    inReplyTo: '',
    ...more,
  });

  test('open settles once the credential is taken, and health says running', () =>
    withOpen(async ({ ports }) => {
      await until('health says running', () => ports.healths.at(-1)?.liveness === 'running');
      assert.is(ports.healths.at(-1)?.readiness, 'ready');
    }));

  test('a delivered piece has the platform’s id and reached the platform once', () =>
    withOpen(async ({ rig, connector }) => {
      const outcome = await within('deliver', connector.deliver(attemptFor(rig, 'hello'), never()));
      assert.is(outcome.type, 'delivered');
      assert.ok(outcome.type === 'delivered' && outcome.nativeMessageId !== '');
      tookExactly(rig, ['hello']);
    }));

  for (const type of OUTCOMES) {
    test(`a send that ends ${type} says so, and says why`, () =>
      withOpen(async ({ rig, connector }) => {
        const text = rig.arm(type);
        const outcome = await within(type, connector.deliver(attemptFor(rig, text), never()));
        assert.is(outcome.type, type);
        assert.ok('reason' in outcome && outcome.reason !== '');
        if (outcome.type === 'rate_limited') assert.ok(outcome.retryAfterMs > 0);
      }));
  }

  test('an aborted signal sends nothing and does not claim delivery', () =>
    withOpen(async ({ rig, connector }) => {
      const outcome = await within(
        'an aborted deliver',
        connector.deliver(attemptFor(rig, 'never'), AbortSignal.abort()),
      );
      assert.is(outcome.type, 'transient');
      tookExactly(rig, []);
    }));

  test('a send that hangs ends with its signal, as unknown', () =>
    withOpen(async ({ rig, connector }) => {
      const abort = new AbortController();
      const sending = connector.deliver(attemptFor(rig, rig.arm('hang')), abort.signal);
      const settled = await Promise.race([
        sending,
        new Promise<'pending'>((resolve) => setTimeout(() => resolve('pending'), 50)),
      ]);
      assert.is(settled, 'pending');
      abort.abort();
      assert.is((await within('the hanging send', sending)).type, 'unknown');
    }));

  test('close breaks off a send that hangs', () =>
    withOpen(async ({ rig, connector }) => {
      const sending = connector.deliver(attemptFor(rig, rig.arm('hang')), never());
      await new Promise((resolve) => setTimeout(resolve, 20));
      await within('close', connector.close(never()));
      assert.is.not((await within('the hanging send', sending)).type, 'delivered');
    }));

  test('close twice is close once, and nothing is sent after it', () =>
    withOpen(async ({ rig, connector }) => {
      await within('close', connector.close(never()));
      await within('close again', connector.close(never()));
      const outcome = await connector.deliver(attemptFor(rig, 'late'), never());
      assert.is.not(outcome.type, 'delivered');
      tookExactly(rig, []);
    }));

  test('close works on a connector that was never opened', async () => {
    const rig = await fixture.start();
    const connector = create(rig);
    await within('stopReceiving', connector.stopReceiving(never()));
    await within('close', connector.close(never()));
    await rig.stop();
  });

  test('after stopReceiving sending still works', () =>
    withOpen(async ({ rig, connector }) => {
      await within('stopReceiving', connector.stopReceiving(never()));
      await within('stopReceiving again', connector.stopReceiving(never()));
      const outcome = await within('deliver', connector.deliver(attemptFor(rig, 'bye'), never()));
      assert.is(outcome.type, 'delivered');
    }));

  test('open with an aborted signal rejects and leaves nothing behind', async () => {
    const rig = await fixture.start();
    const connector = create(rig);
    let rejected = false;
    await within('open', connector.open(createTestPorts(), AbortSignal.abort())).catch(() => {
      rejected = true;
    });
    assert.ok(rejected);
    await within('close', connector.close(never()));
    await rig.stop();
  });

  test('split is pure, gives at least one piece and loses no visible character', async () => {
    const rig = await fixture.start();
    const connector = create(rig);
    const visible = (text: string) => text.replace(/\s/g, '');
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('a', 'ж', '字', ' ', '\n', '😀'),
          maxLength: 12_000,
          size: 'max',
        }),
        (text) => {
          const pieces = connector.split(text);
          assert.ok(pieces.length >= 1);
          assert.equal(pieces, connector.split(text));
          assert.is(visible(pieces.join('')), visible(text));
        },
      ),
      { numRuns: 50 },
    );
    await connector.close(never());
    await rig.stop();
  });

  test('an unknown option is refused by name', () => {
    try {
      kind.checkOptions({ no_such_option: 'secret-value' });
    } catch (error) {
      assert.is(codeOf(error), 'invalid_options');
      assert.match(String(error), 'no_such_option');
      assert.not.match(String(error), 'secret-value');
      return;
    }
    assert.unreachable('it was taken');
  });

  test('nothing keeps the process alive after close', async () => {
    const before = countResources();
    await withOpen(async ({ rig, connector }) => {
      await connector.deliver(attemptFor(rig, 'hello'), never());
      await until('waits to be over', () => true);
    });
    await until('no timer or socket is left', () => countResources() <= before);
  });

  inboundTests(test, fixture, withOpen, attemptFor);
  credentialTests(test, fixture, create);
  test.run();
}

type WithOpen = (
  work: (opened: Opened) => Promise<void>,
  ports?: ReturnType<typeof createTestPorts>,
) => Promise<void>;

function inboundTests(
  test: ReturnType<typeof suite>,
  fixture: ConnectorFixture,
  withOpen: WithOpen,
  attemptFor: (rig: ConnectorRig, text: string) => DeliveryAttempt,
): void {
  const inbound = (title: string, work: () => Promise<void>) =>
    fixture.noInbound === '' ? test(title, work) : skipTest(test, title, fixture.noInbound);

  inbound('a message is confirmed to the platform only after accept has settled', () => {
    const gate = createDeferred<void>();
    const ports = createTestPorts(async () => {
      await gate.promise;
      return accepted('E1');
    });
    return withOpen(async ({ rig }) => {
      rig.push('one');
      await until('the offer', () => ports.offers.length === 1);
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.is(rig.confirmed(), 0);
      gate.resolve();
      await until('the confirmation', () => rig.confirmed() === 1);
      assert.is(ports.offers[0]?.body, 'one');
    }, ports);
  });

  inbound('a refused message is offered again, and nothing newer before it', () => {
    const ports = createTestPorts(async (_offer, nth) =>
      nth < 4 ? { accepted: false, retryAfterMs: 700, reason: 'busy' } : accepted('E1'),
    );
    return withOpen(async ({ rig, deps }) => {
      rig.push('one');
      rig.push('two');
      await until('both accepted', () => rig.confirmed() === 2);
      const bodies = ports.offers.map((offer) => offer.body);
      assert.equal(bodies, ['one', 'one', 'one', 'one', 'two']);
      assert.is(deps.waitsMs.filter((ms) => ms === 700).length, 3);
      assert.ok(ports.healths.some(({ liveness }) => liveness === 'degraded'));
      assert.is(ports.healths.at(-1)?.liveness, 'running');
    }, ports);
  });

  inbound(
    'an accept that fails is a refusal; one that is refused for ever is dropped and counted',
    () => {
      const ports = createTestPorts(async (_offer, nth) => {
        if (nth === 1) throw new Error('lost');
        if (nth === 2) throw Object.assign(new Error('bad'), { code: 'validation_error' });
        return accepted('E1');
      });
      return withOpen(async ({ rig }) => {
        rig.push('one');
        rig.push('two');
        await until('both confirmed', () => rig.confirmed() === 2);
        assert.equal(
          ports.offers.map((offer) => offer.body),
          ['one', 'one', 'two'],
        );
        assert.equal(ports.ignoredReasons, ['refused']);
      }, ports);
    },
  );

  inbound(
    'after stopReceiving nothing is accepted, and what came meanwhile stays with the platform',
    () =>
      withOpen(async ({ rig, connector, ports }) => {
        await within('stopReceiving', connector.stopReceiving(never()));
        rig.push('late');
        assert.is((await connector.deliver(attemptFor(rig, 'out'), never())).type, 'delivered');
        await new Promise((resolve) => setTimeout(resolve, 30));
        assert.is(ports.offers.length, 0);
        assert.is(rig.confirmed(), 0);
      }),
  );

  inbound('stopReceiving waits for the accept under way, and ends it with its signal', () => {
    const ports = createTestPorts(() => new Promise(() => undefined));
    return withOpen(async ({ rig, connector }) => {
      rig.push('one');
      await until('the offer', () => ports.offers.length === 1);
      const abort = new AbortController();
      let isStopped = false;
      const stopping = connector.stopReceiving(abort.signal).then(() => {
        isStopped = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 30));
      assert.not.ok(isStopped);
      abort.abort();
      await within('stopReceiving', stopping);
      assert.is(rig.confirmed(), 0);
    }, ports);
  });

  inbound('an owner that is gone is offered nothing more', () => {
    const ports = createTestPorts(async () => {
      throw Object.assign(new Error('over'), { code: 'stale_incarnation' });
    });
    return withOpen(async ({ rig }) => {
      rig.push('one');
      rig.push('two');
      await until('the offer', () => ports.offers.length === 1);
      await new Promise((resolve) => setTimeout(resolve, 30));
      assert.is(ports.offers.length, 1);
      assert.is(rig.confirmed(), 0);
    }, ports);
  });
}

function credentialTests(
  test: ReturnType<typeof suite>,
  fixture: ConnectorFixture,
  create: (rig: ConnectorRig, deps: ReturnType<typeof createTestDeps>) => Connector,
): void {
  const cases = [
    ['', 'secret_unavailable', 'missing_credential'],
    ['999999:refused-token', 'auth_failed', 'auth_failed'],
    ['not a token\n', 'auth_failed', 'auth_failed'],
  ] as const;
  for (const [credential, code, readiness] of cases) {
    const title = `open with the credential ${JSON.stringify(credential)} rejects with ${code}`;
    if (fixture.noCredential !== '') {
      skipTest(test, title, fixture.noCredential);
      continue;
    }
    test(title, async () => {
      const rig = await fixture.start();
      const deps = createTestDeps(credential);
      const ports = createTestPorts();
      const connector = create(rig, deps);
      const error = await within('open', connector.open(ports, never())).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      assert.is(codeOf(error), code);
      assert.is(ports.healths.at(-1)?.readiness, readiness);
      const told = [String(error), JSON.stringify(ports.healths), ...deps.lines].join('\n');
      if (credential !== '') assert.not.match(told, credential.trim());
      await within('close', connector.close(never()));
      await rig.stop();
    });
  }
}

function tookExactly(rig: ConnectorRig, texts: readonly string[]): void {
  const sent = rig.sent();
  if (sent !== undefined) assert.equal(sent, texts);
}

/** Timers and sockets that would keep the process alive. */
function countResources(): number {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout|TLS|DNS/i.test(kind))
    .length;
}
