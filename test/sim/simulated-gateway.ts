/**
 * The whole gateway on a machine that can lose its power: the production tree, inline, on a virtual host and the power-loss
 * store, with a platform and senders that outlive it. Everything is decided by the seed.
 */
import { DEFAULT_HISTORY_LIMITS } from '../../actors/sessions/history.ts';
import { SessionMemory } from '../../actors/sessions/session-memory.ts';
import { type GatewayPlan, gatewayTree } from '../../actors/tree.ts';
import { parseSecret, signMessage } from '../../actors/webhooks/standard-webhooks.ts';
import { createEchoModel } from '../../connectors/models/echo.ts';
import type { Model } from '../../connectors/models/model.ts';
import { createSystem, type System, type ThreadWorld } from '../../runtime/index.ts';
import type { PowerLossStore } from '../../runtime/store/power-loss.ts';
import type { Store } from '../../runtime/store/store.ts';
import type { AnyDefinition } from '../../runtime/system.ts';
import { VirtualHost } from '../../runtime/testing/index.ts';
import type { GatewayPorts, WebhookAnswer } from '../../transports/http/gateway-ports.ts';
import { handIn } from '../support/hand-in.ts';
import type { Platform } from './simulated-platform.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
/** The replies of this one go nowhere. */
export const QUIET = 'quiet';
export const CONVERSATIONS = ['c0', 'c1', QUIET] as const;

/** The platform's own conversations, by account: what doubt does to a reply is the account's. */
export const RETRYING = { connectorId: 'sim:a', conversations: ['d0', 'd1'] } as const;
export const HOLDING = { connectorId: 'sim:b', conversations: ['h0', 'h1'] } as const;

interface World {
  readonly deps: Readonly<Record<string, unknown>>;
}
const worlds = new Map<string, World>();
/** Modules by name: importing takes real time, in which virtual time would run away. */
const loaded = new Map<string, Promise<Record<string, AnyDefinition>>>();

const ACTOR_MODULES = [
  '../../runtime/jobs/actor.js',
  ...[
    'gateway',
    'ledger',
    'vault',
    'router',
    'outbox',
    'sessions',
    'runs',
    'channels',
    'webhooks',
    'control',
  ].map((name) => `../../actors/${name}/actor.js`),
  '../../actors/channels/connector-actor.js',
  '../../actors/webhooks/webhook-actor.js',
  '../../actors/sessions/session-actor.js',
  '../../actors/listeners/http-actor.js',
];

/** Before the first life. */
export async function loadActors(): Promise<void> {
  for (const name of ACTOR_MODULES) {
    const { href } = new URL(name, import.meta.url);
    loaded.set(href, import(href));
  }
  await Promise.all(loaded.values());
}

async function resolve(module: string, exportName: string): Promise<AnyDefinition> {
  const definition = (await loaded.get(module))?.[exportName];
  if (definition === undefined) throw new Error(`${module} is not among the loaded actors`);
  return definition;
}

/** The thread setup of simulated systems. */
export function setup(args: unknown): ThreadWorld {
  const world = worlds.get((args as { readonly id: string }).id);
  if (world === undefined) throw new Error('no such world');
  return { deps: world.deps, resolve };
}

export interface Simulated {
  readonly host: VirtualHost;
  readonly system: System;
  ports(): GatewayPorts | undefined;
}

const DEFAULTS = {
  enabled: false,
  allowDirectMessages: false,
  directMessagePolicy: 'deny',
  isolateSessionBySender: false,
  responsePrefix: '',
  broadcastStrategy: 'deny',
} as const;

const ACCOUNT = {
  kind: 'sim',
  tokenRef: '',
  maxAgeMs: 86_400_000,
  parkedMaxAgeMs: 604_800_000,
  options: {},
} as const;

const PLAN: GatewayPlan = {
  system: 'palyra',
  version: 'sim',
  http: { host: '127.0.0.1', port: 1 },
  unreadyMs: 250,
  admin: { tokenRef: 'env:TOKEN', makesToken: false },
  modelProvider: 'echo',
  accounts: [
    { ...ACCOUNT, connectorId: RETRYING.connectorId, onUnknown: 'retry' },
    { ...ACCOUNT, connectorId: HOLDING.connectorId, onUnknown: 'hold' },
  ],
  rules: {
    enabled: true,
    maxMessageBytes: 32_768,
    defaults: DEFAULTS,
    channels: [RETRYING, HOLDING].map(({ connectorId }) => ({
      ...DEFAULTS,
      channel: connectorId,
      enabled: true,
      mentionPatterns: [],
      allowFrom: [],
      denyFrom: [],
      allowDirectMessages: true,
      directMessagePolicy: 'allow',
    })),
  },
  webhooks: CONVERSATIONS.map((conversationId) => ({
    integrationId: conversationId,
    provider: 'generic',
    enabled: true,
    maxPayloadBytes: 65_536,
    secretRefs: ['env:SECRET'],
    ...(conversationId === QUIET
      ? {}
      : { replyTo: { connectorId: RETRYING.connectorId, conversationId, threadId: '' } }),
  })),
};

/** The store over all lives. A ledger that starts again within a life opens it anew. */
export class Disk {
  store: PowerLossStore;
  /** False between the end of a ledger and its return. */
  isOpen = false;
  #wasOpen = false;

  constructor(store: PowerLossStore) {
    this.store = store;
  }

  open(isBroken: () => boolean): Store {
    if (this.#wasOpen) this.store = this.store.crash(0);
    this.isOpen = true;
    this.#wasOpen = true;
    const { store } = this;
    return {
      commit: (batch, atMs) => store.commit(batch, atMs),
      read: (table, key) => store.read(table, key),
      scan: (query) => store.scan(query),
      keys: (query) => store.keys(query),
      journal: (after, limit) => store.journal(after, limit),
      verify: (how) => store.verify(how),
      health() {
        if (isBroken()) throw Object.assign(new Error('no answer'), { code: 'sim_no_space_known' });
        return store.health();
      },
      backup: (toDirectory) => store.backup(toDirectory),
      close: () => {
        this.isOpen = false;
        return store.close();
      },
    };
  }

  /** The power goes, and is back. */
  cutPower(seed: number): void {
    this.store = this.store.crash(seed);
    this.isOpen = false;
    this.#wasOpen = false;
  }
}

/** Answers after a while, and now and then fails first. */
function slowModel(host: VirtualHost, sleep: (ms: number) => Promise<void>): Model {
  const echo = createEchoModel();
  return {
    async answer(request, options) {
      await sleep(host.random() * 10);
      if (host.random() < 0.05) return { type: 'transient', reason: 'sim_5xx' };
      return echo.answer(request, options);
    },
  };
}

/** One life of the gateway, from its start on this disk until the host is halted. */
export async function startSimulated(life: {
  readonly seed: number;
  readonly wallMs: number;
  readonly disk: Disk;
  readonly platform: Platform;
  /** Asked each time that the router makes an id: true crashes it there, between judging an event and its commit. */
  readonly routerDies?: () => boolean;
  /** Asked each time that the ledger looks at the disk's space: true crashes it there, with whatever it has under way. */
  readonly ledgerDies?: () => boolean;
}): Promise<Simulated> {
  const { seed, wallMs, disk, platform } = life;
  const { routerDies = () => false, ledgerDies = () => false } = life;
  const host = new VirtualHost({ seed, wallMs });
  const sleep = (ms: number) => new Promise<void>((resolve) => void host.setTimer(ms, resolve));
  platform.random = () => host.random();
  platform.sleep = sleep;
  let ports: GatewayPorts | undefined;
  const id = `${seed}/${wallMs}`;
  const secrets: Readonly<Record<string, string>> = { TOKEN: 'a token of the simulation', SECRET };
  worlds.set(id, {
    deps: {
      log: () => undefined,
      sleep,
      // A first start that fails is the end of the whole gateway, not of the ledger alone.
      openStore: async () => disk.open(() => ports !== undefined && ledgerDies()),
      ballast: { ensure: async () => undefined, release: async () => true },
      prepareBackup: async () => '',
      readEnv: (name: string) => secrets[name],
      readFile: async () => undefined,
      // Only the router asks: this gateway makes no token and no secret.
      randomBytes(size: number) {
        if (routerDies()) throw Object.assign(new Error('no entropy'), { code: 'sim_no_entropy' });
        return Uint8Array.from({ length: size }, () => Math.trunc(host.random() * 256));
      },
      masterKey: async () => new Uint8Array(32),
      connectorKind: async () => platform.kind,
      // Two or three answers of this world: sessions read their turns again and again.
      sessionMemory: new SessionMemory(64),
      historyLimits: DEFAULT_HISTORY_LIMITS,
      openModel: async () => slowModel(host, sleep),
      inspect: () => system.inspect(),
      httpUrl: () => '',
      pid: 1,
      bound: { get: () => undefined, set: () => undefined },
      publishToken: async () => undefined,
      openHttp: async (_options: unknown, given: GatewayPorts) => {
        ports = given;
        return {
          host: '127.0.0.1',
          port: 1,
          stopListening: async () => undefined,
          close: async () => undefined,
        };
      },
      jobPool: {
        run: async () => ({ ok: false, code: 'job_failed', message: 'none' }),
        close: async () => undefined,
      },
    },
  });
  const system = await createSystem({
    name: 'palyra',
    threads: 'inline',
    host,
    thread: { module: import.meta.url, export: 'setup', args: { id } },
  });
  worlds.delete(id);
  system.spawn(gatewayTree(PLAN));
  return { host, system, ports: () => ports };
}

/** Promises that settle through several event-loop turns must not see the clock jump. */
const IDLE_TURNS = 3;

/** One step of a life: a turn or, when none is planned, the next timer. Promises settle before it returns. */
export async function step(host: VirtualHost): Promise<void> {
  for (let idle = 0; idle < IDLE_TURNS; idle += 1) {
    const ran = host.turn();
    await new Promise((resolve) => setImmediate(resolve));
    if (ran) return;
  }
  host.advance();
  await new Promise((resolve) => setImmediate(resolve));
}

/** Posts one signed webhook as the HTTP listener would hand it in. */
export async function postSimulated(
  ports: GatewayPorts,
  host: VirtualHost,
  message: { readonly id: string; readonly conversation: string; readonly text: string },
): Promise<WebhookAnswer> {
  const body = Buffer.from(JSON.stringify({ text: message.text }));
  const webhookTimestamp = String(Math.trunc(host.wallMs() / 1_000));
  const key = parseSecret(SECRET);
  if (key === undefined) throw new Error('the secret of the simulation is malformed');
  const webhookSignature = signMessage(key, { webhookId: message.id, webhookTimestamp, body });
  return handIn(ports, {
    integrationId: message.conversation,
    webhookId: message.id,
    webhookTimestamp,
    webhookSignature,
    body,
    trace: '',
  });
}

export type { PowerLossStore };
