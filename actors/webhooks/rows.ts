/** The webhooks' table: integrations that `webhooks.add` created. Those of the configuration file have no row. */
import type { ReplyTarget } from '../../proto/channel-messages.ts';
import type { ChangeSet, Row } from '../../runtime/store/store.ts';

export const WEBHOOKS_TABLE = 'webhooks';

/** One integration, wherever it is declared. */
export interface Integration {
  readonly integrationId: string;
  readonly provider: string;
  readonly managedBy: 'config' | 'store';
  readonly enabled: boolean;
  readonly maxPayloadBytes: number;
  /** One, or two while a secret is being replaced. */
  readonly secretRefs: readonly string[];
  /** Absent: outputs end on the run's tape. */
  readonly replyTo?: ReplyTarget;
}

/** As the configuration file declares one. */
export interface DeclaredWebhook extends Omit<Integration, 'managedBy'> {
  /** The first secret is made where nothing stands at its `vault:` reference yet. */
  readonly generateSecret?: boolean;
}

export interface WebhookRow extends Row {
  readonly v: 1;
  readonly provider: string;
  readonly enabled: boolean;
  readonly maxPayloadBytes: number;
  readonly secretRefs: readonly string[];
  readonly replyTo: ReplyTarget | null;
  readonly createdAtMs: number;
}

export function webhookAdded(integration: Integration, createdAtMs: number): ChangeSet {
  const { integrationId, provider, enabled, maxPayloadBytes, secretRefs, replyTo } = integration;
  const row: WebhookRow = {
    v: 1,
    provider,
    enabled,
    maxPayloadBytes,
    secretRefs,
    replyTo: replyTo ?? null,
    createdAtMs,
  };
  return {
    expect: [{ table: WEBHOOKS_TABLE, key: integrationId, revision: 0 }],
    put: [{ table: WEBHOOKS_TABLE, key: integrationId, row }],
    remove: [],
    facts: [{ type: 'webhook.added', integration_id: integrationId, provider, enabled }],
  };
}

export function toIntegration(integrationId: string, stored: Row): Integration {
  const row = stored as WebhookRow;
  return {
    integrationId,
    provider: row.provider,
    managedBy: 'store',
    enabled: row.enabled,
    maxPayloadBytes: row.maxPayloadBytes,
    secretRefs: row.secretRefs,
    ...(row.replyTo === null ? {} : { replyTo: row.replyTo }),
  };
}
