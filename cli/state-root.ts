/** The files beside the store that let other commands find a running gateway. The store itself and its lock are not here. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { codeOf } from '../runtime/errors.ts';
import { chosen, type Environment } from './chosen.ts';

/** Written by `serve` once it listens, removed when it ends. */
export interface GatewayRecord {
  /** E.g. `http://127.0.0.1:7142`. */
  readonly http: string;
  readonly pid: number;
}

/** `$XDG_STATE_HOME/palyra`, else `~/.local/state/palyra`; a relative XDG_STATE_HOME is ignored, as its specification says. */
export function defaultStateRoot(env: Environment): string {
  const base = env.XDG_STATE_HOME ?? '';
  return join(isAbsolute(base) ? base : join(homedir(), '.local', 'state'), 'palyra');
}

/** `--state-root`, else PALYRA_STATE_ROOT, else the default; absolute. */
export function stateRootOf(flag: string | undefined, env: Environment): string {
  const given = chosen(['--state-root', flag], ['PALYRA_STATE_ROOT', env.PALYRA_STATE_ROOT]);
  return given === undefined ? defaultStateRoot(env) : resolve(given.text);
}

export function gatewayFileOf(stateRoot: string): string {
  return join(stateRoot, 'gateway.json');
}

export function adminTokenFileOf(stateRoot: string): string {
  return join(stateRoot, 'admin.token');
}

/** Readable by its owner only, whole or not at all. */
export function writeGatewayRecord(stateRoot: string, record: GatewayRecord): void {
  const temporary = `${gatewayFileOf(stateRoot)}.${record.pid}`;
  writeFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(temporary, gatewayFileOf(stateRoot));
}

/** undefined where no gateway has left one, or where it is not readable as such. */
export function readGatewayRecord(stateRoot: string): GatewayRecord | undefined {
  const text = readIfThere(gatewayFileOf(stateRoot));
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { http, pid } = value as Partial<Record<keyof GatewayRecord, unknown>>;
    return typeof http === 'string' && typeof pid === 'number' ? { http, pid } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Removes the record if it is this process's own: a successor may have written its own meanwhile. Never throws: it would
 * hide why the gateway ended, and a record that stays is known as stale by its pid.
 */
export function removeGatewayRecord(stateRoot: string, pid: number): void {
  try {
    if (readGatewayRecord(stateRoot)?.pid === pid) rmSync(gatewayFileOf(stateRoot));
  } catch {
    return;
  }
}

/** A file's text without its trailing newline; undefined where there is no file. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined;
    throw error;
  }
}
