/** What a host gives to `createGateway`, and what is taken where it gives nothing. The configuration is checked elsewhere. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { KindSource } from '../connectors/kinds.ts';
import { PalyraError } from '../proto/errors.ts';
import { describeValue } from './config/config-error.ts';
import { RESERVED_KIND } from './config/cross-checks.ts';
import type { GivenConfig } from './config/given-config.ts';
import type { Log, LogLevel } from './log.ts';

export interface GatewayOptions {
  /**
   * The path of a TOML file, or a plain object of the same shape and spelling, e.g. `{ http: { listen: '127.0.0.1:0' } }`.
   * Default: the demo, an `echo` account and a `demo` webhook. A wrong one is `config_invalid`, with all its issues.
   */
  readonly config?: GivenConfig;
  /** Everything durable lives below it; made, for its owner only, where it is not there. */
  readonly stateRoot: string;
  /** Kinds of connector that the host brings; each module exports a `ConnectorKind`. None is named `webhook`: `invalid_options`. */
  readonly connectors?: Readonly<Record<string, KindSource>>;
  /** Hears every line of at least `logLevel`, from all threads; must not throw. Default: nobody. */
  readonly log?: Log;
  /** Default `info`. */
  readonly logLevel?: LogLevel;
  /**
   * Worker threads, 1 to 64: of two or more the first has the webhooks and the others the sessions, connectors have all.
   * Default: 2 to 4, by the processors there are.
   */
  readonly threads?: number;
  /** When a worker thread is ended for what a connector does in it. */
  readonly threadLimits?: {
    /** It has not come back to its event loop for so long. Default 10,000. */
    readonly stallKillMs?: number;
    /** Its JavaScript heap. Default 256. */
    readonly maxHeapMb?: number;
  };
}

type CheckedOptions = Required<
  Pick<GatewayOptions, 'connectors' | 'stateRoot' | 'threadLimits' | 'threads'>
>;

/** With the defaults, and the state root as an absolute path. Throws `invalid_options` that names the first that is wrong. */
export function checkOptions(options: GatewayOptions): CheckedOptions {
  const { stateRoot, connectors = {}, threads = defaultThreads(), threadLimits = {} } = options;
  const { log, logLevel } = options;
  // An empty one, as a setting that is not set makes it, is not the current directory.
  expect(isText(stateRoot), 'stateRoot', 'a directory', stateRoot);
  expect(isTable(connectors), 'connectors', 'a table', connectors);
  for (const [kind, source] of Object.entries(connectors)) {
    const isSource = isTable(source) && isText(source.module) && isText(source.export);
    expect(isSource, `connectors.${kind}`, 'a table of module and export', source);
    const isFree = kind !== RESERVED_KIND;
    expect(isFree, 'connectors', 'another name: it is kept for the channels of webhooks', kind);
  }
  expect(log === undefined || typeof log === 'function', 'log', 'a function', log);
  const isLevel = logLevel === undefined || SEVERITIES.includes(logLevel);
  expect(isLevel, 'logLevel', `one of ${SEVERITIES.join(', ')}`, logLevel);
  const isCount = Number.isInteger(threads) && threads >= 1 && threads <= 64;
  expect(isCount, 'threads', 'a whole number from 1 to 64', threads);
  expect(isTable(threadLimits), 'threadLimits', 'a table', threadLimits);
  for (const name of ['stallKillMs', 'maxHeapMb'] as const) {
    const limit = threadLimits[name];
    const isLimit = limit === undefined || (Number.isFinite(limit) && limit > 0);
    expect(isLimit, `threadLimits.${name}`, 'a number above 0', limit);
  }
  return { stateRoot: resolve(stateRoot), connectors, threads, threadLimits };
}

/** The host's log, without what is below its level. */
export function logOf({ log, logLevel = 'info' }: GatewayOptions): Log {
  if (typeof log !== 'function') return () => undefined;
  const from = SEVERITIES.indexOf(logLevel);
  return (level, message, fields) => {
    if (SEVERITIES.indexOf(level) >= from) log(level, message, fields);
  };
}

const SEVERITIES: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

function defaultThreads(): number {
  return Math.min(4, Math.max(2, availableParallelism()));
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function expect(isRight: boolean, name: string, expected: string, value: unknown): void {
  if (isRight) return;
  const found = describeValue(value, [name]);
  throw new PalyraError('invalid_options', `${name}: expected ${expected}; found ${found}`);
}
