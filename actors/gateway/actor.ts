/** The root of the tree: what exists, how it is, and the order of its stop. No message of a channel passes through it. */
import type { Metric, OperationReply } from '../../proto/control/owner.ts';
import { defineActor, type Self } from '../../runtime/actor.ts';
import type { ChildSpec } from '../../runtime/child-spec.ts';
import type { SystemSnapshot } from '../../runtime/system.ts';
import { type Drained, type DrainReport, drain } from './drain.ts';
import type { GatewayProtocol } from './protocol.ts';
import { gatherStatus, type StatusParts } from './status.ts';

export interface GatewayArgs {
  /** ledger, services, listeners: each holds something of those before it. */
  readonly children: readonly ChildSpec<unknown, unknown>[];
  readonly version: string;
  readonly modelProvider: string;
  readonly status: StatusParts;
  readonly drained: Drained;
}

export interface GatewayDeps {
  readonly pid: number;
  /** The URL that the listener got; '' before it listens. Asking the listener would close a circle of asks. */
  httpUrl(): string;
  inspect(): Promise<SystemSnapshot>;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void;
}

export interface GatewayState {
  readonly args: GatewayArgs;
  readonly deps: GatewayDeps;
  readonly startedAtMs: number;
  draining: Promise<DrainReport> | undefined;
}

type GatewaySelf = Self<GatewayProtocol>;

/** A store that failed to write, or is not ours to write, cannot be mended by a restart of this process's parts. */
const UNMENDABLE: readonly string[] = [
  'store_failed',
  'state_root_unusable',
  'store_locked',
  'store_newer',
  'store_corrupt',
];

export const gatewayActor = defineActor<
  GatewayProtocol,
  unknown,
  GatewayArgs,
  GatewayState,
  GatewayDeps
>({
  module: import.meta.url,
  export: 'gatewayActor',
  name: 'gateway',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  supervise: (args) => ({
    strategy: 'rest_for_one',
    intensity: 5,
    periodMs: 60_000,
    backoff: { minMs: 50, maxMs: 5_000, factor: 2, jitter: 0.2, resetAfterMs: 60_000 },
    decide: ({ cause }) => (UNMENDABLE.includes(cause.code) ? 'escalate' : 'restart'),
    startTimeoutMs: 60_000,
    children: args.children,
  }),
  start: (self, args, deps) => ({
    args,
    deps,
    startedAtMs: self.clock.wallMs(),
    draining: undefined,
  }),
  receive: {
    operate(state, call, self) {
      if (call.operation !== 'status.get') {
        const message = `the gateway does not answer ${call.operation}`;
        return { ok: false, error: { code: 'not_found', message } };
      }
      const answer = self.defer<OperationReply>();
      status(state, self).then((output) => answer.resolve({ ok: true, output }), answer.reject);
      return answer.promise;
    },
    metrics: (state, _nothing, self) => metrics(state, self),
    drain(state, { deadlineMs }, self) {
      const answer = self.defer<DrainReport>();
      state.draining ??= drain(state.args.drained, self, state.deps, deadlineMs);
      state.draining.then(answer.resolve, answer.reject);
      return answer.promise;
    },
  },
});

function status(state: GatewayState, self: GatewaySelf): ReturnType<typeof gatherStatus> {
  const { version, modelProvider } = state.args;
  const { startedAtMs } = state;
  const isStopping = state.draining !== undefined;
  const { pid } = state.deps;
  const http = state.deps.httpUrl();
  const identity = { version, pid, startedAtMs, modelProvider, isStopping, http };
  return gatherStatus(state.args.status, identity, self, state.deps.inspect);
}

function metrics(state: GatewayState, self: GatewaySelf): readonly Metric[] {
  return [
    {
      name: 'palyra_info',
      help: 'The version that runs',
      type: 'gauge',
      samples: [{ labels: { version: state.args.version }, value: 1 }],
    },
    {
      name: 'palyra_uptime_seconds',
      help: 'Seconds since the gateway started',
      type: 'gauge',
      samples: [{ labels: {}, value: (self.clock.wallMs() - state.startedAtMs) / 1_000 }],
    },
  ];
}
