/** One account that is up, a scripted platform behind it, and the words to test with. */
import type { OutboxPolicies } from '../../../../actors/outbox/state.ts';
import type { DeliveryOutcome } from '../../../../proto/channel-messages.ts';
import { OutboxWorld } from './outbox-world.ts';

export const RUN = (n: number) => `01J0000000000000000000000${n}`;
export const ID = (n: number, k = 0) => `${RUN(n)}:000${k}`;
export const DELIVERED_OK: DeliveryOutcome = { type: 'delivered', nativeMessageId: 'm' };

interface Options {
  readonly onUnknown?: 'retry' | 'hold';
  readonly policies?: Partial<OutboxPolicies>;
  readonly maxAgeMs?: number;
  readonly minIntervalMs?: number;
  readonly parkedMaxAgesMs?: Readonly<Record<string, number>>;
}

/** A world with one account that is up, and a connector without one, `b:1`; `outcomes` are what its next attempts end with, then delivered. */
export async function createWorld(options: Options = {}) {
  const outcomes: DeliveryOutcome[] = [];
  const world = new OutboxWorld({
    connectors: { 'a:1': options.onUnknown ?? 'retry', 'b:1': 'retry' },
    random: () => 0.5,
    ...(options.policies === undefined ? {} : { policies: options.policies }),
    ...(options.maxAgeMs === undefined ? {} : { maxAgeMs: options.maxAgeMs }),
    ...(options.parkedMaxAgesMs === undefined ? {} : { parkedMaxAgesMs: options.parkedMaxAgesMs }),
    ...(options.minIntervalMs === undefined ? {} : { minIntervalMs: options.minIntervalMs }),
    script: {
      chunks: ({ text }) => text.split('|').length,
      outcome: () => {
        const outcome = outcomes.shift() ?? DELIVERED_OK;
        return { outcome, took: outcome.type === 'delivered' };
      },
    },
  });
  await world.start();
  world.up('a:1');
  await world.calm();
  const connector = world.connector('a:1');
  const say = (n: number, texts: readonly string[], conversation = 'c') =>
    world.finish(
      RUN(n),
      texts.map((text) => ({ connector: 'a:1', conversation, text })),
    );
  const queue = async () => {
    const reply = world.outbox.ask('test', 'queue', { connectorId: 'a:1' });
    await world.calm();
    return (await reply) as { parked: boolean; waiting: number; deadLetters: number; held: number };
  };
  const log = () => world.platform.log.map(({ deliveryId, chunk }) => `${deliveryId}#${chunk}`);
  return { world, connector, outcomes, say, queue, log };
}
