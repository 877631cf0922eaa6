/** The gateway as a whole, put together from what its parts say in time; a part that does not is shown so. */
import type { OutputOf } from '../../proto/control/catalogue.ts';
import type { Metric, OperationOwner } from '../../proto/control/owner.ts';
import type { ActorRef, Self } from '../../runtime/actor.ts';
import type { ActorSnapshot, SystemSnapshot } from '../../runtime/system.ts';
import type { LedgerHealth, LedgerProtocol } from '../ledger/protocol.ts';
import type { RouterProtocol } from '../router/protocol.ts';

export type GatewayStatus = OutputOf<'status.get'>;

export interface StatusParts {
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly router: ActorRef<RouterProtocol>;
  readonly outbox: ActorRef<OperationOwner>;
  readonly channels: ActorRef<OperationOwner>;
  readonly webhooks: ActorRef<OperationOwner>;
}

export interface Identity {
  readonly version: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly modelProvider: string;
  readonly isStopping: boolean;
  /** Where it listens; '' before it does. */
  readonly http: string;
}

const PART_DEADLINE_MS = 2_500;
const MAX_COMPONENTS = 300;

const NO_STORE: GatewayStatus['store'] = {
  free_bytes: 0,
  used_bytes: 0,
  commits: 0,
  flushes: 0,
  journal_sequence: 0,
  admitting: false,
};

export async function gatherStatus(
  parts: StatusParts,
  identity: Identity,
  self: Pick<Self<unknown>, 'ask'>,
  inspect: () => Promise<SystemSnapshot>,
): Promise<GatewayStatus> {
  const deadline = { inMs: PART_DEADLINE_MS };
  const missing: string[] = [];
  const orMissing = async <T>(name: string, work: Promise<T>, otherwise: T): Promise<T> =>
    work.catch(() => {
      missing.push(name);
      return otherwise;
    });
  const none: readonly Metric[] = [];
  const [store, connectors, webhooks, snapshot, ...metrics] = await Promise.all([
    orMissing('ledger', self.ask(parts.ledger, 'health', null, deadline).then(toStore), NO_STORE),
    orMissing('channels', list<'channels.list'>(parts.channels, 'channels.list', self), {
      connectors: [],
    }),
    orMissing('webhooks', list<'webhooks.list'>(parts.webhooks, 'webhooks.list', self), {
      webhooks: [],
    }),
    orMissing('runtime', inspect(), { actors: [], threads: [], counters: {} }),
    orMissing('router', self.ask(parts.router, 'metrics', null, deadline), none),
    orMissing('outbox', self.ask(parts.outbox, 'metrics', null, deadline), none),
  ]);
  return {
    version: identity.version,
    pid: identity.pid,
    started_at_ms: Math.trunc(identity.startedAtMs),
    state: stateOf(
      identity,
      missing.length > 0 || !store.admitting,
      connectors.connectors,
      snapshot,
    ),
    http: identity.http,
    model_provider: identity.modelProvider,
    store,
    counters: toCounters(metrics.flat()),
    connectors: connectors.connectors,
    webhooks: webhooks.webhooks,
    components: [...missing.map(toMissing), ...toComponents(snapshot)],
  };
}

async function list<N extends 'channels.list' | 'webhooks.list'>(
  owner: ActorRef<OperationOwner>,
  operation: N,
  self: Pick<Self<unknown>, 'ask'>,
): Promise<OutputOf<N>> {
  const call = { operation, input: {}, principal: 'gateway' };
  const reply = await self.ask(owner, 'operate', call, { inMs: PART_DEADLINE_MS });
  if (!reply.ok) throw new Error(reply.error.code);
  return reply.output as OutputOf<N>;
}

function stateOf(
  { isStopping }: Identity,
  lacks: boolean,
  connectors: GatewayStatus['connectors'],
  { actors }: SystemSnapshot,
): GatewayStatus['state'] {
  if (isStopping) return 'stopping';
  const hasTrouble =
    lacks ||
    connectors.some(
      ({ readiness, liveness }) => readiness !== 'ready' || liveness === 'degraded',
    ) ||
    actors.some(({ path, state }) => state === 'degraded' && !isConversation(path));
  return hasTrouble ? 'degraded' : 'running';
}

function toStore(health: LedgerHealth): GatewayStatus['store'] {
  return {
    // JSON has no infinity: a store in memory has no limit to show.
    free_bytes: Number.isFinite(health.freeBytes) ? health.freeBytes : Number.MAX_SAFE_INTEGER,
    used_bytes: health.usedBytes,
    commits: health.commits,
    flushes: health.flushes,
    journal_sequence: health.journalSequence,
    admitting: health.admitting,
  };
}

/** `palyra_router_admitted_total{outcome="x"}` → `router_admitted_total.x`. */
function toCounters(metrics: readonly Metric[]): Record<string, number> {
  const counters: Record<string, number> = {};
  for (const { name, type, samples } of metrics) {
    if (type !== 'counter') continue;
    for (const { labels, value } of samples) {
      const key = [name.replace(/^palyra_/, ''), ...Object.values(labels)].join('.');
      counters[key] = (counters[key] ?? 0) + value;
    }
  }
  return counters;
}

// One a conversation, by the thousand: their dispatcher tells how they are.
function isConversation(path: string): boolean {
  return path.includes('/domain/sessions/');
}

function toComponents({ actors }: SystemSnapshot): GatewayStatus['components'] {
  return actors
    .filter(({ path }) => !isConversation(path))
    .slice(0, MAX_COMPONENTS)
    .map((actor: ActorSnapshot) => ({
      path: actor.path,
      state: actor.state,
      restarts: actor.restarts,
      thread: actor.thread,
      mailbox: actor.mailbox,
      last_error: actor.lastError,
    }));
}

function toMissing(name: string): GatewayStatus['components'][number] {
  const lastError = `no answer in ${PART_DEADLINE_MS} ms`;
  return {
    path: name,
    state: 'silent',
    restarts: 0,
    thread: '',
    mailbox: 0,
    last_error: lastError,
  };
}
