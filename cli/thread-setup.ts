/** What every thread of a gateway starts with: the dependencies of its actors, loaded when they are used. Main has more than the others. */

import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { ConnectorActorDeps } from '../actors/channels/opening.ts';
import type { ControlDeps } from '../actors/control/actor.ts';
import type { GatewayDeps } from '../actors/gateway/actor.ts';
import type { LedgerDeps } from '../actors/ledger/ledger-state.ts';
import { type Bound, type HttpListenerDeps, urlOf } from '../actors/listeners/http-state.ts';
import type { RouterDeps } from '../actors/router/actor.ts';
import type { RunDeps } from '../actors/runs/actor.ts';
import type { HistoryLimits } from '../actors/sessions/history.ts';
import { SessionMemory } from '../actors/sessions/session-memory.ts';
import type { SessionDeps } from '../actors/sessions/session-state.ts';
import type { VaultDeps } from '../actors/vault/actor.ts';
import type { SecretReply } from '../actors/vault/protocol.ts';
import { type KindSource, loadKind } from '../connectors/kinds.ts';
import type { Model } from '../connectors/models/model.ts';
import { openModel } from '../connectors/models/open-model.ts';
import { PalyraError } from '../proto/errors.ts';
import { codeOf } from '../runtime/errors.ts';
import type { JobsDeps } from '../runtime/jobs/actor.ts';
import type { ThreadContext, ThreadWorld } from '../runtime/system.ts';
import { openThreadLine } from './compose-line.ts';
import {
  clearHalfBackups,
  createStoreOpener,
  machineSecrets,
  prepareBackup,
  processConnections,
  publishToken,
  STORE_DIRECTORY,
  STORE_FORMAT,
  toOpenFailure,
} from './compose-machine.ts';
import type { ModelConfig } from './config/gateway-config.ts';
import { keepModel } from './kept-model.ts';
import type { Log } from './log.ts';
import { ModelWatch } from './model-watch.ts';
import { preload } from './preload.ts';

/** Plain data: it crosses threads. */
export interface ThreadArgs {
  readonly gatewayId: string;
  readonly stateRoot: string;
  readonly model: ModelConfig;
  readonly history: HistoryLimits;
  /** Of the built-in ones, those that there is an account of. */
  readonly kinds: readonly string[];
  readonly hostKinds: Readonly<Record<string, KindSource>>;
}

/** What main's actors need of the host beside plain data. */
export interface GatewayHost {
  readonly log: Log;
  reveal(ref: string): Promise<SecretReply>;
}

type FieldDeps = ConnectorActorDeps & RunDeps & SessionDeps & { readonly log: Log };
type MainDeps = FieldDeps &
  LedgerDeps &
  VaultDeps &
  RouterDeps &
  ControlDeps &
  GatewayDeps &
  HttpListenerDeps &
  JobsDeps;

// Functions cannot travel in the arguments of a thread; main's setup finds them here.
const hosts = new Map<string, GatewayHost>();

/** Until the returned function is called, main's setup of this gateway finds `host`. */
export function lendHost(gatewayId: string, host: GatewayHost): () => void {
  hosts.set(gatewayId, host);
  return () => hosts.delete(gatewayId);
}

export async function setup(args: unknown, thread: ThreadContext): Promise<ThreadWorld> {
  const given = args as ThreadArgs;
  return thread.isMain ? setupMain(given, thread) : setupPool(given, thread);
}

async function setupPool(args: ThreadArgs, thread: ThreadContext): Promise<ThreadWorld> {
  await preload({ kinds: args.kinds, provider: args.model.provider });
  const line = openThreadLine(args.gatewayId, thread.name);
  return {
    deps: fieldDeps(args, line.log, (ref) => line.reveal(ref)),
    close: async () => line.close(),
  };
}

async function setupMain(args: ThreadArgs, thread: ThreadContext): Promise<ThreadWorld> {
  const host = hosts.get(args.gatewayId);
  if (host === undefined) {
    throw new PalyraError('internal_error', 'the main thread was set up without its host');
  }
  const { stateRoot } = args;
  const { log } = host;
  const [{ createJobPool }, { createBallast, openLmdbStore }] = await Promise.all([
    import('../runtime/jobs/pool.ts'),
    import('../runtime/store/lmdb/index.ts'),
  ]);
  const jobPool = createJobPool({ maxThreads: 2 });
  let bound: Bound | undefined;
  const deps: MainDeps = {
    ...fieldDeps(args, log, host.reveal),
    ...machineSecrets(stateRoot),
    pid: process.pid,
    inspect: () => thread.inspect(),
    httpUrl: () => (bound === undefined ? '' : urlOf(bound)),
    bound: {
      get: () => bound,
      set(where) {
        bound = where;
      },
    },
    openHttp: async (options, ports) => {
      const { openGatewayHttp } = await import('../transports/http/index.ts');
      return openGatewayHttp({ ...options, connections: await processConnections() }, ports, log);
    },
    publishToken: async (token) => {
      // In the message: a field whose name speaks of a token would be redacted.
      log('info', `the admin token stands in ${await publishToken(stateRoot, token)}`);
    },
    openStore: createStoreOpener(async () => {
      const store = await openLmdbStore({
        directory: join(stateRoot, STORE_DIRECTORY),
        formatVersion: STORE_FORMAT,
      }).catch((error: unknown) => {
        throw toOpenFailure(stateRoot, error);
      });
      await clearHalfBackups(stateRoot).catch((error: unknown) => {
        log('warn', 'half backups were not removed', { code: codeOf(error) });
      });
      return store;
    }),
    ballast: createBallast({ path: join(stateRoot, 'ballast') }),
    prepareBackup: (id) => prepareBackup(stateRoot, id),
    jobPool,
  };
  return { deps, close: () => jobPool.close() };
}

/** What actors need wherever they are placed. */
function fieldDeps(
  args: ThreadArgs,
  log: Log,
  reveal: (ref: string) => Promise<SecretReply>,
): FieldDeps {
  return {
    log,
    sleep: async (ms, signal) => {
      await wait(ms, undefined, { signal });
    },
    connectorKind: (kind) => loadKind(kind, { hostKinds: args.hostKinds }),
    sessionMemory: new SessionMemory(),
    historyLimits: args.history,
    openModel: keepModel(() => openConfigured(args.model, reveal), new ModelWatch(log)),
  };
}

async function openConfigured(
  config: ModelConfig,
  reveal: (ref: string) => Promise<SecretReply>,
): Promise<Model> {
  if (config.provider === 'echo') return openModel({ provider: 'echo' });
  const { provider, baseUrl, model, apiKeyRef } = config;
  if (apiKeyRef === '') return openModel({ provider, baseUrl, model, apiKey: '' });
  const reply = await reveal(apiKeyRef);
  if (reply.ok) return openModel({ provider, baseUrl, model, apiKey: reply.secret });
  throw new PalyraError('secret_unavailable', `the model's key ${apiKeyRef}: ${reply.message}`);
}
