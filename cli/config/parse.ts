/** Turns the text of a configuration file into the configuration, or into all that is wrong with it. It reads no file and no environment. */
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { CheckedConfig, inOrder } from './checked-config.ts';
import {
  ConfigError,
  type ConfigIssue,
  describeValue,
  type KeyIssue,
  keyText,
  toKeyIssues,
} from './config-error.ts';
import { crossCheck } from './cross-checks.ts';
import { type KeyPath, locateKeys } from './key-lines.ts';
import { type ConnectorKinds, checkKinds } from './kind-checks.ts';
import { type ConfigFile, configFileSchema, toGatewayConfig } from './schema.ts';

/**
 * The configuration in a TOML text. Throws `ConfigError` with every issue at once: syntax, unknown keys, wrong values,
 * contradictions between sections, and options that a connector's kind refuses.
 */
export function parseConfig(source: string, file: string, kinds: ConnectorKinds): CheckedConfig {
  const raw = parseToml(source, file);
  return check(raw, kinds, placing(file, locateKeys(source)));
}

/** The same for what a TOML text would hold; its issues have no line. */
export function parseConfigTable(raw: unknown, kinds: ConnectorKinds): CheckedConfig {
  return check(
    raw,
    kinds,
    placing('config', () => 0),
  );
}

/** Puts an issue where its key stands. */
export function placing(
  file: string,
  lineOf: (path: KeyPath) => number,
): (issue: KeyIssue) => ConfigIssue {
  return ({ path, expected, value }) => {
    return { file, line: lineOf(path), key: keyText(path), expected, value };
  };
}

function check(
  raw: unknown,
  kinds: ConnectorKinds,
  place: (issue: KeyIssue) => ConfigIssue,
): CheckedConfig {
  const parsed = configFileSchema.safeParse(raw);
  const schemaIssues = toKeyIssues(parsed.error?.issues ?? [], raw, configJsonSchema());
  const issues = [...schemaIssues, ...crossCheck(raw), ...checkKinds(raw, kinds)];
  if (issues.length > 0 || !parsed.success) throw refusal(issues.map(place));
  return new CheckedConfig(toGatewayConfig(parsed.data), doubts(parsed.data), place);
}

/** JSON Schema (2020-12) of the file, for editors and checks. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configFileSchema, { io: 'input' });
}

function parseToml(source: string, file: string): unknown {
  try {
    return parse(source, { unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The library's message goes on with the source itself, which may hold a secret.
    const reason = error.message.split('\n', 1)[0]?.replace('Invalid TOML document: ', '') ?? '';
    const line = error.line;
    throw new ConfigError([
      { file, line, key: '', expected: `TOML 1.0 (${reason})`, value: 'text that cannot be read' },
    ]);
  }
}

/** One issue a key: the schema and a kind may both complain about the same one. */
function refusal(issues: readonly ConfigIssue[]): ConfigError {
  const first = new Map<string, ConfigIssue>();
  for (const issue of issues) if (!first.has(issue.key)) first.set(issue.key, issue);
  return new ConfigError(inOrder([...first.values()]));
}

function doubts(file: ConfigFile): KeyIssue[] {
  const router = file.channel_router;
  const channels = new Set([
    ...file.connectors.map(({ id }) => id.toLowerCase()),
    ...file.webhooks.map(({ integration_id }) => `webhook:${integration_id}`),
  ]);
  const ruled = new Set(router.routing.channels.map(({ channel }) => channel.toLowerCase()));
  const issues: KeyIssue[] = withoutEffect(router.routing.channels);
  router.routing.channels.forEach(({ channel }, index) => {
    if (channels.has(channel.toLowerCase())) return;
    const path = ['channel_router', 'routing', 'channels', index, 'channel'];
    const expected = 'a connector or webhook of this file';
    issues.push({ path, expected, value: describeValue(channel, path) });
  });
  if (!router.enabled) {
    const path = ['channel_router', 'enabled'];
    return [...issues, { path, expected: 'true: every message is rejected', value: 'false' }];
  }
  if (router.routing.default_channel_enabled) return issues;
  file.connectors.forEach(({ id }, index) => {
    if (ruled.has(id.toLowerCase())) return;
    const path = ['connectors', index, 'id'];
    const expected = `a rule for ${id} in [[channel_router.routing.channels]]: without one its messages are rejected`;
    issues.push({ path, expected, value: 'none' });
  });
  return issues;
}

/** Settings that are taken and do not yet do what their name says. */
function withoutEffect(rules: ConfigFile['channel_router']['routing']['channels']): KeyIssue[] {
  return rules.flatMap((rule, index): KeyIssue[] => {
    const path = ['channel_router', 'routing', 'channels', index];
    const found: KeyIssue[] = [];
    if (rule.concurrency_limit !== undefined) {
      const value = String(rule.concurrency_limit);
      const expected =
        'no limit: it has no effect yet, each conversation runs one message at a time';
      found.push({ path: [...path, 'concurrency_limit'], expected, value });
    }
    if (rule.direct_message_policy === 'pairing') {
      const expected = 'allow or deny: nobody can be paired yet, so it denies all but allow_from';
      found.push({ path: [...path, 'direct_message_policy'], expected, value: 'pairing' });
    }
    return found;
  });
}
