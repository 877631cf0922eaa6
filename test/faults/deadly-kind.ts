/**
 * A connector kind of a host's own that takes its thread down where a text says so. A text is `<what> <way> <rest>`:
 * `once` at the first attempt only, `always` at each, anything else is delivered. Its log is a file, which outlives threads.
 */
import { appendFileSync } from 'node:fs';
import type { Connector, ConnectorKind, DeliveryAttempt } from '../../connectors/connector.ts';
import type { DeliveryOutcome } from '../../proto/channel-messages.ts';

export const WAYS = ['throw', 'exit', 'loop', 'heap'] as const;
export type Way = (typeof WAYS)[number];

/** One line of the log: a delivery that was sent, or an attempt that is about to end its thread. */
export interface Sent {
  readonly connectorId: string;
  readonly conversationId: string;
  readonly text: string;
  readonly attempt: number;
  readonly died: boolean;
  readonly atMs: number;
}

export const deadlyKind: ConnectorKind = {
  kind: 'deadly',
  availability: 'internal_test_only',
  needsCredential: false,
  checkOptions: () => undefined,
  create({ connectorId, options }): Connector {
    const file = String(options.log_file);
    const log = (sent: Omit<Sent, 'connectorId' | 'atMs'>) => {
      appendFileSync(file, `${JSON.stringify({ ...sent, connectorId, atMs: Date.now() })}\n`);
    };
    return {
      async open(ports) {
        ports.health({ readiness: 'ready', liveness: 'running', reason: '' });
      },
      stopReceiving: async () => undefined,
      close: async () => undefined,
      split: (text) => [text],
      deliver: async (attempt) => sendOrDie(attempt, log),
    };
  },
};

function sendOrDie(
  { text, conversationId, attempt }: DeliveryAttempt,
  log: (sent: Omit<Sent, 'connectorId' | 'atMs'>) => void,
): DeliveryOutcome | Promise<DeliveryOutcome> {
  const [what = '', way = ''] = text.split(' ');
  const died = what === 'always' || (what === 'once' && attempt === 1);
  log({ text, conversationId, attempt, died });
  return died ? die(way) : { type: 'delivered', nativeMessageId: `${conversationId}-${attempt}` };
}

function die(way: string): Promise<DeliveryOutcome> {
  if (way === 'exit') process.exit(0);
  if (way === 'loop') for (;;) Math.sqrt(2);
  if (way === 'heap') {
    const kept: unknown[] = [];
    for (;;) kept.push(new Array(50_000).fill({ kept: kept.length }));
  }
  setImmediate(() => {
    throw new Error('thrown where nobody catches');
  });
  return new Promise(() => undefined);
}
