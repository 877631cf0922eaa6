/** A connector kind that does what a test tells it, and shows what it was asked. */
import type {
  Connector,
  ConnectorKind,
  ConnectorPorts,
  DeliveryAttempt,
} from '../../../connectors/connector.ts';
import type { DeliveryOutcome } from '../../../proto/channel-messages.ts';

export interface Script {
  open?(ports: ConnectorPorts, signal: AbortSignal): Promise<void>;
  deliver?(attempt: DeliveryAttempt, signal: AbortSignal): Promise<DeliveryOutcome>;
  checkOptions?(): void;
  needsCredential?: boolean;
  minIntervalMs?: number;
}

export interface Scripted {
  readonly kind: ConnectorKind;
  readonly sent: DeliveryAttempt[];
  readonly credentials: string[];
  readonly log: string[];
  ports: ConnectorPorts | undefined;
}

/** Splits texts at `|`. */
export function createScripted(script: Script): Scripted {
  const scripted: Scripted = {
    sent: [],
    credentials: [],
    log: [],
    ports: undefined,
    kind: {
      kind: 'scripted',
      availability: 'internal_test_only',
      needsCredential: script.needsCredential ?? true,
      checkOptions: () => script.checkOptions?.(),
      create(_account, deps) {
        scripted.credentials.push(deps.credential);
        return createConnector(script, scripted);
      },
    },
  };
  return scripted;
}

function createConnector(script: Script, scripted: Scripted): Connector {
  return {
    ...(script.minIntervalMs === undefined ? {} : { minIntervalMs: script.minIntervalMs }),
    async open(ports, signal) {
      scripted.ports = ports;
      scripted.log.push('open');
      await script.open?.(ports, signal);
    },
    async stopReceiving() {
      scripted.log.push('stopReceiving');
    },
    async deliver(attempt, signal) {
      scripted.sent.push(attempt);
      if (script.deliver !== undefined) return script.deliver(attempt, signal);
      return { type: 'delivered', nativeMessageId: `n-${scripted.sent.length}` };
    },
    async close() {
      scripted.log.push('close');
    },
    split: (text) => text.split('|'),
  };
}
