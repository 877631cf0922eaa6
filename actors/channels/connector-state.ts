/** The state of one connector actor and what can be read off it. Nothing here sends. */
import type { Connector, Liveness, Readiness } from '../../connectors/connector.ts';
import type { Redact } from '../../connectors/redaction.ts';
import type { ActorRef, Deferred } from '../../runtime/actor.ts';
import type { OutboxProtocol } from '../outbox/protocol.ts';
import type { RouterProtocol } from '../router/protocol.ts';
import type { VaultProtocol } from '../vault/protocol.ts';
import { DeliveryBook } from './delivery-book.ts';
import type { AccountArgs, ConnectorActorDeps } from './opening.ts';
import type { ChannelsProtocol, ConnectorStatus } from './protocol.ts';

export interface ConnectorArgs {
  readonly account: AccountArgs;
  readonly vault: ActorRef<VaultProtocol>;
  readonly router: ActorRef<RouterProtocol>;
  readonly outbox: ActorRef<OutboxProtocol>;
  readonly channels: ActorRef<ChannelsProtocol>;
}

export interface ConnectorState {
  readonly args: ConnectorArgs;
  readonly deps: ConnectorActorDeps;
  readonly book: DeliveryBook;
  readonly aborts: Map<string, () => void>;
  readonly stopping: Deferred<{ readonly stopped: boolean }>[];
  connector: Connector | undefined;
  /** opening: a try is under way · open: the platform took the credential · resting: until the next try. */
  phase: 'opening' | 'open' | 'resting';
  /** Which try; what an earlier one reports is not believed. */
  generation: number;
  tries: number;
  opening: (() => void) | undefined;
  isReceiving: boolean;
  /** The outbox was told of this incarnation. */
  hasBeenUp: boolean;
  isParked: boolean;
  isWatching: boolean;
  availability: string;
  readiness: Readiness;
  liveness: Liveness;
  reason: string;
  /** What stands behind the reason, for the log; '' for nothing. */
  detail: string;
  /** Monotonic: when the account is opened anew, while it rests. */
  reopenAtMs: number;
  /** What the log has said of the account's health. */
  readonly told: { health: string; changes: number; atMs: number };
  /** Takes the account's credential out of a text. */
  redact: Redact;
  /** The platform refuses every send of the account, until then in monotonic time: the outbox rests it. */
  limit: { readonly untilMs: number; readonly reason: string } | undefined;
  restarts: number;
  lastInboundAtMs: number;
  lastOutboundAtMs: number;
  accepting: number;
  /** Events of the platform that are no message for the gateway, by reason. */
  readonly ignored: Map<string, number>;
  /** Names of sends that were given up at their deadline and have not come back. */
  readonly stuck: Set<string>;
}

export function createConnectorState(
  args: ConnectorArgs,
  deps: ConnectorActorDeps,
  incarnation: number,
): ConnectorState {
  return {
    args,
    deps,
    book: new DeliveryBook(),
    aborts: new Map(),
    stopping: [],
    connector: undefined,
    phase: 'opening',
    generation: 0,
    tries: 0,
    opening: undefined,
    isReceiving: true,
    hasBeenUp: false,
    isParked: false,
    isWatching: false,
    availability: '',
    readiness: 'ready',
    liveness: 'starting',
    reason: '',
    detail: '',
    reopenAtMs: 0,
    told: { health: '', changes: 0, atMs: Number.NEGATIVE_INFINITY },
    redact: (text) => text,
    limit: undefined,
    restarts: incarnation - 1,
    lastInboundAtMs: 0,
    lastOutboundAtMs: 0,
    accepting: 0,
    ignored: new Map(),
    stuck: new Set(),
  };
}

/** A connector's words become names of counters: so many, and no more. */
const MAX_IGNORED_REASONS = 32;

export function countIgnored({ ignored }: ConnectorState, reason: string): void {
  const name = ignored.has(reason) || ignored.size < MAX_IGNORED_REASONS ? reason : 'other';
  ignored.set(name, (ignored.get(name) ?? 0) + 1);
}

const MAX_INTERVAL_MS = 60_000;

/** A connector may be a host's code: what is no time is none. */
export function minIntervalOf({ connector }: ConnectorState): number {
  const ms: unknown = connector?.minIntervalMs;
  return typeof ms === 'number' && ms > 0 ? Math.min(ms, MAX_INTERVAL_MS) : 0;
}

export function statusOf(state: ConnectorState): ConnectorStatus {
  const { limit } = state;
  const isLimited = limit !== undefined && state.liveness === 'running';
  return {
    connectorId: state.args.account.connectorId,
    kind: state.args.account.kind,
    availability: state.availability,
    readiness: state.readiness,
    liveness: isLimited ? 'degraded' : state.liveness,
    reason: isLimited ? limit.reason : state.reason,
    restarts: state.restarts,
    lastInboundAtMs: state.lastInboundAtMs,
    lastOutboundAtMs: state.lastOutboundAtMs,
    ignored: Object.fromEntries(state.ignored),
    inFlight: state.book.running,
  };
}
