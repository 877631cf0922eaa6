/** Finds the gateway that a command talks to, and the token for it. It opens no connection. */
import { join } from 'node:path';
import { codeOf } from '../runtime/errors.ts';
import { holdsWriterLock } from '../runtime/store/lmdb/index.ts';
import { isBearerToken } from '../transports/http/request-head.ts';
import { type AdminClient, createAdminClient } from './admin-client.ts';
import { chosen, type Environment } from './chosen.ts';
import { STORE_DIRECTORY } from './compose-machine.ts';
import { isLoopback } from './config/listen.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { adminTokenFileOf, readGatewayRecord, readIfThere, stateRootOf } from './state-root.ts';

export interface ConnectionFlags {
  readonly url?: string;
  readonly tokenRef?: string;
  readonly stateRoot?: string;
}

/** A client for `--url`, else for the gateway that runs on the state root. */
export function connect(flags: ConnectionFlags, env: Environment): AdminClient {
  const stateRoot = stateRootOf(flags.stateRoot, env);
  const url = flags.url ?? recordedUrl(stateRoot);
  if (url === undefined) {
    const message = `no gateway runs on the state root ${stateRoot}`;
    throw new CliError('unreachable', EXIT.unreachable, message, {
      next: 'start one with palyra serve, or give --url or the --state-root of the one that runs',
    });
  }
  if (!isHttpUrl(url)) {
    throw new CliError('bad_option', EXIT.usage, '--url: expected http://HOST:PORT', {
      next: 'e.g. --url http://127.0.0.1:7142',
    });
  }
  return createAdminClient({ url, token: tokenOf(flags, url, stateRoot, env) });
}

/**
 * Where the gateway that runs on the state root listens. A record that a killed one left names a port that may be
 * another process's by now: it must not be sent the token.
 */
function recordedUrl(stateRoot: string): string | undefined {
  const record = readGatewayRecord(stateRoot);
  if (record === undefined) return undefined;
  if (holdsWriterLock(join(stateRoot, STORE_DIRECTORY), record.pid)) return record.http;
  const message = `stale gateway.json below ${stateRoot}: the gateway that wrote it (pid ${record.pid}) does not run any more`;
  throw new CliError('unreachable', EXIT.unreachable, message, {
    next: 'start it again with palyra serve, or give --url',
  });
}

/** `--token-ref`, else PALYRA_ADMIN_TOKEN, else the file that `serve` wrote. */
function tokenOf(flags: ConnectionFlags, url: string, stateRoot: string, env: Environment): string {
  if (flags.tokenRef !== undefined) return sendable(resolveRef(flags.tokenRef, env), '--token-ref');
  const fromEnv = chosen(['PALYRA_ADMIN_TOKEN', env.PALYRA_ADMIN_TOKEN]);
  if (fromEnv !== undefined) return sendable(fromEnv.text, 'PALYRA_ADMIN_TOKEN');
  const file = adminTokenFileOf(stateRoot);
  // The file belongs to a gateway of this machine: another host must not learn it.
  const token = isLoopback(hostOf(url)) ? readIfThere(file) : undefined;
  if (token !== undefined && token !== '') return sendable(token, file);
  throw new CliError('unauthorized', EXIT.refused, 'no admin token was found', {
    next: 'set PALYRA_ADMIN_TOKEN, or give --token-ref env:NAME or file:PATH, or --state-root',
  });
}

/** A header takes no other token, and no gateway has one. */
function sendable(token: string, from: string): string {
  if (isBearerToken(token)) return token;
  const message = `${from}: expected a token of 1 to 4,096 visible ASCII characters, without spaces and line ends`;
  throw new CliError('bad_option', EXIT.usage, message, {
    next: 'give the token that the gateway was started with, and nothing else',
  });
}

function resolveRef(ref: string, env: Environment): string {
  const [scheme, place] = splitRef(ref);
  switch (scheme) {
    case 'env':
      return given(ref, env[place], 'is not set');
    case 'file':
      return given(ref, fileText(ref, place), 'does not exist');
    default:
      throw new CliError('bad_option', EXIT.usage, '--token-ref: expected env:NAME or file:PATH', {
        next: 'a vault: reference can be read by the gateway only',
      });
  }
}

function given(ref: string, token: string | undefined, absent: string): string {
  if (token !== undefined && token !== '') return token;
  throw noToken(ref, token === '' ? 'is empty' : absent);
}

function fileText(ref: string, path: string): string | undefined {
  try {
    return readIfThere(path);
  } catch (error) {
    throw noToken(ref, `cannot be read: ${codeOf(error)}`, error);
  }
}

function noToken(ref: string, what: string, cause?: unknown): CliError {
  return new CliError('secret_unavailable', EXIT.refused, `--token-ref: ${ref} ${what}`, {
    next: 'provide what the reference names',
    cause,
  });
}

function splitRef(ref: string): readonly [scheme: string, place: string] {
  const colon = ref.indexOf(':');
  return colon < 1 ? ['', ''] : [ref.slice(0, colon), ref.slice(colon + 1)];
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}
