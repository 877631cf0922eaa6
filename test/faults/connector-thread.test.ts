/** A connector that takes its thread down, five ways: everybody is back, others kept running, nothing accepted is lost. */
import { extname } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { configFileSchema, toGatewayConfig } from '../../cli/config/schema.ts';
import { createGateway, type GatewayHandle } from '../../cli/gateway.ts';
import { withStateRoot } from '../support/gateway-process.ts';
import { until, within } from '../support/within.ts';

const KIND = {
  module: new URL(`../support/misbehaving-kind${extname(import.meta.url)}`, import.meta.url).href,
  export: 'misbehavingKind',
};

const rule = (channel: string) => ({
  channel,
  enabled: true,
  allow_direct_messages: true,
  direct_message_policy: 'allow',
});

const CONFIG = {
  ...toGatewayConfig(
    configFileSchema.parse({
      connectors: [
        { id: 'bad:one', kind: 'bad' },
        { id: 'echo:a', kind: 'echo' },
        { id: 'echo:b', kind: 'echo' },
      ],
      channel_router: { routing: { channels: [rule('bad:one'), rule('echo:a'), rule('echo:b')] } },
    }),
  ),
  http: { host: '127.0.0.1', port: 0 },
};

async function withGateway(work: (gateway: GatewayHandle) => Promise<void>): Promise<void> {
  await withStateRoot(async (stateRoot) => {
    const gateway = createGateway({
      config: CONFIG,
      stateRoot,
      connectors: { bad: KIND },
      threads: 2,
    });
    try {
      await within('ready', gateway.ready, 20_000);
      await work(gateway);
    } finally {
      await within('stop', gateway.stop({ deadlineMs: 8_000 }), 12_000);
    }
  });
}

async function delivered(gateway: GatewayHandle, connectorId: string, text: string, ms: number) {
  const conversation = `c-${text}-${Math.random()}`;
  const test = await gateway.call('channels.test', {
    connector_id: connectorId,
    text,
    conversation_id: conversation,
  });
  assert.ok(test.accepted, test.reason);
  return until(
    `${text} is delivered by ${connectorId}`,
    async () => {
      const shown = await gateway.call('channels.get', { connector_id: connectorId });
      return shown.deliveries.find(
        (d) => d.conversation_id === conversation && d.status === 'delivered',
      );
    },
    ms,
  );
}

const faults = suite('a connector against its thread');

for (const way of ['throw', 'exit', 'loop', 'heap']) {
  faults(`${way}: its thread is replaced and its delivery arrives`, () =>
    withGateway(async (gateway) => {
      const pid = process.pid;
      const deliveries = [delivered(gateway, 'bad:one', way, 45_000)];
      for (const side of ['echo:a', 'echo:b']) {
        deliveries.push(delivered(gateway, side, 'beside', 45_000));
      }
      const [first] = await Promise.all(deliveries);
      // A throw outside of every handler takes the thread, but its delivery was answered before.
      if (way !== 'throw') assert.ok((first?.attempts ?? 0) > 1);
      for (const id of ['bad:one', 'echo:a', 'echo:b'])
        await delivered(gateway, id, 'after', 20_000);
      const status = await gateway.call('status.get', {});
      assert.is(status.pid, pid);
      assert.ok(
        status.components.some(({ path, restarts }) => path.includes('bad:one') && restarts > 0),
      );
    }),
  );
}

faults.run();
