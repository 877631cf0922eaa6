/** The one dispatcher of operations. It answers none itself; each has one owner. */
import type { OperationName } from '../../proto/control/catalogue.ts';
import type { Metric, OperationOwner, OperationReply } from '../../proto/control/owner.ts';
import { type ActorRef, defineActor, type Self } from '../../runtime/actor.ts';
import { codeOf } from '../../runtime/errors.ts';
import type { SystemSnapshot } from '../../runtime/system.ts';
import type { LedgerProtocol } from '../ledger/protocol.ts';
import { type Dispatch, dispatch } from './dispatch.ts';
import { IdempotencyMemory } from './idempotency.ts';
import { mergeMetrics, toPartsUp, toRuntimeMetrics } from './metrics.ts';
import { DEFAULT_POLICY, type PolicyRule } from './policy.ts';
import type { ControlProtocol } from './protocol.ts';

/** Any part that counts. */
export interface Metered {
  metrics(nothing: null): readonly Metric[];
}

export interface ControlArgs {
  readonly owners: Readonly<Record<OperationName, ActorRef<OperationOwner>>>;
  readonly ledger: ActorRef<LedgerProtocol>;
  readonly meters: readonly { readonly name: string; readonly ref: ActorRef<Metered> }[];
  readonly policy?: readonly PolicyRule[];
}

export interface ControlDeps {
  inspect(): Promise<SystemSnapshot>;
  log(
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ): void;
}

export interface ControlState {
  readonly args: ControlArgs;
  readonly deps: ControlDeps;
  readonly parts: Dispatch;
  readonly calls: Map<string, number>;
  inFlight: number;
  refused: number;
  unaudited: number;
}

const MAX_IN_FLIGHT = 256;
const METRICS_DEADLINE_MS = 2_000;

export const controlActor = defineActor<
  ControlProtocol,
  unknown,
  ControlArgs,
  ControlState,
  ControlDeps
>({
  module: import.meta.url,
  export: 'controlActor',
  name: 'control',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  start(_self, args, deps) {
    const { owners, ledger, policy = DEFAULT_POLICY } = args;
    const memory = new IdempotencyMemory();
    const unaudited = (operation: string, code: string) => {
      state.unaudited += 1;
      deps.log('error', 'an operation could not be written to the journal', { operation, code });
    };
    const parts: Dispatch = { owners, ledger, policy, memory, unaudited };
    const calls = new Map<string, number>();
    const state: ControlState = { args, deps, parts, calls, inFlight: 0, refused: 0, unaudited: 0 };
    return state;
  },
  receive: {
    call(state, call, self) {
      if (state.inFlight >= MAX_IN_FLIGHT) {
        state.refused += 1;
        const message = `${MAX_IN_FLIGHT} operations are under way already`;
        return { ok: false, error: { code: 'busy', message, retryAfterMs: 1_000 } };
      }
      const answer = self.defer<OperationReply>();
      state.inFlight += 1;
      dispatch(state.parts, call, self).then((reply) => {
        state.inFlight -= 1;
        count(state, reply);
        answer.resolve(reply);
      }, answer.reject);
      return answer.promise;
    },
    ping: () => ({ alive: true }),
    metrics(state, _nothing, self) {
      const answer = self.defer<readonly Metric[]>();
      gather(state, self).then(answer.resolve, answer.reject);
      return answer.promise;
    },
  },
});

function count(state: ControlState, reply: OperationReply): void {
  const outcome = reply.ok ? 'ok' : reply.error.code;
  state.calls.set(outcome, (state.calls.get(outcome) ?? 0) + 1);
}

/** A part that does not answer in time is shown as down, and the others are shown. */
async function gather(
  state: ControlState,
  self: Self<ControlProtocol>,
): Promise<readonly Metric[]> {
  const deadline = { inMs: METRICS_DEADLINE_MS };
  const asked = state.args.meters.map(({ ref }) => self.ask(ref, 'metrics', null, deadline));
  const [snapshot, answers] = await Promise.all([inspect(state), Promise.allSettled(asked)]);
  const parts = state.args.meters.map(({ name }, i) => ({
    name,
    isUp: answers[i]?.status === 'fulfilled',
  }));
  const groups = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  return mergeMetrics([[toPartsUp(parts), ...ownMetrics(state)], snapshot, ...groups]);
}

async function inspect({ deps }: ControlState): Promise<readonly Metric[]> {
  try {
    return toRuntimeMetrics(await deps.inspect());
  } catch (error) {
    deps.log('warn', 'the runtime could not be inspected', { code: codeOf(error) });
    return [];
  }
}

function ownMetrics(state: ControlState): readonly Metric[] {
  const outcomes = [...state.calls].map(([outcome, value]) => ({ labels: { outcome }, value }));
  return [
    {
      name: 'palyra_operations_total',
      help: 'Control operations by how they ended',
      type: 'counter',
      samples: [...outcomes, { labels: { outcome: 'not_taken' }, value: state.refused }],
    },
    {
      name: 'palyra_operations_unaudited_total',
      help: 'Operations whose end could not be written to the journal',
      type: 'counter',
      samples: [{ labels: {}, value: state.unaudited }],
    },
  ];
}
