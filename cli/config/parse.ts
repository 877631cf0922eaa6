/** Turns the text of a configuration file into the configuration, or into all that is wrong with it. It reads no file and no environment. */
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import type { ConnectorKind } from '../../connectors/connector.ts';
import { PalyraError } from '../../proto/errors.ts';
import { nearestOf } from '../nearest.ts';
import {
  ConfigError,
  type ConfigIssue,
  describeValue,
  type KeyIssue,
  keyText,
  knownKeysAt,
  toKeyIssues,
} from './config-error.ts';
import { crossCheck } from './cross-checks.ts';
import { type KeyPath, locateKeys } from './key-lines.ts';
import {
  type ConfigFile,
  configFileSchema,
  type GatewayConfig,
  toGatewayConfig,
} from './schema.ts';

export type ConnectorKinds = Readonly<Record<string, ConnectorKind>>;

export interface ParsedConfig {
  readonly config: GatewayConfig;
  /** What is allowed but probably not meant. */
  readonly warnings: readonly ConfigIssue[];
}

/**
 * The configuration in a TOML text. Throws `ConfigError` with every issue at once: syntax, unknown keys, wrong values,
 * contradictions between sections, and options that a connector's kind refuses.
 */
export function parseConfig(source: string, file: string, kinds: ConnectorKinds): ParsedConfig {
  const raw = parseToml(source, file);
  const lineOf = locateKeys(source);
  const place = ({ path, expected, value }: KeyIssue): ConfigIssue => ({
    file,
    line: lineOf(path),
    key: keyText(path),
    expected,
    value,
  });
  const parsed = configFileSchema.safeParse(raw);
  const schemaIssues = toKeyIssues(parsed.error?.issues ?? [], raw, configJsonSchema());
  const issues = [...schemaIssues, ...crossCheck(raw)];
  if (!parsed.success) throw refusal(issues.map(place));
  issues.push(...kindIssues(parsed.data, kinds));
  if (issues.length > 0) throw refusal(issues.map(place));
  return { config: toGatewayConfig(parsed.data), warnings: doubts(parsed.data).map(place) };
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

function refusal(issues: readonly ConfigIssue[]): ConfigError {
  const known = new Set<string>();
  const unique = issues.filter(({ key, expected }) => {
    const id = `${key}\0${expected}`;
    return known.has(id) ? false : known.add(id);
  });
  return new ConfigError(unique.sort((a, b) => a.line - b.line));
}

function kindIssues(file: ConfigFile, kinds: ConnectorKinds): KeyIssue[] {
  const config = toGatewayConfig(file);
  return config.connectors.flatMap((connector, index): KeyIssue[] => {
    const path = ['connectors', index];
    const kind = Object.hasOwn(kinds, connector.kind) ? kinds[connector.kind] : undefined;
    if (kind === undefined) {
      const names = Object.keys(kinds);
      const nearest = nearestOf(connector.kind, names);
      const expected = `one of ${names.join(', ')}${nearest === undefined ? '' : ` — did you mean ${nearest}?`}`;
      const key = [...path, 'kind'];
      return [{ path: key, expected, value: describeValue(connector.kind, key) }];
    }
    return optionIssues(kind, connector.options, path);
  });
}

function optionIssues(
  kind: ConnectorKind,
  options: Readonly<Record<string, unknown>>,
  path: KeyPath,
): KeyIssue[] {
  try {
    kind.checkOptions(options);
    return [];
  } catch (error) {
    if (!(error instanceof PalyraError)) throw error;
    const named = error.issues.filter(({ field }) => field !== '');
    if (named.length === 0) return [{ path, expected: error.message, value: 'something else' }];
    return named.map(({ field, message }) =>
      optionIssue([...path, field], message, options[field]),
    );
  }
}

/** A key that the kind refuses may be a misspelled key of every connector. */
function optionIssue(path: KeyPath, message: string, value: unknown): KeyIssue {
  const common = knownKeysAt(configJsonSchema(), ['connectors', 0]);
  const field = String(path.at(-1));
  const nearest = common.includes(field) ? undefined : nearestOf(field, common);
  const hint = nearest === undefined ? '' : ` — did you mean ${nearest}?`;
  const rule = /^must be (.+)$/s.exec(message)?.[1];
  const expected = rule ?? `another key (${field} ${message})${hint}`;
  return { path, expected, value: describeValue(value, path) };
}

function doubts(file: ConfigFile): KeyIssue[] {
  const router = file.channel_router;
  const channels = new Set([
    ...file.connectors.map(({ id }) => id.toLowerCase()),
    ...file.webhooks.map(({ integration_id }) => `webhook:${integration_id}`),
  ]);
  const ruled = new Set(router.routing.channels.map(({ channel }) => channel.toLowerCase()));
  const issues: KeyIssue[] = router.routing.channels.flatMap(({ channel }, index) => {
    if (channels.has(channel.toLowerCase())) return [];
    const path = ['channel_router', 'routing', 'channels', index, 'channel'];
    return [
      {
        path,
        expected: 'a connector or webhook of this file',
        value: describeValue(channel, path),
      },
    ];
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
