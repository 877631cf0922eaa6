/** The contract between a language model's client library and a run. */
export interface ModelTurn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly text: string;
}

export interface ModelRequest {
  readonly runId: string;
  /** Oldest first; the last one is the user's new message. */
  readonly turns: readonly ModelTurn[];
}

export type ModelOutcome =
  | {
      readonly type: 'answer';
      readonly text: string;
      readonly promptTokens: number;
      readonly completionTokens: number;
    }
  /** Worth another try: rate limit, 5xx, network. */
  | {
      readonly type: 'transient';
      readonly reason: string;
      readonly retryAfterMs?: number;
      /** True where the caller's signal ended it: it says nothing of the model. */
      readonly isAborted?: boolean;
    }
  /** It has more text than the model takes: one with fewer earlier turns may be answered. */
  | { readonly type: 'context_too_long'; readonly reason: string }
  /** Not worth one: refused credential, unknown model. */
  | {
      readonly type: 'permanent';
      readonly reason: string;
      /** True where another key might be taken: the one in use may have been rotated. */
      readonly isKeyRefused?: boolean;
    };

/** As `fetch` takes them. */
export interface CallOptions {
  /** Made when it is looked at: a model that answers at once should not. */
  readonly signal: AbortSignal;
}

export interface Model {
  /**
   * One call, no retries of its own. It ends with the signal, as transient; one that answers at once need not look at it.
   * A throw counts as transient.
   */
  answer(request: ModelRequest, options: CallOptions): Promise<ModelOutcome>;
}
