/** Every control operation once. Field names are those of the wire: snake_case, times in Unix milliseconds. */
import { z } from 'zod';
import type { ErrorCode } from '../errors.ts';
import { defineOperation, type Operation } from './operation.ts';

const empty = z.strictObject({});
const connectorId = z.string().min(1).max(128);
const deliveryId = z.string().regex(/^[0-9A-HJKMNP-TV-Z]{26}:[0-9]{4,6}$/);
const integrationId = z.string().regex(/^[a-z0-9._-]{1,64}$/);
/** What can stand behind `Authorization: Bearer`. */
const BEARER = /^[\x21-\x7e]{1,4096}$/;
const counts = z.record(z.string(), z.number());

export const queueSchema = z.strictObject({
  pending: z.number(),
  sending: z.number(),
  waiting: z.number(),
  unknown: z.number(),
  held: z.number(),
  dead_letters: z.number(),
  parked: z.boolean(),
  park_reason: z.string(),
  oldest_pending_at_ms: z.number(),
  next_attempt_at_ms: z.number(),
});

export const connectorSchema = z.strictObject({
  connector_id: z.string(),
  kind: z.string(),
  availability: z.string(),
  managed_by: z.literal('config'),
  readiness: z.string(),
  liveness: z.string(),
  reason: z.string(),
  restarts: z.number(),
  last_inbound_at_ms: z.number(),
  last_outbound_at_ms: z.number(),
  queue: queueSchema,
});

export const deliverySchema = z.strictObject({
  delivery_id: z.string(),
  connector_id: z.string(),
  conversation_id: z.string(),
  status: z.string(),
  attempts: z.number(),
  chunk: z.number(),
  chunks: z.number(),
  reason: z.string(),
  native_message_ids: z.array(z.string()),
  created_at_ms: z.number(),
  updated_at_ms: z.number(),
  maybe_duplicate: z.boolean(),
});

export const webhookSchema = z.strictObject({
  integration_id: z.string(),
  provider: z.string(),
  managed_by: z.enum(['config', 'store']),
  enabled: z.boolean(),
  /** `reply_unavailable`: its events are accepted, and nobody sends their replies as the configuration stands. */
  status: z.enum(['ready', 'disabled', 'secret_unavailable', 'reply_unavailable']),
  max_payload_bytes: z.number(),
  secret_refs: z.array(z.string()),
  reply_to: z.strictObject({ connector: z.string(), conversation: z.string() }).optional(),
  accepted: z.number(),
  duplicates: z.number(),
  refused: counts,
});

const deliveryInput = z.strictObject({ connector_id: connectorId, delivery_id: deliveryId });
/** `changed` is false where an earlier call did it. */
const interventionOutput = z.strictObject({
  delivery_id: z.string(),
  status: z.string(),
  changed: z.boolean(),
});
const interventionErrors = [
  'not_found',
  'failed_precondition',
  'revision_conflict',
] as const satisfies readonly ErrorCode[];
const resourceOfDelivery = (input: z.infer<typeof deliveryInput>) =>
  `connector:${input.connector_id}/delivery:${input.delivery_id}`;

export const operations = {
  'status.get': defineOperation({
    name: 'status.get',
    kind: 'query',
    summary: 'The gateway as a whole',
    scope: 'admin:read',
    input: empty,
    output: z.strictObject({
      version: z.string(),
      pid: z.number(),
      started_at_ms: z.number(),
      state: z.enum(['starting', 'running', 'degraded', 'stopping']),
      http: z.string(),
      model_provider: z.string(),
      store: z.strictObject({
        free_bytes: z.number(),
        used_bytes: z.number(),
        commits: z.number(),
        flushes: z.number(),
        journal_sequence: z.number(),
        admitting: z.boolean(),
      }),
      counters: counts,
      connectors: z.array(connectorSchema),
      webhooks: z.array(webhookSchema),
      components: z.array(
        z.strictObject({
          path: z.string(),
          state: z.string(),
          restarts: z.number(),
          thread: z.string(),
          mailbox: z.number(),
          last_error: z.string(),
        }),
      ),
    }),
    resource: () => 'gateway',
    errors: [],
    idempotent: true,
    status: 'served',
  }),
  'channels.list': defineOperation({
    name: 'channels.list',
    kind: 'query',
    summary: 'Every connector with its health and queue',
    scope: 'admin:read',
    input: empty,
    output: z.strictObject({ connectors: z.array(connectorSchema) }),
    resource: () => 'connectors',
    errors: [],
    idempotent: true,
    status: 'served',
  }),
  'channels.get': defineOperation({
    name: 'channels.get',
    kind: 'query',
    summary: 'One connector, its recent deliveries and dead letters',
    scope: 'admin:read',
    input: z.strictObject({
      connector_id: connectorId,
      limit: z.number().int().min(1).max(500).default(50),
    }),
    output: z.strictObject({
      connector: connectorSchema,
      deliveries: z.array(deliverySchema),
      dead_letters: z.array(deliverySchema),
    }),
    resource: (input) => `connector:${input.connector_id}`,
    errors: ['not_found'],
    idempotent: true,
    status: 'served',
  }),
  'channels.test': defineOperation({
    name: 'channels.test',
    kind: 'command',
    summary: 'Admits a synthetic inbound message on a connector, as if its platform had sent it',
    scope: 'admin:write',
    input: z.strictObject({
      connector_id: connectorId,
      text: z.string().min(1).max(131_072),
      conversation_id: z.string().min(1).max(256).default('test:conversation'),
      sender_id: z.string().min(1).max(256).default('test-user'),
      is_direct_message: z.boolean().default(true),
    }),
    output: z.strictObject({ accepted: z.boolean(), envelope_id: z.string(), reason: z.string() }),
    resource: (input) => `connector:${input.connector_id}`,
    errors: ['not_found', 'storage_low', 'conversation_busy', 'idempotency_conflict', 'stopping'],
    idempotent: false,
    status: 'served',
  }),
  'channels.replay': defineOperation({
    name: 'channels.replay',
    kind: 'command',
    summary:
      'Sends a held delivery or a dead letter again, from its first piece that is not confirmed',
    scope: 'admin:write',
    input: deliveryInput,
    output: interventionOutput,
    resource: resourceOfDelivery,
    errors: interventionErrors,
    idempotent: true,
    status: 'served',
  }),
  'channels.discard': defineOperation({
    name: 'channels.discard',
    kind: 'command',
    summary: 'Gives up a held delivery: it becomes a dead letter',
    scope: 'admin:write',
    input: deliveryInput,
    output: interventionOutput,
    resource: resourceOfDelivery,
    errors: interventionErrors,
    idempotent: true,
    status: 'served',
  }),
  'webhooks.list': defineOperation({
    name: 'webhooks.list',
    kind: 'query',
    summary: 'Every webhook integration',
    scope: 'admin:read',
    input: empty,
    output: z.strictObject({ webhooks: z.array(webhookSchema) }),
    resource: () => 'webhooks',
    errors: [],
    idempotent: true,
    status: 'served',
  }),
  'webhooks.add': defineOperation({
    name: 'webhooks.add',
    kind: 'command',
    summary:
      'Creates an integration in the store; without secret references one secret is made and shown once',
    scope: 'admin:write',
    input: z.strictObject({
      integration_id: integrationId,
      provider: z
        .string()
        .regex(/^[a-z0-9._-]{1,64}$/)
        .default('generic'),
      secret_refs: z.array(z.string().min(1).max(256)).max(2).default([]),
      max_payload_bytes: z.number().int().min(1).max(1_048_576).default(262_144),
      enabled: z.boolean().default(true),
      reply_to: z
        .strictObject({ connector: connectorId, conversation: z.string().min(1).max(256) })
        .optional(),
    }),
    output: z.strictObject({ webhook: webhookSchema, secret: z.string() }),
    resource: (input) => `webhook:${input.integration_id}`,
    errors: ['already_exists', 'read_only', 'secret_unavailable', 'storage_low'],
    idempotent: false,
    status: 'served',
  }),
  'webhooks.sign': defineOperation({
    name: 'webhooks.sign',
    kind: 'command',
    summary:
      'Signs a body with an integration’s secret, so that a test can post it from outside; the secret stays inside',
    scope: 'admin:write',
    input: z.strictObject({ integration_id: integrationId, body: z.string().max(1_048_576) }),
    output: z.strictObject({
      webhook_id: z.string(),
      webhook_timestamp: z.string(),
      webhook_signature: z.string(),
    }),
    resource: (input) => `webhook:${input.integration_id}`,
    errors: ['not_found', 'secret_unavailable'],
    idempotent: false,
    status: 'served',
  }),
  'vault.put': defineOperation({
    name: 'vault.put',
    kind: 'command',
    summary:
      'Seals a secret in the vault, where `vault:scope/key` finds it; one that was there is replaced',
    scope: 'admin:write',
    input: z
      .strictObject({
        scope: z.string().regex(/^[a-z0-9._-]{1,64}$/),
        key: z.string().regex(/^[a-z0-9._-]{1,128}$/),
        secret: z.string().min(1).max(65_536),
      })
      .refine(
        ({ scope, key, secret }) => `${scope}/${key}` !== 'admin/token' || BEARER.test(secret),
        {
          path: ['secret'],
          error: 'an admin token is 1 to 4,096 visible ASCII characters without spaces',
        },
      ),
    output: z.strictObject({ ref: z.string() }),
    resource: (input) => `vault:${input.scope}/${input.key}`,
    errors: ['failed_precondition', 'revision_conflict', 'storage_low'],
    // So that no digest of the secret is kept for an idempotency key.
    idempotent: true,
    status: 'served',
  }),
  'vault.list': defineOperation({
    name: 'vault.list',
    kind: 'query',
    summary: 'The references of what the vault keeps, never what they stand for',
    scope: 'admin:read',
    input: z.strictObject({
      after: z.string().max(256).default(''),
      limit: z.number().int().min(1).max(500).default(100),
    }),
    output: z.strictObject({ refs: z.array(z.string()), next: z.string() }),
    resource: () => 'vault',
    errors: [],
    idempotent: true,
    status: 'served',
  }),
  'journal.read': defineOperation({
    name: 'journal.read',
    kind: 'feed',
    summary:
      'Journal entries after a cursor, or the newest of all (`tail`) or before one (`before`), oldest first; `subject` keeps the facts that name it',
    scope: 'admin:read',
    input: z.strictObject({
      after: z.number().int().nonnegative().default(0),
      before: z.number().int().nonnegative().default(0),
      limit: z.number().int().min(1).max(500).default(100),
      subject: z.string().max(256).default(''),
      tail: z.boolean().default(false),
    }),
    output: z.strictObject({
      entries: z.array(
        z.strictObject({
          sequence: z.number(),
          at_ms: z.number(),
          hash: z.string(),
          facts: z.array(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))),
        }),
      ),
      /** `after` of the page that follows this one. */
      next: z.number(),
      /** `before` of the page that precedes this one; 0 where none does. */
      previous: z.number(),
    }),
    resource: () => 'journal',
    errors: [],
    idempotent: true,
    status: 'served',
  }),
  'runs.get': defineOperation({
    name: 'runs.get',
    kind: 'query',
    summary: 'One run with its tape',
    scope: 'admin:read',
    input: z.strictObject({ run_id: z.string().length(26) }),
    output: z.strictObject({
      run_id: z.string(),
      envelope_id: z.string(),
      session_key: z.string(),
      status: z.string(),
      attempts: z.number(),
      created_at_ms: z.number(),
      reason: z.string(),
      tape: z.array(
        z.strictObject({ seq: z.number(), type: z.string(), text: z.string(), at_ms: z.number() }),
      ),
    }),
    resource: (input) => `run:${input.run_id}`,
    errors: ['not_found'],
    idempotent: true,
    status: 'served',
  }),
  'backup.create': defineOperation({
    name: 'backup.create',
    kind: 'job',
    summary: 'A consistent copy of the store below the state root',
    scope: 'admin:write',
    input: empty,
    output: z.strictObject({ job_id: z.string() }),
    resource: () => 'store',
    errors: ['storage_low'],
    idempotent: false,
    status: 'served',
  }),
  'jobs.get': defineOperation({
    name: 'jobs.get',
    kind: 'query',
    summary: 'How a job stands',
    scope: 'admin:read',
    input: z.strictObject({ job_id: z.string().length(26) }),
    output: z.strictObject({
      job_id: z.string(),
      operation: z.string(),
      status: z.enum(['running', 'done', 'failed']),
      detail: z.string(),
      started_at_ms: z.number(),
      ended_at_ms: z.number(),
    }),
    resource: (input) => `job:${input.job_id}`,
    errors: ['not_found'],
    idempotent: true,
    status: 'served',
  }),
} as const satisfies Record<string, Operation<z.ZodType, z.ZodType>>;

export type OperationName = keyof typeof operations;
export type InputOf<N extends OperationName> = z.infer<(typeof operations)[N]['input']>;
/** An input before it is checked: what has a default may be left out. */
export type RawInputOf<N extends OperationName> = z.input<(typeof operations)[N]['input']>;
export type OutputOf<N extends OperationName> = z.infer<(typeof operations)[N]['output']>;
