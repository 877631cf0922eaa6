/** Holds the configuration file's reading: each error with its line and key, all at once, no secret shown, nothing valid lost. */
import fc from 'fast-check';
import { stringify } from 'smol-toml';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WEBHOOK_RULE } from '../../../actors/router/decide.ts';
import { ConfigError, type ConfigIssue } from '../../../cli/config/config-error.ts';
import type { ConnectorKinds } from '../../../cli/config/kind-checks.ts';
import { parseConfig } from '../../../cli/config/parse.ts';
import { configFileSchema, toGatewayConfig } from '../../../cli/config/schema.ts';
import { builtInKinds } from '../../../cli/connector-kinds.ts';
import { validFile } from '../support/config-arbitrary.ts';

const test = suite('config: parse');
const kinds: ConnectorKinds = await builtInKinds();

const EXAMPLE = `[admin]
token_ref = "env:PALYRA_ADMIN_TOKEN"
[model]
provider = "echo"
[[connectors]]
id = "telegram:main"
kind = "telegram"
token_ref = "env:TELEGRAM_TOKEN"
api_root = "https://api.telegram.org"
on_unknown = "retry"
[channel_router]
enabled = true
[[channel_router.routing.channels]]
channel = "telegram:main"
enabled = true
allow_direct_messages = true
direct_message_policy = "allow"
[[webhooks]]
integration_id = "orders"
provider = "generic"
secret_refs = ["env:ORDERS_SECRET"]
reply_to = { connector = "telegram:main", conversation = "42" }
`;

function issuesOf(source: string, known = kinds): readonly ConfigIssue[] {
  try {
    parseConfig(source, 'palyra.toml', known);
  } catch (error) {
    assert.instance(error, ConfigError);
    return (error as ConfigError).issues;
  }
  return [];
}

/** The one issue that a change of the example makes, as `line key`. */
function placeOf(from: string, to: string): string {
  assert.ok(EXAMPLE.includes(from), `the example holds ${from}`);
  const issues = issuesOf(EXAMPLE.replace(from, to));
  assert.is(issues.length, 1, JSON.stringify(issues));
  return `${issues[0]?.line} ${issues[0]?.key}`;
}

test('how long a stop serves on while unready is 0 to 60,000 ms', () => {
  const set = (text: string) => `[http]\nunready_ms = ${text}\n`;
  for (const ms of [0, 60_000]) {
    assert.is(parseConfig(set(String(ms)), 'palyra.toml', kinds).config.http.unreadyMs, ms);
  }
  for (const text of ['-1', '60001', '0.5', '"1s"']) {
    assert.equal(
      issuesOf(set(text)).map(({ line, key }) => `${line} ${key}`),
      ['2 http.unready_ms'],
    );
  }
});

test('the documented example is read into its typed form', () => {
  const { config, warnings } = parseConfig(EXAMPLE, 'palyra.toml', kinds);
  assert.equal(warnings, []);
  assert.equal(config.http, { host: '127.0.0.1', port: 7_142, unreadyMs: 250 });
  assert.equal(config.admin, { tokenRef: 'env:PALYRA_ADMIN_TOKEN' });
  assert.equal(config.model, { provider: 'echo' });
  assert.equal(config.connectors, [
    {
      connectorId: 'telegram:main',
      kind: 'telegram',
      tokenRef: 'env:TELEGRAM_TOKEN',
      onUnknown: 'retry',
      parkedMaxAgeMs: 604_800_000,
      enabled: true,
      options: { api_root: 'https://api.telegram.org' },
    },
  ]);
  assert.equal(config.webhooks, [
    {
      integrationId: 'orders',
      provider: 'generic',
      secretRefs: ['env:ORDERS_SECRET'],
      enabled: true,
      maxPayloadBytes: 262_144,
      replyTo: { connectorId: 'telegram:main', conversationId: '42', threadId: '' },
    },
  ]);
  assert.is(config.router.enabled, true);
  assert.is(config.router.channels[0]?.directMessagePolicy, 'allow');
  assert.is(config.router.channels[0]?.concurrencyLimit, 2);
});

test('an empty file is the defaults', () => {
  const { config } = parseConfig('', 'palyra.toml', kinds);
  assert.equal(config.connectors, []);
  assert.equal(config.webhooks, []);
  assert.equal(config.model, { provider: 'echo' });
  assert.is(config.router.maxMessageBytes, 32_768);
  assert.is(config.router.defaults.enabled, false);
  assert.is(config.router.defaults.directMessagePolicy, 'deny');
});

test('a connector of the kind that webhooks are channels of is refused, whoever brings it', () => {
  const named = '[[connectors]]\nid = "webhook:orders"\nkind = "webhook"\n';
  const brought = { ...kinds, webhook: { checkOptions: () => undefined } };
  for (const known of [kinds, brought]) {
    assert.equal(
      issuesOf(named, known).map(({ file, line, key }) => `${file}:${line} ${key}`),
      ['palyra.toml:3 connectors[0].kind'],
    );
  }
});

test('every wrong value is named by its line and key', () => {
  assert.is(
    placeOf('token_ref = "env:PALYRA_ADMIN_TOKEN"', 'token_ref = "hunter2"'),
    '2 admin.token_ref',
  );
  assert.is(placeOf('provider = "echo"', 'provider = 3'), '4 model.provider');
  const [first] = issuesOf(EXAMPLE.replace('id = "telegram:main"', 'id = "telegram"'));
  assert.is(`${first?.line} ${first?.key}`, '6 connectors[0].id');
});

test('every wrong value of a connector, a rule and a webhook is named by its line and key', () => {
  assert.is(placeOf('kind = "telegram"', 'kind = "telegraph"'), '7 connectors[0].kind');
  assert.is(placeOf('"https://api.telegram.org"', '"ftp://x"'), '9 connectors[0].api_root');
  assert.is(placeOf('on_unknown = "retry"', 'on_unknown = "drop"'), '10 connectors[0].on_unknown');
  const age = 'parked_max_age_days';
  assert.is(placeOf('on_unknown = "retry"', `${age} = 0`), `10 connectors[0].${age}`);
  assert.is(
    placeOf('[channel_router]\nenabled = true', '[channel_router]\nenabled = "yes"'),
    '12 channel_router.enabled',
  );
  assert.is(
    placeOf('allow_direct_messages = true', 'allow_direct_messages = 1'),
    '16 channel_router.routing.channels[0].allow_direct_messages',
  );
  assert.is(
    placeOf('"allow"', '"maybe"'),
    '17 channel_router.routing.channels[0].direct_message_policy',
  );
  assert.is(placeOf('"orders"', '"Orders!"'), '19 webhooks[0].integration_id');
  assert.is(placeOf('["env:ORDERS_SECRET"]', '[]'), '21 webhooks[0].secret_refs');
  assert.is(
    placeOf('["env:ORDERS_SECRET"]', '["env:A", "env:A"]'),
    '21 webhooks[0].secret_refs[1]',
  );
  assert.is(
    placeOf('conversation = "42"', 'conversation = 42'),
    '22 webhooks[0].reply_to.conversation',
  );
});

test('a missing key is named by the line of its section', () => {
  assert.is(placeOf('kind = "telegram"', '#'), '5 connectors[0].kind');
  assert.is(placeOf('secret_refs = ["env:ORDERS_SECRET"]', '#'), '18 webhooks[0].secret_refs');
});

test('an unknown key is refused with the nearest known one', () => {
  const nearest = (from: string, to: string): string =>
    issuesOf(EXAMPLE.replace(from, to))[0]?.expected.split(' ')[0] ?? '';
  assert.is(nearest('token_ref = "env:PALYRA', 'token_reff = "env:PALYRA'), 'token_ref');
  assert.is(nearest('token_ref = "env:TELEGRAM', 'tokn_ref = "env:TELEGRAM'), 'token_ref');
  assert.is(nearest('allow_direct_messages', 'allow_direct_mesages'), 'allow_direct_messages');
  assert.is(
    nearest('secret_refs = ["env:ORDERS_SECRET"]', 'secret_refs = ["env:A"]\nmax_payload_byte = 1'),
    'max_payload_bytes',
  );
  assert.is(nearest('[channel_router]', '[chanel_router]'), 'channel_router');
  assert.is(placeOf('[model]', '[modle]'), '3 modle');
});

test('ids that occur twice are refused at the second one', () => {
  const twice = `${EXAMPLE}[[webhooks]]\nintegration_id = "orders"\nsecret_refs = ["env:B"]\n`;
  assert.equal(
    issuesOf(twice).map(({ line, key }) => `${line} ${key}`),
    ['24 webhooks[1].integration_id'],
  );
  const again = `${EXAMPLE}[[connectors]]\nid = "telegram:Main"\nkind = "telegram"\n`;
  assert.equal(
    issuesOf(again).map(({ line, key }) => `${line} ${key}`),
    ['24 connectors[1].id'],
  );
  const rule = `${EXAMPLE}[[channel_router.routing.channels]]\nchannel = "TELEGRAM:main"\n`;
  assert.equal(
    issuesOf(rule).map(({ line, key }) => `${line} ${key}`),
    ['24 channel_router.routing.channels[1].channel'],
  );
});

test('a reply_to that names a disabled connector is refused: its replies would go nowhere', () => {
  const disabled = EXAMPLE.replace('kind = "telegram"', 'kind = "telegram"\nenabled = false');
  const [issue, ...others] = issuesOf(disabled);
  assert.equal(others, []);
  assert.is(`${issue?.line} ${issue?.key}`, '23 webhooks[0].reply_to.connector');
  assert.is(issue?.expected, 'the id of an enabled connector in this file (there is none)');
  const two = `${disabled}\n[[connectors]]\nid = "echo:a"\nkind = "echo"\n`;
  assert.match(issuesOf(two)[0]?.expected ?? '', '(enabled: echo:a)');
});

test('a reply_to that names no connector is refused with the enabled ones', () => {
  const [issue, ...others] = issuesOf(
    EXAMPLE.replace('connector = "telegram:main"', 'connector = "telegram:x"'),
  );
  assert.equal(others, []);
  assert.is(`${issue?.line} ${issue?.key}`, '22 webhooks[0].reply_to.connector');
  assert.match(issue?.expected ?? '', 'telegram:main');
});

test('model keys must fit the provider', () => {
  assert.is(placeOf('provider = "echo"', 'provider = "echo"\nmodel = "m"'), '5 model.model');
  const missing = issuesOf(EXAMPLE.replace('"echo"', '"openai-compatible"'));
  assert.equal(
    missing.map(({ key }) => key),
    ['model.base_url', 'model.model'],
  );
  assert.equal(
    missing.map(({ line }) => line),
    [3, 3],
  );
});

test('a kind that does not exist and an option that its kind refuses are config errors', () => {
  const source =
    '[[connectors]]\nid = "telegrm:a"\nkind = "telegrm"\n[[connectors]]\nid = "echo:b"\nkind = "echo"\nspeed = 3\n';
  const issues = issuesOf(source);
  assert.equal(
    issues.map(({ line, key }) => `${line} ${key}`),
    ['3 connectors[0].kind', '7 connectors[1].speed'],
  );
  assert.match(issues[0]?.expected ?? '', 'probably telegram');
});

test('all issues are reported at once, in the order of lines', () => {
  const broken = EXAMPLE.replace('"echo"', '"ecko"')
    .replace('on_unknown = "retry"', 'on_unknown = "drop"')
    .replace('integration_id', 'integration')
    .replace('conversation', 'conversaton')
    .replace('connector = "telegram:main"', 'connector = "telegram:x"');
  const issues = issuesOf(broken);
  const lines = issues.map(({ line }) => line);
  assert.equal(
    lines,
    [...lines].sort((a, b) => a - b),
  );
  assert.equal(
    new Set(issues.map(({ key }) => key)),
    new Set([
      'model.provider',
      'connectors[0].on_unknown',
      'webhooks[0].integration',
      'webhooks[0].integration_id',
      'webhooks[0].reply_to.conversaton',
      'webhooks[0].reply_to.conversation',
      'webhooks[0].reply_to.connector',
    ]),
  );
});

test('6: a secret pasted where a reference belongs is not repeated', () => {
  const secrets = [
    'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    'hunter2',
    '12345:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  ];
  for (const secret of secrets) {
    for (const from of ['env:PALYRA_ADMIN_TOKEN', 'env:TELEGRAM_TOKEN', 'env:ORDERS_SECRET']) {
      const issues = issuesOf(EXAMPLE.replace(from, secret));
      assert.is(issues.length, 1);
      assert.not.match(new ConfigError(issues).message, secret);
    }
  }
});

test('6: a syntax error names its line and shows nothing of the text', () => {
  const [issue] = issuesOf('[admin]\ntoken_ref = "whsec_abc\n');
  assert.is(issue?.line, 2);
  assert.not.match(JSON.stringify(issue), 'whsec_abc');
});

test('keys that would reach a prototype are refused', () => {
  assert.ok(issuesOf('__proto__ = { x = 1 }\n').length > 0);
  assert.ok(issuesOf('[constructor]\nx = 1\n').length > 0);
});

test('settings that have no effect yet are warnings, with their line', () => {
  const rule = 'direct_message_policy = "allow"';
  const source = EXAMPLE.replace(rule, 'direct_message_policy = "pairing"\nconcurrency_limit = 3');
  assert.not.equal(source, EXAMPLE);
  const keys = parseConfig(source, 'palyra.toml', kinds).warnings.map(({ key }) => key);
  const at = 'channel_router.routing.channels[0]';
  assert.equal(keys.sort(), [`${at}.concurrency_limit`, `${at}.direct_message_policy`]);
});

test('a rule for no channel, a channel without a rule and a disabled router are warnings', () => {
  const warningsOf = (source: string): readonly string[] =>
    parseConfig(source, 'palyra.toml', kinds).warnings.map(({ line, key }) => `${line} ${key}`);
  assert.equal(
    warningsOf(EXAMPLE.replace('channel = "telegram:main"', 'channel = "telegram:old"')),
    ['6 connectors[0].id', '14 channel_router.routing.channels[0].channel'],
  );
  assert.equal(
    warningsOf(
      EXAMPLE.replace('[channel_router]\nenabled = true', '[channel_router]\nenabled = false'),
    ),
    ['12 channel_router.enabled'],
  );
});

test('rules inherit what they leave out from the defaults', () => {
  const source = `${EXAMPLE.replace('[[channel_router.routing.channels]]', '[channel_router.routing]\ndefault_concurrency_limit = 7\ndefault_broadcast_strategy = "mention-only"\n[[channel_router.routing.channels]]\nmention_patterns = ["@Palyra", "@palyra"]')}`;
  const rule = parseConfig(source, 'palyra.toml', kinds).config.router.channels[0];
  assert.is(rule?.concurrencyLimit, 7);
  assert.is(rule?.broadcastStrategy, 'mention_only');
  assert.equal(rule?.mentionPatterns, ['@palyra']);
});

test('a webhook’s rule changes what it writes of the implicit one, and nothing else of it', () => {
  const ruleOf = (written: string) => {
    const source = EXAMPLE.replace(
      '[[webhooks]]',
      `[[channel_router.routing.channels]]\nchannel = "Webhook:orders"\n${written}\n[[webhooks]]`,
    );
    return parseConfig(source, 'palyra.toml', kinds).config.router.channels[1];
  };
  const implicit = { ...WEBHOOK_RULE, channel: 'webhook:orders', concurrencyLimit: 2 };
  assert.equal(ruleOf(''), implicit);
  assert.equal(ruleOf('response_prefix = "> "'), { ...implicit, responsePrefix: '> ' });
  assert.equal(
    ruleOf(
      'enabled = false\nmention_patterns = []\ndeny_from = ["A"]\nallow_direct_messages = false',
    ),
    {
      ...implicit,
      enabled: false,
      mentionPatterns: [],
      denyFrom: ['a'],
      allowDirectMessages: false,
    },
  );
});

test('any valid file survives being written and read', () => {
  fc.assert(
    fc.property(validFile, (file) => {
      const { config } = parseConfig(stringify(file), 'palyra.toml', kinds);
      assert.equal(config, toGatewayConfig(configFileSchema.parse(file)));
      assert.equal(
        config.webhooks.map(({ integrationId }) => integrationId),
        file.webhooks.map(({ integration_id }) => integration_id),
      );
      assert.equal(
        config.connectors.map(({ options }) => options.api_root),
        file.connectors.map(({ api_root }) => api_root),
      );
    }),
    { numRuns: 150 },
  );
});

test.run();
