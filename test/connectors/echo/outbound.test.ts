/** What the echo connector promises about ids and about the faults that its markers ask for. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeliveryAttempt } from '../../../connectors/connector.ts';
import { ECHO_MARKERS, echoKind } from '../../../connectors/echo/index.ts';
import { createTestDeps, createTestPorts, never } from '../test-deps.ts';
import { until, within } from '../within.ts';

const test = suite('echo outbound');

const create = () =>
  echoKind.create({ connectorId: 'echo:default', kind: 'echo', options: {} }, createTestDeps(''));

const attempt = (text: string, more: Partial<DeliveryAttempt> = {}): DeliveryAttempt => ({
  deliveryId: '01J:0000',
  attempt: 1,
  chunk: 0,
  text,
  conversationId: 'c1',
  threadId: '',
  inReplyTo: '',
  ...more,
});

test('is for tests only, and says so', () => {
  assert.is(echoKind.availability, 'internal_test_only');
  assert.not.ok(echoKind.needsCredential);
});

test('a native id is echo- and 32 hex digits, the same in every process', async () => {
  const outcome = await create().deliver(attempt('hello'), never());
  assert.equal(outcome, {
    type: 'delivered',
    nativeMessageId: 'echo-7513d7e1b24398e12c3b12d791770e6c',
  });
});

test('the same delivery and chunk keep their id through retries; another chunk has another', async () => {
  const connector = create();
  const first = await connector.deliver(attempt('hello'), never());
  assert.equal(await connector.deliver(attempt('hello', { attempt: 2 }), never()), first);
  assert.equal(await create().deliver(attempt('hello', { attempt: 7 }), never()), first);
  assert.not.equal(await connector.deliver(attempt('hello', { chunk: 1 }), never()), first);
});

test('[connector-crash-once] is a transient connector_restarting, to be retried after 10 ms, once per delivery', async () => {
  const connector = create();
  const text = 'now [connector-crash-once]';
  const fault = { type: 'transient', reason: 'connector_restarting', retryAfterMs: 10 };
  assert.equal(await connector.deliver(attempt(text), never()), fault);
  assert.is((await connector.deliver(attempt(text, { attempt: 2 }), never())).type, 'delivered');
  const other = { deliveryId: '01J:0001' };
  assert.equal(await connector.deliver(attempt(text, other), never()), fault);
});

for (const { marker, once, waits, outcome } of ECHO_MARKERS) {
  if (waits) continue;
  test(`${marker} ends a try as ${outcome?.type ?? 'a throw'}, ${once ? 'once' : 'always'}`, async () => {
    const connector = create();
    const send = () =>
      connector.deliver(attempt(`a ${marker} b`), never()).then(
        (seen) => seen.type,
        () => 'a throw',
      );
    assert.is(await send(), outcome?.type ?? 'a throw');
    assert.is(await send(), once ? 'delivered' : outcome?.type);
    await connector.close(never());
  });
}

test('two markers in one text are played one after the other', async () => {
  const connector = create();
  const send = () => connector.deliver(attempt('[rate-limit-once][unknown-once]'), never());
  assert.is((await send()).type, 'rate_limited');
  assert.is((await send()).type, 'unknown');
  assert.is((await send()).type, 'delivered');
});

test('[auth-once] makes the account auth_failed, and ready again soon after', async () => {
  const connector = create();
  const ports = createTestPorts();
  await within('open', connector.open(ports, never()));
  await connector.deliver(attempt('[auth-once]'), never());
  assert.is(ports.healths.at(-1)?.readiness, 'auth_failed');
  await until('ready again', () => ports.healths.at(-1)?.readiness === 'ready');
  await connector.close(never());
});

test('an owner that is gone does not bring the connector down', async () => {
  const connector = create();
  const ports = { ...createTestPorts(), health: () => assert.unreachable('gone') };
  await within('open', connector.open(ports, never()));
  await connector.close(never());
});

test.run();
