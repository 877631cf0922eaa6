/** Where each setting comes from: flag, environment, file, default, in this order. It starts nothing. */
import { chosen, type Environment } from './chosen.ts';
import type { CheckedConfig } from './config/checked-config.ts';
import { demoConfig } from './config/demo.ts';
import { readConfig } from './config/given-config.ts';
import type { ConnectorKinds } from './config/kind-checks.ts';
import { isLoopback, type Listen, LOOPBACK_ADVICE, parseListen } from './config/listen.ts';
import { parseConfig } from './config/parse.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';
import { nearestOf } from './nearest.ts';
import { stateRootOf } from './state-root.ts';

export interface SettingFlags {
  readonly config?: string;
  readonly stateRoot?: string;
  readonly http?: string;
  readonly logLevel?: string;
}

export interface Settings {
  readonly checked: CheckedConfig;
  /** '' where no file was given and the demo configuration runs. */
  readonly configFile: string;
  /** Absolute. */
  readonly stateRoot: string;
  readonly logLevel: LogLevel;
}

/**
 * Everything that `serve` needs to know. Throws `ConfigError` for a wrong file, and `CliError` with exit 2 for a
 * wrong flag or variable and with exit 4 for a bind beyond loopback. Reads four `PALYRA_*` names, no others.
 */
export function loadSettings(
  flags: SettingFlags,
  env: Environment,
  kinds: ConnectorKinds,
): Settings {
  const logLevel = logLevelOf(flags, env);
  const listen = listenOf(flags, env);
  const configFile = configFileOf(flags.config, env);
  const parsed =
    configFile === '' ? demoConfig() : parseConfig(readConfig(configFile), configFile, kinds);
  const http = listen ?? parsed.config.http;
  refuseBeyondLoopback(http);
  return {
    checked: parsed.listeningOn(http),
    configFile,
    stateRoot: stateRootOf(flags.stateRoot, env),
    logLevel,
  };
}

/** `--config`, else PALYRA_CONFIG, else ''. */
export function configFileOf(flag: string | undefined, env: Environment): string {
  return chosen(['--config', flag], ['PALYRA_CONFIG', env.PALYRA_CONFIG])?.text ?? '';
}

/** Until TLS and an explicit acknowledgement exist, only this machine may reach the gateway. */
export function refuseBeyondLoopback({ host, port }: Listen): void {
  if (isLoopback(host)) return;
  throw new CliError('bind_refused', EXIT.refused, `refused to listen on ${host}:${port}`, {
    next: LOOPBACK_ADVICE,
  });
}

function listenOf(flags: SettingFlags, env: Environment): Listen | undefined {
  const given = chosen(['--http', flags.http], ['PALYRA_HTTP', env.PALYRA_HTTP]);
  if (given === undefined) return undefined;
  const listen = parseListen(given.text);
  if (listen !== undefined) return listen;
  throw new CliError('bad_option', EXIT.usage, `${given.name}: expected HOST:PORT`, {
    next: 'e.g. --http 127.0.0.1:7142; port 0 picks a free one',
  });
}

function logLevelOf(flags: SettingFlags, env: Environment): LogLevel {
  const given = chosen(['--log-level', flags.logLevel], ['PALYRA_LOG_LEVEL', env.PALYRA_LOG_LEVEL]);
  if (given === undefined) return 'info';
  const { name, text } = given;
  const level = LOG_LEVELS.find((known) => known === text.toLowerCase());
  if (level !== undefined) return level;
  const nearest = nearestOf(text, LOG_LEVELS);
  throw new CliError('bad_option', EXIT.usage, `${name}: expected ${LOG_LEVELS.join(', ')}`, {
    next: nearest === undefined ? '' : `did you mean ${nearest}?`,
  });
}
