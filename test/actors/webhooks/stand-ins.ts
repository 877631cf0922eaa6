/** A router and a listener for a system in which the ledger, the vault, the jobs and the webhooks are real. */
import type { HttpListenerProtocol } from '../../../actors/listeners/protocol.ts';
import type { AdmitRequest, RouterProtocol } from '../../../actors/router/protocol.ts';
import type { WebhookEntry } from '../../../actors/webhooks/protocol.ts';
import { defineActor } from '../../../runtime/actor.ts';
import { createJobPool } from '../../../runtime/jobs/pool.ts';
import { createMemoryStore } from '../../../runtime/store/memory.ts';
import type { ThreadContext, ThreadWorld } from '../../../runtime/system.ts';

export interface StandInRouter extends RouterProtocol {
  seen(nothing: null): readonly AdmitRequest[];
  crash(nothing: null): void;
}

export const standInRouter = defineActor<StandInRouter, object, null, AdmitRequest[], unknown>({
  module: import.meta.url,
  export: 'standInRouter',
  name: 'router',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start: () => [],
  receive: {
    admit(seen, request) {
      const envelopeId = `envelope of ${request.offer.nativeId}`;
      const before = seen.find(({ offer }) => offer.nativeId === request.offer.nativeId);
      if (before === undefined) {
        seen.push(request);
        return { type: 'accepted', envelopeId };
      }
      if (before.bodySha256 !== request.bodySha256) return { type: 'conflict' };
      return { type: 'duplicate', envelopeId };
    },
    explain: () => ({ accepted: true, reason: '', sessionKey: '', steps: [] }),
    runEnded: () => undefined,
    metrics: () => [],
    seen: (seen) => seen,
    crash() {
      throw new Error('the router was told to crash');
    },
  },
});

export interface StandInListener extends HttpListenerProtocol {
  heard(nothing: null): readonly WebhookEntry[];
  crash(nothing: null): void;
}

interface Heard {
  directory: readonly WebhookEntry[];
}

export const standInListener = defineActor<StandInListener, object, null, Heard, unknown>({
  module: import.meta.url,
  export: 'standInListener',
  name: 'listener',
  mailbox: { limitMessages: 1_000, overflow: 'reject' },
  start: () => ({ directory: [] }),
  receive: {
    where: () => ({ url: '' }),
    webhooks(state, directory) {
      state.directory = directory;
    },
    refreshToken: () => ({ known: true }),
    turnUnready: () => ({ unready: true }),
    stopListening: () => ({ stopped: true }),
    heard: (state) => state.directory,
    crash() {
      throw new Error('the listener was told to crash');
    },
  },
});

/** One world for both modes: the main thread has store and jobs, every thread a log. */
export function setup(args: { readonly secret: string }, thread: ThreadContext): ThreadWorld {
  const log = () => undefined;
  if (!thread.isMain) return { deps: { log } };
  const jobPool = createJobPool({ maxThreads: 1 });
  const store = createMemoryStore();
  const masterKey = Buffer.alloc(32, 7);
  let made = 0;
  const deps = {
    log,
    jobPool,
    openStore: async () => store,
    ballast: { ensure: async () => undefined, release: async () => false },
    prepareBackup: async (id: string) => `/backups/${id}`,
    readEnv: (name: string) => (name === 'ORDERS' ? args.secret : undefined),
    readFile: async () => undefined,
    randomBytes(size: number) {
      made += 1;
      return Buffer.alloc(size, made);
    },
    masterKey: async () => masterKey,
  };
  return { deps, close: () => jobPool.close() };
}
