/** Connectors and deliveries in the words of the control catalogue, and as metrics. Pure. */
import type { OutputOf } from '../../proto/control/catalogue.ts';
import type { Metric } from '../../proto/control/owner.ts';
import type { DeliveryView, QueueSnapshot } from '../outbox/protocol.ts';
import type { ConnectorStatus } from './protocol.ts';

export type ConnectorView = OutputOf<'channels.get'>['connector'];
type Delivery = OutputOf<'channels.get'>['deliveries'][number];

const NO_QUEUE: QueueSnapshot = {
  pending: 0,
  sending: 0,
  waiting: 0,
  unknown: 0,
  held: 0,
  deadLetters: 0,
  parked: false,
  parkReason: '',
  oldestPendingAtMs: 0,
  nextAttemptAtMs: 0,
  lastDeliveredAtMs: 0,
};

/**
 * Deliveries wait for it, or have died, and the configuration does not name it, or not as enabled. Where none waits, nothing
 * is wrong with that: it is shown for its dead letters.
 */
export function toUnconfigured(connectorId: string, active: number): ConnectorStatus {
  return {
    connectorId,
    kind: connectorId.slice(0, Math.max(0, connectorId.indexOf(':'))),
    availability: '',
    readiness: active > 0 ? 'misconfigured' : 'ready',
    liveness: 'stopped',
    reason: 'not_configured',
    restarts: 0,
    lastInboundAtMs: 0,
    lastOutboundAtMs: 0,
    inFlight: 0,
    ignored: {},
  };
}

/** `queue` undefined: the outbox did not answer, which is said in the reason. */
export function toConnectorView(
  status: ConnectorStatus,
  queue: QueueSnapshot | undefined,
): ConnectorView {
  const known = queue ?? NO_QUEUE;
  return {
    connector_id: status.connectorId,
    kind: status.kind,
    availability: status.availability,
    managed_by: 'config',
    readiness: status.readiness,
    liveness: status.liveness,
    reason: status.reason === '' && queue === undefined ? 'queue_unavailable' : status.reason,
    restarts: status.restarts,
    last_inbound_at_ms: status.lastInboundAtMs,
    last_outbound_at_ms: Math.max(status.lastOutboundAtMs, known.lastDeliveredAtMs),
    queue: toQueueView(known),
  };
}

function toQueueView(queue: QueueSnapshot): ConnectorView['queue'] {
  return {
    pending: queue.pending,
    sending: queue.sending,
    waiting: queue.waiting,
    unknown: queue.unknown,
    held: queue.held,
    dead_letters: queue.deadLetters,
    parked: queue.parked,
    park_reason: queue.parkReason,
    oldest_pending_at_ms: queue.oldestPendingAtMs,
    next_attempt_at_ms: queue.nextAttemptAtMs,
  };
}

export function toDeliveryView(view: DeliveryView): Delivery {
  return {
    delivery_id: view.deliveryId,
    connector_id: view.connectorId,
    conversation_id: view.conversationId,
    status: view.status,
    attempts: view.attempts,
    chunk: view.chunk,
    chunks: view.chunks,
    reason: view.reason,
    native_message_ids: [...view.nativeMessageIds],
    created_at_ms: view.createdAtMs,
    updated_at_ms: view.updatedAtMs,
    maybe_duplicate: view.maybeDuplicate,
  };
}

export function isUp(status: ConnectorStatus): boolean {
  return status.readiness === 'ready' && status.liveness === 'running';
}

export function toConnectorMetrics(
  statuses: readonly ConnectorStatus[],
  nowMs: number,
): readonly Metric[] {
  const sampled = (value: (status: ConnectorStatus) => number): Metric['samples'] =>
    statuses.map((status) => ({ labels: { connector: status.connectorId }, value: value(status) }));
  return [
    {
      name: 'palyra_connector_up',
      help: '1 while the account can receive and send',
      type: 'gauge',
      samples: sampled((status) => (isUp(status) ? 1 : 0)),
    },
    {
      name: 'palyra_connector_restarts_total',
      help: 'Restarts of the connector since the gateway started',
      type: 'counter',
      samples: sampled((status) => status.restarts),
    },
    {
      name: 'palyra_connector_in_flight',
      help: 'Sends that the platform has not answered yet',
      type: 'gauge',
      samples: sampled((status) => status.inFlight),
    },
    {
      name: 'palyra_connector_ignored_total',
      help: 'Events of the platform that are no message for the gateway, since the connector started',
      type: 'counter',
      samples: statuses.flatMap(({ connectorId, ignored }) =>
        Object.entries(ignored).map(([reason, value]) => ({
          labels: { connector: connectorId, reason },
          value,
        })),
      ),
    },
    {
      name: 'palyra_connector_last_event_age_seconds',
      help: 'Seconds since the last inbound or outbound message; absent before the first',
      type: 'gauge',
      samples: statuses.filter(hasEvent).map((status) => ({
        labels: { connector: status.connectorId },
        value: Math.max(0, (nowMs - lastEventAtMs(status)) / 1_000),
      })),
    },
  ];
}

function hasEvent(status: ConnectorStatus): boolean {
  return lastEventAtMs(status) > 0;
}

function lastEventAtMs(status: ConnectorStatus): number {
  return Math.max(status.lastInboundAtMs, status.lastOutboundAtMs);
}
