/** How an operation reaches the actor that owns it, and what comes back. */
import type { WireError } from '../errors.ts';
import type { OperationName } from './catalogue.ts';

export interface OwnedCall {
  readonly operation: OperationName;
  /** Already parsed by the operation's input schema. */
  readonly input: unknown;
  readonly principal: string;
}

/**
 * A refusal with a retryable code says that nothing happened and the call may be made again; but `deadline_exceeded`, and
 * any code with `mayHaveHappened`, leave open whether it took effect.
 */
export type OperationReply =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly error: WireError; readonly mayHaveHappened?: true };

/** One metric in Prometheus' data model. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

/** Every actor that owns operations has these two messages in its protocol. */
export interface OperationOwner {
  operate(call: OwnedCall): OperationReply;
  metrics(nothing: null): readonly Metric[];
}
