/** What others say to the job pool: stateless CPU work as data. */

export interface JobRequest {
  /** File URL of a module that every thread can import, e.g. the `import.meta.url` of the module that exports the job. */
  readonly module: string;
  /** The name of an exported function `(input) => output | Promise<output>`. */
  readonly export: string;
  /** Structured-cloneable, as is the output. */
  readonly input: unknown;
  /** From the moment a thread is free for it; the pool's own default where absent. */
  readonly deadlineMs?: number;
}

/**
 * `jobs_full`: not taken, try later · `job_timeout`: its thread was ended · `job_failed`: its thread died, or it threw
 * without a code; a job that throws a coded error gives that code.
 */
export type JobReply =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string };

export interface JobsStatus {
  readonly waiting: number;
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  readonly refused: number;
}

export interface JobsProtocol {
  run(request: JobRequest): JobReply;
  status(nothing: null): JobsStatus;
}
