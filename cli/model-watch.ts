/** Says in the log when the model of a thread begins to fail, once a minute that it still does, and when it answers again. */
import type { ModelOutcome } from '../connectors/models/model.ts';
import type { Log } from './log.ts';

const SAY_EVERY_MS = 60_000;

export class ModelWatch {
  readonly #log: Log;
  readonly #nowMs: () => number;
  /** Since its last answer. */
  #failedCalls = 0;
  #saidAtMs = 0;

  constructor(log: Log, nowMs: () => number = () => performance.now()) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** How a call ended. Turns that are too many, and a call that its run gave up, say nothing of the model. */
  heard(outcome: ModelOutcome): void {
    if (outcome.type === 'answer') this.#answered();
    else if (outcome.type === 'permanent') this.failed(outcome.reason);
    else if (outcome.type === 'transient' && outcome.isAborted !== true)
      this.failed(outcome.reason);
  }

  /** A call that had no outcome: the model could not be opened, or threw. */
  failed(reason: string): void {
    this.#failedCalls += 1;
    const nowMs = this.#nowMs();
    if (this.#failedCalls > 1 && nowMs - this.#saidAtMs < SAY_EVERY_MS) return;
    this.#saidAtMs = nowMs;
    this.#log('warn', 'the model gives no answer', { reason, failedCalls: this.#failedCalls });
  }

  #answered(): void {
    if (this.#failedCalls === 0) return;
    this.#log('info', 'the model answers again', { failedCalls: this.#failedCalls });
    this.#failedCalls = 0;
  }
}
