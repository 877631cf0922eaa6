/** All accounts: one connector actor each, each with its own budget of restarts. No message of a channel passes through it. */
import { type ActorRef, child, defineActor, type Self } from '../../runtime/actor.ts';
import type { OutboxProtocol } from '../outbox/protocol.ts';
import type { RouterProtocol } from '../router/protocol.ts';
import type { VaultProtocol } from '../vault/protocol.ts';
import { connectorActor } from './connector-actor.ts';
import type { ConnectorArgs } from './connector-state.ts';
import { allStatuses, operate, strandedStatuses } from './control.ts';
import type { AccountArgs } from './opening.ts';
import type { ChannelsProtocol, ConnectorProtocol, ConnectorStatus } from './protocol.ts';
import { isUp, toConnectorMetrics } from './views.ts';

export interface ChannelsArgs {
  /** The enabled ones. */
  readonly accounts: readonly AccountArgs[];
  readonly vault: ActorRef<VaultProtocol>;
  readonly router: ActorRef<RouterProtocol>;
  readonly outbox: ActorRef<OutboxProtocol>;
  /** This actor by its name, so that a connector outlives an incarnation of it. */
  readonly channels: ActorRef<ChannelsProtocol>;
}

export interface ChannelsState {
  readonly args: ChannelsArgs;
  readonly connectors: Map<string, ActorRef<ConnectorProtocol>>;
  readonly observed: Map<string, ConnectorStatus>;
}

const STOP_RECEIVING_DEADLINE_MS = 4_000;
const CONNECTOR_SHUTDOWN_MS = 3_000;

export const channelsActor = defineActor<
  ChannelsProtocol,
  unknown,
  ChannelsArgs,
  ChannelsState,
  unknown
>({
  module: import.meta.url,
  export: 'channelsActor',
  name: 'channels',
  mailbox: { limitMessages: 4_096, overflow: 'reject' },
  supervise: () => ({
    strategy: 'one_for_one',
    intensity: 5,
    periodMs: 60_000,
    backoff: { minMs: 200, maxMs: 30_000, factor: 2, jitter: 0.2, resetAfterMs: 60_000 },
    whenExhausted: 'degrade',
  }),
  start(self, args) {
    const state: ChannelsState = { args, connectors: new Map(), observed: new Map() };
    for (const account of args.accounts) startConnector(state, account, self);
    return state;
  },
  receive: {
    observed(state, status) {
      if (state.connectors.has(status.connectorId)) state.observed.set(status.connectorId, status);
    },
    trouble: (state, _nothing, self) => later(self, countTrouble(state, self)),
    stopReceiving(state, _nothing, self) {
      return later(self, stopAll(state, self));
    },
    operate: (state, call, self) => later(self, operate(state, call, self)),
    metrics: (state, _nothing, self) =>
      later(
        self,
        allStatuses(state, self).then((statuses) =>
          toConnectorMetrics(statuses, self.clock.wallMs()),
        ),
      ),
  },
  childEnded(state, { id, cause, incarnation }) {
    const last = state.observed.get(id);
    if (last === undefined) return;
    const { code } = cause;
    state.observed.set(id, { ...last, liveness: 'degraded', reason: code, restarts: incarnation });
  },
});

function startConnector(
  state: ChannelsState,
  account: AccountArgs,
  self: Self<ChannelsProtocol>,
): void {
  const { connectorId, kind } = account;
  const { vault, router, outbox, channels } = state.args;
  const args: ConnectorArgs = { account, vault, router, outbox, channels };
  state.observed.set(connectorId, {
    connectorId,
    kind,
    availability: '',
    readiness: 'ready',
    liveness: 'starting',
    reason: '',
    restarts: 0,
    lastInboundAtMs: 0,
    lastOutboundAtMs: 0,
    inFlight: 0,
    ignored: {},
  });
  const spec = child(connectorActor, {
    id: connectorId,
    args,
    placement: { hash: connectorId },
    shutdownTimeoutMs: CONNECTOR_SHUTDOWN_MS,
  });
  state.connectors.set(connectorId, self.spawn(spec));
}

async function countTrouble(
  state: ChannelsState,
  self: Self<ChannelsProtocol>,
): Promise<{ readonly accounts: number }> {
  const stranded = await strandedStatuses(state, self);
  const configured = [...state.observed.values()].filter((status) => !isUp(status));
  return { accounts: configured.length + stranded.length };
}

/** How many accounts said in time that they accept nothing any more. */
async function stopAll(
  state: ChannelsState,
  self: Self<ChannelsProtocol>,
): Promise<{ readonly stopped: number }> {
  const deadline = { inMs: STOP_RECEIVING_DEADLINE_MS };
  const answers = await Promise.allSettled(
    [...state.connectors.values()].map((ref) => self.ask(ref, 'stopReceiving', null, deadline)),
  );
  const stopped = answers.filter((answer) => answer.status === 'fulfilled' && answer.value.stopped);
  return { stopped: stopped.length };
}

// A handler that returned `work` itself would park the mailbox until it is done.
function later<T>(self: Self<ChannelsProtocol>, work: Promise<T>): PromiseLike<T> {
  const answer = self.defer<T>();
  work.then(answer.resolve, answer.reject);
  return answer.promise;
}
