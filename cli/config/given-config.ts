/** What a host gives as its configuration, brought through the one parser. */
import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { codeOf } from '../../runtime/errors.ts';
import { builtInKinds } from '../connector-kinds.ts';
import { CheckedConfig } from './checked-config.ts';
import { ConfigError } from './config-error.ts';
import { demoConfig } from './demo.ts';
import { parseConfig, parseConfigTable } from './parse.ts';
import type { configFileSchema } from './schema.ts';

/** What a TOML file holds, as a plain object in the file's own spelling. */
export type ConfigTable = z.input<typeof configFileSchema>;

/** A TOML file's path, or what would stand in one, or what was checked before. */
export type GivenConfig = string | ConfigTable | CheckedConfig;

/**
 * Rejects with `ConfigError`. Without a configuration it is the demo's. The options of a kind that the host brings are
 * judged by the connector itself, on its thread.
 */
export async function checkGiven(
  given: GivenConfig | undefined,
  hostKinds: readonly string[],
): Promise<CheckedConfig> {
  if (given === undefined) return demoConfig();
  if (given instanceof CheckedConfig) return given;
  const unjudged = hostKinds.map((kind) => [kind, { checkOptions: () => undefined }] as const);
  const kinds = { ...(await builtInKinds()), ...Object.fromEntries(unjudged) };
  if (typeof given === 'string') return parseConfig(readConfig(given), given, kinds);
  return parseConfigTable(given, kinds);
}

/** The text of a configuration file; `ConfigError` where it cannot be read as UTF-8. */
export function readConfig(file: string): string {
  const unreadable = (expected: string, value: string): ConfigError =>
    new ConfigError([{ file, line: 0, key: '', expected, value }]);
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw unreadable('a file that can be read', codeOf(error));
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable('UTF-8 text', 'other bytes');
  }
}
