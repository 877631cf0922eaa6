/** A connector kind of a host's own, whose deliveries do what their text says: the ways in which a connector takes its thread down. */
import type { Connector, ConnectorKind, DeliveryAttempt } from '../../connectors/connector.ts';
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';

export const misbehavingKind: ConnectorKind = {
  kind: 'bad',
  availability: 'supported',
  needsCredential: false,
  checkOptions: () => undefined,
  create: (): Connector => ({
    async open(ports) {
      ports.health({ readiness: 'ready', liveness: 'running', reason: '' });
    },
    stopReceiving: async () => undefined,
    deliver: misbehave,
    close: async () => undefined,
    split: (text) => [text],
  }),
};

async function misbehave({ text, attempt }: DeliveryAttempt): Promise<DeliveryOutcome> {
  // Only at its first attempt: then the retry shows that the account works again.
  if (attempt > 1) return { type: 'delivered', nativeMessageId: `bad-${attempt}` };
  switch (text) {
    case 'throw':
      setImmediate(() => {
        throw new Error('thrown where nobody catches');
      });
      break;
    case 'exit':
      process.exit(0);
      break;
    case 'loop':
      for (;;) Math.sqrt(2);
    case 'heap': {
      const kept: unknown[] = [];
      for (;;) kept.push(new Array(100_000).fill({ kept: kept.length }));
    }
    case 'hang':
      await new Promise(() => undefined);
  }
  return { type: 'delivered', nativeMessageId: 'bad-1' };
}
