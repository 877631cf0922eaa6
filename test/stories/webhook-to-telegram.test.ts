/** A signed webhook in over HTTP, its reply out through a Telegram account: real processes, real client libraries, local fake. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runGatewayToEnd } from '../support/gateway-process.ts';
import { configOf, ENV, LANES, postOrder, withWorld } from '../support/orders-world.ts';
import { postWebhook, TEST_SECRET } from '../support/webhook-sender.ts';
import { until } from '../support/within.ts';

const story = suite('webhook to telegram');

story('a signed webhook is accepted and its reply arrives in the Telegram conversation', () =>
  withWorld(async ({ fake, start }) => {
    const gateway = await start();
    const answer = await postOrder(gateway, 1);
    assert.is(answer.status, 202);
    assert.is(answer.body.accepted, true);
    assert.match(String(answer.body.envelope_id), /^[0-9A-HJKMNP-TV-Z]{26}$/);
    const [message] = await fake.waitForAccepted(1, 10_000);
    assert.is(message?.chatId, '100');
    assert.is(message?.text, 'order 1');
    assert.equal(await gateway.stop(), { code: 0, signal: null });
  }),
);

story(
  'a Telegram update goes in, its reply goes out to the same chat, and the update is confirmed',
  () =>
    withWorld(async ({ fake, start }) => {
      const gateway = await start();
      const { messageId } = fake.pushUpdate({ chatId: 42, text: 'hello there' });
      const [reply] = await fake.waitForAccepted(1, 10_000);
      assert.is(reply?.chatId, '42');
      assert.is(reply?.text, 'hello there');
      assert.ok(messageId > 0);
      await fake.until(
        'the offset behind the update is asked for',
        ({ calls }) =>
          calls.some((c) => c.method === 'getUpdates' && Number(c.parameters.offset) > 1),
        10_000,
      );
      await gateway.stop();
    }),
);

story(
  'the same id again is a duplicate, also after a restart; with another body it is a conflict',
  () =>
    withWorld(async ({ fake, start }) => {
      const first = await start();
      assert.is((await postOrder(first, 1)).status, 202);
      await fake.waitForAccepted(1, 10_000);
      const again = await postOrder(first, 1);
      assert.equal([again.status, again.body.duplicate], [200, true]);
      // A kill before the platform's answer is durable may send the reply twice: that is another story.
      await until('the reply is settled', () => isSettled(first.admin), 10_000);
      await first.kill();
      const second = await start();
      const afterRestart = await postOrder(second, 1);
      assert.equal([afterRestart.status, afterRestart.body.duplicate], [200, true]);
      const other = await postWebhook({
        url: second.url,
        integrationId: 'orders-0',
        webhookId: 'msg-1',
        payload: { text: 'changed' },
      });
      assert.equal([other.status, other.body.code], [409, 'idempotency_conflict']);
      await postOrder(second, 2);
      await fake.waitForAccepted(2, 10_000);
      assert.equal(
        fake.accepted.map((m) => m.text),
        ['order 1', 'order 2'],
      );
      await second.stop();
    }),
);

story('what is wrong with a request is said by status and code, in the promised order', () =>
  withWorld(async ({ start }) => {
    const gateway = await start();
    const { url } = gateway;
    const post = { url, webhookId: 'x', payload: { text: 'x' } };
    const stale = new Date(Date.now() - 10 * 60_000);
    const cases: readonly [number, string, Parameters<typeof postWebhook>[0]][] = [
      [404, 'not_found', { ...post, integrationId: 'nobody' }],
      [403, 'webhook_disabled', { ...post, integrationId: 'off' }],
      [
        413,
        'payload_too_large',
        { ...post, integrationId: 'orders-0', payload: 'x'.repeat(300_000) },
      ],
      [
        401,
        'signature_invalid',
        { ...post, integrationId: 'orders-0', headers: { 'webhook-signature': 'v1,AAAA' } },
      ],
      [
        401,
        'signature_missing',
        { ...post, integrationId: 'orders-0', headers: { 'webhook-signature': '' } },
      ],
      [401, 'timestamp_stale', { ...post, integrationId: 'orders-0', at: stale }],
      [400, 'malformed', { ...post, integrationId: 'orders-0', payload: '{"text":' }],
    ];
    for (const [status, code, given] of cases) {
      const answer = await postWebhook(given);
      assert.equal([answer.status, answer.body.code], [status, code]);
      assert.not.ok(JSON.stringify(answer.body).includes(TEST_SECRET));
    }
    await gateway.stop();
  }),
);

story('a body that the job threads hash and parse is accepted like a small one', () =>
  withWorld(async ({ fake, start }) => {
    const gateway = await start();
    const payload = { text: 'large', padding: 'x'.repeat(200_000) };
    const post = { url: gateway.url, integrationId: 'orders-0', webhookId: 'large', payload };
    assert.is((await postWebhook(post)).status, 202);
    const again = await postWebhook(post);
    assert.equal([again.status, again.body.duplicate], [200, true]);
    const [message] = await fake.waitForAccepted(1, 10_000);
    assert.is(message?.text, 'large');
    await gateway.stop();
  }),
);

story('what was accepted before a kill -9 is delivered after the restart', () =>
  withWorld(async ({ fake, start }) => {
    fake.script({
      method: 'sendMessage',
      fault: { type: 'error', status: 500 },
      times: 0,
    });
    const first = await start();
    const accepted = [];
    for (let n = 0; n < 20; n += 1) {
      const answer = await postOrder(first, n, n % LANES);
      if (answer.status === 202) accepted.push(`order ${n}`);
    }
    await first.kill();
    assert.is(accepted.length, 20);
    assert.is(fake.accepted.length, 0);
    fake.clearScript();
    const second = await start();
    await fake.waitForAccepted((log) => new Set(log.map((m) => m.text)).size === 20, 30_000);
    assert.equal([...new Set(fake.accepted.map((m) => m.text))].sort(), accepted.sort());
    await second.stop();
  }),
);

story('a missing token parks its account and nothing else; the gateway is ready', () =>
  withWorld(async ({ fake, start }) => {
    const gateway = await start('env:NOT_THERE');
    const ready = await fetch(`${gateway.url}/readyz`);
    assert.is(ready.status, 200);
    assert.is((await postOrder(gateway, 1)).status, 202);
    const account = await until(
      'the account says missing_credential and its queue is parked',
      async () => {
        const shown = (await gateway.admin('/admin/v1/channels/telegram:main')) as {
          connector: { readiness: string; queue: { parked: boolean; pending: number } };
        };
        return (
          shown.connector.queue.parked && shown.connector.queue.pending === 1 && shown.connector
        );
      },
      10_000,
    );
    assert.is(account.readiness, 'missing_credential');
    const degraded = await until(
      'its trouble is shown without its name',
      async () => {
        const answer = await fetch(`${gateway.url}/readyz?verbose`);
        const shown = { status: answer.status, body: await answer.json() };
        return JSON.stringify(shown).includes('connectors') && shown;
      },
      10_000,
    );
    assert.equal(degraded, {
      status: 200,
      body: { status: 'degraded', failing: [], degraded: ['connectors'] },
    });
    const body = JSON.stringify({ text: 'still here' });
    const test = await gateway.admin('/admin/v1/channels/echo:side/test', { method: 'POST', body });
    assert.is((test as { accepted: boolean }).accepted, true);
    assert.is(fake.accepted.length, 0);
    await gateway.stop();
  }),
);

story('a second gateway on one state root is refused with exit 4', () =>
  withWorld(async ({ fake, start, stateRoot }) => {
    const gateway = await start();
    const second = await runGatewayToEnd({ config: configOf(fake), stateRoot, env: ENV });
    assert.is(second.code, 4);
    assert.is((await fetch(`${gateway.url}/livez`)).status, 200);
    await gateway.stop();
  }),
);

async function isSettled(admin: (path: string) => Promise<unknown>): Promise<boolean> {
  const { deliveries } = (await admin('/admin/v1/channels/telegram:main')) as {
    deliveries: readonly { readonly status: string }[];
  };
  return deliveries.length > 0 && deliveries.every(({ status }) => status === 'delivered');
}

story.run();
