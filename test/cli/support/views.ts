/** Answers of the admin API in full, for scripted gateways. */

export const connectorView = {
  connector_id: 'echo:default',
  kind: 'echo',
  availability: 'internal_test_only',
  managed_by: 'config',
  readiness: 'ready',
  liveness: 'running',
  reason: '',
  restarts: 3,
  last_inbound_at_ms: 0,
  last_outbound_at_ms: 1_700_000_000_000,
  queue: {
    pending: 2,
    sending: 1,
    waiting: 0,
    unknown: 0,
    held: 0,
    dead_letters: 4,
    parked: true,
    park_reason: 'auth_failed',
    oldest_pending_at_ms: 5,
    next_attempt_at_ms: 0,
  },
};

export function webhookView(replies: boolean) {
  return {
    integration_id: 'demo',
    provider: 'generic',
    managed_by: 'config',
    enabled: true,
    status: 'ready',
    max_payload_bytes: 262_144,
    secret_refs: ['vault:webhook/demo'],
    ...(replies ? { reply_to: { connector: 'echo:default', conversation: 'demo' } } : {}),
    accepted: 1,
    duplicates: 0,
    refused: { signature_invalid: 2 },
  };
}

export function deliveryView(deliveryId: string, status: string) {
  return {
    delivery_id: deliveryId,
    connector_id: 'echo:default',
    conversation_id: 'demo',
    status,
    attempts: 1,
    chunk: 0,
    chunks: 1,
    reason: '',
    native_message_ids: [],
    created_at_ms: 1,
    updated_at_ms: 2,
    maybe_duplicate: false,
  };
}
