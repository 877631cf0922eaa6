/** What others say to the one dispatcher of operations: validate → scope → policy → idempotency → owner → audit. */
import type { Metric, OperationReply } from '../../proto/control/owner.ts';

export interface ControlCall {
  readonly operation: string;
  readonly input: unknown;
  readonly principal: { readonly name: string; readonly scopes: readonly string[] };
  /** '' for none. */
  readonly idempotencyKey: string;
  readonly trace: string;
}

export interface ControlProtocol {
  call(call: ControlCall): OperationReply;
  metrics(nothing: null): readonly Metric[];
  /** Answered at once: it lives. */
  ping(nothing: null): { readonly alive: true };
}
