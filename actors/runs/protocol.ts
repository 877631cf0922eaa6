/** What a session says to the actor of its runs, and what it gets back. */
import type { ModelTurn } from '../../connectors/models/model.ts';
import type { ActorRef } from '../../runtime/actor.ts';

export interface RunTask {
  readonly runId: string;
  /** Oldest first; the last one is the new message. */
  readonly turns: readonly ModelTurn[];
  readonly trace: string;
}

export type RunResult =
  | {
      readonly type: 'answered';
      readonly text: string;
      readonly promptTokens: number;
      readonly completionTokens: number;
      /** Earlier turns, the oldest, that the model had no room for. */
      readonly leftOut: number;
      /** Calls before it that gave no answer; absent: none. */
      readonly failedCalls?: number;
    }
  /** `reason` is a stable code, `detail` the model's own words. */
  | {
      readonly type: 'failed';
      readonly reason: string;
      readonly detail: string;
      /** Absent: the model was not called. */
      readonly failedCalls?: number;
    };

export interface RunAnswer {
  readonly runId: string;
  readonly result: RunResult;
}

/** Whoever began the run. */
export interface RunOwner {
  answered(answer: RunAnswer): void;
}

export interface RunArgs {
  readonly owner: ActorRef<RunOwner>;
}

/** One message's way through the model, in its session's thread. It changes nothing durable. */
export interface RunProtocol {
  /** Twice is once, until its answer is said. One that is under way gives way to another: its session makes one at a time. */
  begin(task: RunTask): void;
}
