/** Arbitrary valid configuration files, as the object that TOML text is made of. */
import fc from 'fast-check';

const reference = fc.oneof(
  fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,12}$/).map((name) => `env:${name}`),
  fc.stringMatching(/^\/[a-z./ -]{0,12}[a-z]$/).map((path) => `file:${path}`),
  fc.stringMatching(/^[a-z]{1,8}\/[a-z]{1,8}$/).map((place) => `vault:${place}`),
);
const text = fc
  .string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
  .filter((value) => value.trim() !== '');
const account = fc.stringMatching(/^[a-z0-9._-]{1,12}$/);

const connector = fc.record(
  {
    account,
    token_ref: reference,
    api_root: fc.constantFrom('https://api.telegram.org', 'http://127.0.0.1:8081'),
    on_unknown: fc.constantFrom('retry', 'hold'),
    parked_max_age_days: fc.integer({ min: 1, max: 365 }),
    enabled: fc.boolean(),
  },
  { requiredKeys: ['account'] },
);

const rule = fc.record(
  {
    channel: fc.stringMatching(/^[a-z0-9._:-]{1,12}$/),
    enabled: fc.boolean(),
    mention_patterns: fc.array(text, { maxLength: 3 }),
    allow_from: fc.array(fc.stringMatching(/^[A-Za-z0-9._@:/#-]{1,12}$/), { maxLength: 3 }),
    direct_message_policy: fc.constantFrom('deny', 'pairing', 'pair', 'allow'),
    broadcast_strategy: fc.constantFrom('deny', 'mention_only', 'mention-only', 'allow'),
    response_prefix: text,
    concurrency_limit: fc.integer({ min: 1, max: 1_024 }),
  },
  { requiredKeys: ['channel'] },
);

const webhook = fc.record(
  {
    integration_id: account,
    provider: account,
    secret_refs: fc.uniqueArray(reference, { minLength: 1, maxLength: 2 }),
    enabled: fc.boolean(),
    max_payload_bytes: fc.integer({ min: 1, max: 1_048_576 }),
    replies: fc.record({ conversation: text, to: fc.nat() }),
  },
  { requiredKeys: ['integration_id', 'secret_refs'] },
);

const model = fc.oneof(
  fc.constant({ provider: 'echo' }),
  fc.record(
    {
      provider: fc.constant('openai-compatible'),
      base_url: fc.constantFrom('https://api.openai.com/v1', 'http://localhost:11434/v1/'),
      model: text,
      api_key_ref: reference,
    },
    { requiredKeys: ['provider', 'base_url', 'model'] },
  ),
);

/** Ids are unique and every `reply_to` names an enabled connector of the file. */
export const validFile = fc
  .record({
    connectors: fc.uniqueArray(connector, { maxLength: 3, selector: (entry) => entry.account }),
    rules: fc.uniqueArray(rule, { maxLength: 3, selector: (entry) => entry.channel }),
    webhooks: fc.uniqueArray(webhook, { maxLength: 3, selector: (entry) => entry.integration_id }),
    model,
    listen: fc.constantFrom('127.0.0.1:0', 'localhost:7142', '[::1]:65535'),
    unreadyMs: fc.nat(60_000),
    enabled: fc.boolean(),
  })
  .map(({ connectors, rules, webhooks, model: section, listen, unreadyMs, enabled }) => {
    const accounts = connectors.map(({ account: name, ...rest }) => ({
      id: `telegram:${name}`,
      kind: 'telegram',
      ...rest,
    }));
    const targets = accounts.filter((entry) => entry.enabled !== false);
    return {
      http: { listen, unready_ms: unreadyMs },
      model: section,
      connectors: accounts,
      channel_router: { enabled, routing: { channels: rules } },
      webhooks: webhooks.map(({ replies, ...rest }) => {
        const target = targets[(replies?.to ?? 0) % Math.max(1, targets.length)];
        if (replies === undefined || target === undefined) return rest;
        return { ...rest, reply_to: { connector: target.id, conversation: replies.conversation } };
      }),
    };
  });
