/** The whole supervision tree as data: what stands where, who knows whom, what an end means. The one file that names every actor. */
import type { OperationName } from '../proto/control/catalogue.ts';
import type { OperationOwner } from '../proto/control/owner.ts';
import { type ActorRef, child, refTo } from '../runtime/actor.ts';
import type { ChildSpec, Supervision } from '../runtime/child-spec.ts';
import { jobsActor } from '../runtime/jobs/actor.ts';
import type { JobsProtocol } from '../runtime/jobs/protocol.ts';
import { supervisor } from '../runtime/supervision/supervisor.ts';
import type { ThreadGroup } from '../runtime/system.ts';
import { channelsActor } from './channels/actor.ts';
import type { AccountArgs } from './channels/opening.ts';
import type { ChannelsProtocol } from './channels/protocol.ts';
import { controlActor, type Metered } from './control/actor.ts';
import type { ControlProtocol } from './control/protocol.ts';
import { IDEMPOTENCY_MAX_AGE_MS, IDEMPOTENCY_TABLE } from './control/rows.ts';
import { type GatewayArgs, gatewayActor } from './gateway/actor.ts';
import type { GatewayProtocol } from './gateway/protocol.ts';
import { ledgerActor } from './ledger/actor.ts';
import type { LedgerProtocol } from './ledger/protocol.ts';
import { JOBS_TABLE, type RetentionRule } from './ledger/rows.ts';
import { httpListenerActor } from './listeners/http-actor.ts';
import type { HttpListenerProtocol } from './listeners/protocol.ts';
import { outboxActor } from './outbox/actor.ts';
import type { OutboxProtocol } from './outbox/protocol.ts';
import { OUTBOX_RETENTION } from './outbox/rows.ts';
import { routerActor } from './router/actor.ts';
import type { RouterRules } from './router/decide.ts';
import type { RouterProtocol } from './router/protocol.ts';
import { DEDUPE } from './router/rows.ts';
import { runActor } from './runs/actor.ts';
import { sessionsActor } from './sessions/actor.ts';
import type { SessionsProtocol } from './sessions/protocol.ts';
import { RUNS, TAPES, TURNS } from './sessions/rows.ts';
import { vaultActor } from './vault/actor.ts';
import type { VaultProtocol } from './vault/protocol.ts';
import { webhooksActor } from './webhooks/actor.ts';
import type { WebhooksProtocol } from './webhooks/protocol.ts';
import type { DeclaredWebhook } from './webhooks/rows.ts';

/** What one gateway is made of; a host fills it from its configuration. */
export interface GatewayPlan {
  /** The system's name: the first part of every address. */
  readonly system: string;
  readonly version: string;
  readonly http: { readonly host: string; readonly port: number };
  /** How long a stop serves on after `/readyz` has turned to 503. */
  readonly unreadyMs: number;
  readonly admin: { readonly tokenRef: string; readonly makesToken: boolean };
  readonly modelProvider: string;
  /** The enabled ones. */
  readonly accounts: readonly AccountArgs[];
  readonly rules: RouterRules;
  readonly webhooks: readonly DeclaredWebhook[];
}

/** Every actor that others know by its name. */
export function refsOf(system: string) {
  return {
    gateway: refTo<GatewayProtocol>(system, 'gateway'),
    ledger: refTo<LedgerProtocol>(system, 'gateway/ledger'),
    vault: refTo<VaultProtocol>(system, 'gateway/services/vault'),
    jobs: refTo<JobsProtocol>(system, 'gateway/services/jobs'),
    router: refTo<RouterProtocol>(system, 'gateway/services/domain/router'),
    outbox: refTo<OutboxProtocol>(system, 'gateway/services/domain/outbox'),
    sessions: refTo<SessionsProtocol>(system, 'gateway/services/domain/sessions'),
    channels: refTo<ChannelsProtocol>(system, 'gateway/services/field/channels'),
    webhooks: refTo<WebhooksProtocol>(system, 'gateway/services/field/webhooks'),
    control: refTo<ControlProtocol>(system, 'gateway/services/control'),
    http: refTo<HttpListenerProtocol>(system, 'gateway/listeners/http'),
  } as const;
}
type Refs = ReturnType<typeof refsOf>;

const LEDGER_SHUTDOWN_MS = 4_000;
const LISTENER_SHUTDOWN_MS = 4_000;
const JOBS = { maxWaiting: 256, deadlineMs: 10_000 } as const;

/**
 * Which of so many pool threads whose work has: a sender who waits for its 202 must not wait for runs too, and what a model's
 * library does to its thread is not done to the webhooks. Connectors have all threads.
 */
export function threadGroups(threads: number): Readonly<Record<string, ThreadGroup>> {
  const [first, ...others] = Array.from({ length: threads }, (_, n) => n);
  if (first === undefined || others.length === 0) return {};
  return { webhooks: { threads: [first], urgent: true }, sessions: { threads: others } };
}

/** The root's spec: everything else is in it. */
export function gatewayTree(plan: GatewayPlan): ChildSpec<GatewayProtocol, GatewayArgs> {
  const refs = refsOf(plan.system);
  const { ledger, router, outbox, channels, webhooks, sessions, http } = refs;
  return child(gatewayActor, {
    id: 'gateway',
    placement: 'main',
    shutdownTimeoutMs: 24_000,
    args: {
      children: [ledgerSpec(refs), services(plan, refs), listeners(plan, refs)],
      version: plan.version,
      modelProvider: plan.modelProvider,
      status: { ledger, router, outbox, channels, webhooks },
      drained: { listener: http, channels, sessions, outbox, unreadyMs: plan.unreadyMs },
    },
  });
}

function ledgerSpec({ outbox }: Refs) {
  const args = {
    retention: RETENTION,
    rowOwners: Object.fromEntries(OUTBOX_RETENTION.map(({ table }) => [table, outbox])),
  };
  return child(ledgerActor, { id: 'ledger', args, shutdownTimeoutMs: LEDGER_SHUTDOWN_MS });
}

function services(plan: GatewayPlan, refs: Refs) {
  const { ledger } = refs;
  return supervisor('services', {
    ...STEADY,
    children: [
      child(vaultActor, { id: 'vault', args: { ledger } }),
      child(jobsActor, { id: 'jobs', args: JOBS }),
      domain(plan, refs),
      field(plan, refs),
      child(controlActor, {
        id: 'control',
        args: { owners: ownersOf(refs), ledger, meters: metersOf(refs) },
      }),
    ],
  });
}

function domain({ accounts, rules }: GatewayPlan, refs: Refs) {
  const { ledger, router, outbox, sessions } = refs;
  const run = { module: runActor.module, export: runActor.export };
  const parkedMaxAgesMs = Object.fromEntries(
    accounts.map(({ connectorId, parkedMaxAgeMs }) => [connectorId, parkedMaxAgeMs]),
  );
  return supervisor('domain', {
    ...STEADY,
    children: [
      child(routerActor, { id: 'router', args: { ledger, sessions, rules } }),
      child(outboxActor, { id: 'outbox', args: { ledger, sessions, parkedMaxAgesMs } }),
      child(sessionsActor, { id: 'sessions', args: { ledger, outbox, router, run } }),
    ],
  });
}

/** What meets the outside world: its trouble is shown, retried, and never goes upwards. */
function field({ accounts, webhooks: integrations }: GatewayPlan, refs: Refs) {
  const { ledger, vault, router, outbox, channels, jobs, http } = refs;
  const connectors = accounts.map(({ connectorId }) => connectorId);
  return supervisor('field', {
    ...STEADY,
    whenExhausted: 'degrade',
    children: [
      child(channelsActor, {
        id: 'channels',
        args: { accounts, vault, router, outbox, channels },
      }),
      child(webhooksActor, {
        id: 'webhooks',
        args: { integrations, connectors, ledger, vault, jobs, listener: http },
      }),
    ],
  });
}

/** On the main thread: the HTTP engine aborts the process when its worker ends. */
function listeners({ http, admin }: GatewayPlan, refs: Refs) {
  const { vault, ledger, control, channels, webhooks, router } = refs;
  return supervisor('listeners', {
    ...STEADY,
    children: [
      child(httpListenerActor, {
        id: 'http',
        args: { ...http, ...admin, vault, ledger, control, channels, webhooks, router },
        shutdownTimeoutMs: LISTENER_SHUTDOWN_MS,
      }),
    ],
  });
}

const STEADY: Supervision = {
  strategy: 'one_for_one',
  intensity: 10,
  periodMs: 60_000,
  backoff: { minMs: 10, maxMs: 5_000, factor: 2, jitter: 0.2, resetAfterMs: 60_000 },
};

function ownersOf(refs: Refs): Readonly<Record<OperationName, ActorRef<OperationOwner>>> {
  const { gateway, ledger, vault, channels, outbox, webhooks, sessions } = refs;
  return {
    'status.get': gateway,
    'channels.list': channels,
    'channels.get': channels,
    'channels.test': channels,
    'channels.replay': outbox,
    'channels.discard': outbox,
    'webhooks.list': webhooks,
    'webhooks.add': webhooks,
    'webhooks.sign': webhooks,
    'vault.put': vault,
    'vault.list': vault,
    'journal.read': ledger,
    'runs.get': sessions,
    'backup.create': ledger,
    'jobs.get': ledger,
  };
}

function metersOf(
  refs: Refs,
): readonly { readonly name: string; readonly ref: ActorRef<Metered> }[] {
  const { gateway, ledger, vault, router, outbox, sessions, channels, webhooks } = refs;
  return [
    { name: 'gateway', ref: gateway },
    { name: 'ledger', ref: ledger },
    { name: 'vault', ref: vault },
    { name: 'router', ref: router },
    { name: 'outbox', ref: outbox },
    { name: 'sessions', ref: sessions },
    { name: 'channels', ref: channels },
    { name: 'webhooks', ref: webhooks },
  ];
}

const DAY_MS = 24 * 3_600_000;

/** How long what has ended is kept; README says it too. A webhook id is remembered for more than the seven days that are promised. */
export const RETENTION: readonly RetentionRule[] = [
  ...OUTBOX_RETENTION,
  { table: DEDUPE, maxAgeMs: 8 * DAY_MS, timeField: 'acceptedAtMs' },
  { table: RUNS, maxAgeMs: 30 * DAY_MS, timeField: 'endedAtMs' },
  { table: TAPES, maxAgeMs: 30 * DAY_MS, timeField: 'atMs' },
  { table: TURNS, maxAgeMs: 90 * DAY_MS, timeField: 'atMs' },
  { table: IDEMPOTENCY_TABLE, maxAgeMs: IDEMPOTENCY_MAX_AGE_MS, timeField: 'atMs' },
  {
    table: JOBS_TABLE,
    maxAgeMs: 30 * DAY_MS,
    timeField: 'endedAtMs',
    onlyWhere: { field: 'status', values: ['done', 'failed'] },
  },
];
