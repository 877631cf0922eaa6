/** The configuration file's one schema, in the file's own spelling, and its translation. Positions and checks between sections are elsewhere. */
import { z } from 'zod';
import { isWebhookChannel, WEBHOOK_RULE } from '../../actors/router/decide.ts';
import { DEFAULT_HISTORY_LIMITS } from '../../actors/sessions/history.ts';
import { parseConnectorId, parseIntegrationId } from '../../proto/ids.ts';
import {
  BROADCAST_STRATEGIES,
  type ChannelRule,
  DIRECT_MESSAGE_POLICIES,
  type GatewayConfig,
  type ModelConfig,
  type RouterConfig,
  type WebhookConfig,
} from './gateway-config.ts';
import { parseListen } from './listen.ts';

export type {
  ChannelRule,
  ConnectorConfig,
  GatewayConfig,
  ModelConfig,
  RouterConfig,
  WebhookConfig,
} from './gateway-config.ts';

export const DEFAULT_LISTEN = '127.0.0.1:7142';

/** `env:NAME`, `file:PATH` or `vault:scope/key`. */
const SECRET_REF =
  /^(?:env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\0]{1,4096}|vault:[a-z0-9._-]{1,64}\/[a-z0-9._-]{1,128})$/;
const CHANNEL = /^[A-Za-z0-9._:-]{1,160}$/;
const SENDER = /^[A-Za-z0-9._\-@:/#]{1,256}$/;

const upTo = (bytes: number) =>
  z
    .string()
    .refine((text) => Buffer.byteLength(text) <= bytes, { error: `at most ${bytes} bytes` })
    .refine((text) => text.trim() !== '', { error: 'text that is not blank' });
const secretRef = z
  .string()
  .regex(SECRET_REF, { error: 'a reference: env:NAME, file:PATH or vault:scope/key' });
const connectorId = z.string().refine((id) => parseConnectorId(id) !== undefined, {
  error:
    'kind:account, e.g. telegram:main (lower-case kind; letters, digits, . _ - after the colon)',
});
const httpUrl = z.string().refine(isPlainHttpUrl, {
  error: 'an http:// or https:// URL without a user name, query or fragment',
});
const senders = z
  .array(z.string().regex(SENDER, { error: 'a sender id of letters, digits and . _ - @ : / #' }))
  .max(1_024);
const wholeNumber = (max: number) => z.int().min(1).max(max);
const broadcast = withAlias(BROADCAST_STRATEGIES, { 'mention-only': 'mention_only' });
const directMessages = withAlias(DIRECT_MESSAGE_POLICIES, { pair: 'pairing' });

const modelSection = z.strictObject({
  provider: z.enum(['echo', 'openai-compatible']).default('echo'),
  base_url: httpUrl.optional(),
  model: upTo(256).optional(),
  api_key_ref: secretRef.optional(),
  history_exchanges: z.int().min(0).max(1_000).default(DEFAULT_HISTORY_LIMITS.exchanges),
  history_bytes: z.int().min(0).max(4_194_304).default(DEFAULT_HISTORY_LIMITS.bytes),
});

const connectorSection = z.looseObject({
  id: connectorId,
  kind: z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, {
    error: 'a lower-case word, the part of the id before the colon',
  }),
  token_ref: secretRef.optional(),
  api_root: httpUrl.optional(),
  on_unknown: z.enum(['retry', 'hold']).default('retry'),
  parked_max_age_days: wholeNumber(365).default(7),
  enabled: z.boolean().default(true),
});

const channelRule = z.strictObject({
  channel: z.string().regex(CHANNEL, { error: 'a connector id, or webhook:<integration_id>' }),
  enabled: z.boolean().optional(),
  mention_patterns: z.array(upTo(128)).max(64).optional(),
  allow_from: senders.optional(),
  deny_from: senders.optional(),
  allow_direct_messages: z.boolean().optional(),
  direct_message_policy: directMessages.optional(),
  isolate_session_by_sender: z.boolean().optional(),
  response_prefix: upTo(256).optional(),
  broadcast_strategy: broadcast.optional(),
  concurrency_limit: wholeNumber(1_024).optional(),
});

const routerSection = z.strictObject({
  enabled: z.boolean().default(true),
  max_message_bytes: wholeNumber(131_072).default(32_768),
  routing: z
    .strictObject({
      default_channel_enabled: z.boolean().default(false),
      default_allow_direct_messages: z.boolean().default(false),
      default_direct_message_policy: directMessages.default('deny'),
      default_isolate_session_by_sender: z.boolean().default(false),
      default_response_prefix: upTo(256).optional(),
      default_broadcast_strategy: broadcast.default('deny'),
      default_concurrency_limit: wholeNumber(1_024).default(2),
      channels: z.array(channelRule).max(2_048).default([]),
    })
    .prefault({}),
});

const webhookSection = z.strictObject({
  integration_id: z.string().refine((id) => parseIntegrationId(id) !== undefined, {
    error: '1 to 64 lower-case letters, digits, . _ -',
  }),
  provider: z
    .string()
    .regex(/^[a-z0-9._-]{1,64}$/, { error: '1 to 64 lower-case letters, digits, . _ -' })
    .default('generic'),
  // Its length is a cross-check: zod passes over the entries of a list that is too long.
  secret_refs: z.array(secretRef).meta({ minItems: 1, maxItems: 2 }),
  enabled: z.boolean().default(true),
  max_payload_bytes: wholeNumber(1_048_576).default(262_144),
  reply_to: z
    .strictObject({ connector: connectorId, conversation: upTo(256), thread: upTo(256).optional() })
    .optional(),
});

/** The whole file. Its JSON Schema is what `palyra config schema` prints. */
export const configFileSchema = z.strictObject({
  http: z
    .strictObject({
      listen: z
        .string()
        .refine((text) => parseListen(text) !== undefined, {
          error: 'HOST:PORT, e.g. 127.0.0.1:7142',
        })
        .default(DEFAULT_LISTEN),
      unready_ms: z.int().min(0).max(60_000).default(250),
    })
    .prefault({}),
  admin: z.strictObject({ token_ref: secretRef.optional() }).prefault({}),
  model: modelSection.prefault({}),
  connectors: z.array(connectorSection).max(1_024).default([]),
  channel_router: routerSection.prefault({}),
  webhooks: z.array(webhookSection).max(1_024).default([]),
});
/** Keys of every connector that are the gateway's own; all others are its kind's options. */
const GATEWAY_KEYS: readonly string[] = [
  'id',
  'kind',
  'token_ref',
  'on_unknown',
  'parked_max_age_days',
  'enabled',
];
const DAY_MS = 24 * 3_600_000;
/** Keys that the schema itself knows in a connector's section. */
export const CONNECTOR_SECTION_KEYS: readonly string[] = Object.keys(connectorSection.shape);

export type ConfigFile = z.infer<typeof configFileSchema>;
type RuleSection = ConfigFile['channel_router']['routing']['channels'][number];

/** The file's parsed content as the program reads it. Checks between sections must have passed. */
export function toGatewayConfig(file: ConfigFile): GatewayConfig {
  return {
    http: {
      ...(parseListen(file.http.listen) ?? { host: '127.0.0.1', port: 7_142 }),
      unreadyMs: file.http.unready_ms,
    },
    admin: { tokenRef: file.admin.token_ref ?? '' },
    model: toModel(file.model),
    history: { exchanges: file.model.history_exchanges, bytes: file.model.history_bytes },
    connectors: file.connectors.map((section) => ({
      connectorId: section.id,
      kind: section.kind,
      tokenRef: section.token_ref ?? '',
      onUnknown: section.on_unknown,
      parkedMaxAgeMs: section.parked_max_age_days * DAY_MS,
      enabled: section.enabled,
      options: optionsOf(section),
    })),
    router: toRouter(file.channel_router),
    webhooks: file.webhooks.map(toWebhook),
  };
}

/** What a connector's section gives to its kind. */
export function optionsOf(section: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(section).filter(([key]) => !GATEWAY_KEYS.includes(key)));
}

function toModel(section: ConfigFile['model']): ModelConfig {
  if (section.provider === 'echo') return { provider: 'echo' };
  return {
    provider: section.provider,
    baseUrl: (section.base_url ?? '').replace(/\/+$/, ''),
    model: section.model ?? '',
    apiKeyRef: section.api_key_ref ?? '',
  };
}

function toRouter(section: ConfigFile['channel_router']): RouterConfig {
  const { routing } = section;
  const defaults = {
    enabled: routing.default_channel_enabled,
    allowDirectMessages: routing.default_allow_direct_messages,
    directMessagePolicy: routing.default_direct_message_policy,
    isolateSessionBySender: routing.default_isolate_session_by_sender,
    responsePrefix: routing.default_response_prefix ?? '',
    broadcastStrategy: routing.default_broadcast_strategy,
    concurrencyLimit: routing.default_concurrency_limit,
  };
  return {
    enabled: section.enabled,
    maxMessageBytes: section.max_message_bytes,
    defaults,
    channels: routing.channels.map((rule) => toRule(rule, defaults)),
  };
}

/** What the rule leaves out is as it would be without the rule. */
function toRule(rule: RuleSection, defaults: RouterConfig['defaults']): ChannelRule {
  const channel = rule.channel.toLowerCase();
  const unwritten = isWebhookChannel(channel)
    ? { ...defaults, ...WEBHOOK_RULE }
    : { ...defaults, mentionPatterns: [], allowFrom: [], denyFrom: [] };
  return {
    channel,
    enabled: rule.enabled ?? unwritten.enabled,
    mentionPatterns: lowerCased(rule.mention_patterns ?? unwritten.mentionPatterns),
    allowFrom: lowerCased(rule.allow_from ?? unwritten.allowFrom),
    denyFrom: lowerCased(rule.deny_from ?? unwritten.denyFrom),
    allowDirectMessages: rule.allow_direct_messages ?? unwritten.allowDirectMessages,
    directMessagePolicy: rule.direct_message_policy ?? unwritten.directMessagePolicy,
    isolateSessionBySender: rule.isolate_session_by_sender ?? unwritten.isolateSessionBySender,
    responsePrefix: rule.response_prefix ?? unwritten.responsePrefix,
    broadcastStrategy: rule.broadcast_strategy ?? unwritten.broadcastStrategy,
    concurrencyLimit: rule.concurrency_limit ?? unwritten.concurrencyLimit,
  };
}

function toWebhook(section: ConfigFile['webhooks'][number]): WebhookConfig {
  const target = section.reply_to;
  return {
    integrationId: section.integration_id,
    provider: section.provider,
    secretRefs: section.secret_refs,
    enabled: section.enabled,
    maxPayloadBytes: section.max_payload_bytes,
    ...(target === undefined
      ? {}
      : {
          replyTo: {
            connectorId: target.connector,
            conversationId: target.conversation,
            threadId: target.thread ?? '',
          },
        }),
  };
}

function lowerCased(words: readonly string[]): readonly string[] {
  return [...new Set(words.map((word) => word.trim().toLowerCase()))];
}

/** An enum that also takes other spellings; the JSON Schema shows the spelled ones. */
function withAlias<const T extends readonly [string, ...string[]]>(
  values: T,
  aliases: Readonly<Record<string, T[number]>>,
) {
  const spelled = z.enum([...values, ...Object.keys(aliases)]);
  return spelled.transform((value): T[number] => aliases[value] ?? value);
}

function isPlainHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const isHttp = url.protocol === 'http:' || url.protocol === 'https:';
  return isHttp && url.username === '' && url.password === '' && !/[?#]/.test(text);
}
