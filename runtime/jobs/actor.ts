/** Stands before the job threads: bounds the queue, gives each job a deadline, answers each exactly once. */
import { type Deferred, defineActor, type Self, type Settled } from '../actor.ts';
import { messageOf } from '../errors.ts';
import type { JobPool } from './pool.ts';
import type { JobReply, JobRequest, JobsProtocol } from './protocol.ts';

export interface JobsArgs {
  /** Jobs waiting for a thread; beyond it `jobs_full`. */
  readonly maxWaiting: number;
  readonly deadlineMs: number;
}

export interface JobsDeps {
  readonly jobPool: JobPool;
}

interface Own {
  ended(outcome: { readonly id: number; readonly settled: Settled<JobReply> }): void;
  expired(job: { readonly id: number }): void;
}

interface Waiting {
  readonly request: JobRequest;
  readonly answer: Deferred<JobReply>;
}

interface Running {
  readonly answer: Deferred<JobReply>;
  readonly abort: () => void;
  isExpired: boolean;
}

export interface JobsState {
  readonly args: JobsArgs;
  readonly pool: JobPool;
  readonly waiting: Waiting[];
  readonly running: Map<number, Running>;
  nextId: number;
  done: number;
  failed: number;
  refused: number;
}

type JobsSelf = Self<JobsProtocol & Own>;

export const jobsActor = defineActor<JobsProtocol, Own, JobsArgs, JobsState, JobsDeps>({
  module: import.meta.url,
  export: 'jobsActor',
  name: 'jobs',
  mailbox: { limitMessages: 1_024, overflow: 'reject' },
  start: (_self, args, deps) => ({
    args,
    pool: deps.jobPool,
    waiting: [],
    running: new Map(),
    nextId: 1,
    done: 0,
    failed: 0,
    refused: 0,
  }),
  receive: {
    run(state, request, self) {
      if (
        state.running.size >= state.pool.maxThreads &&
        state.waiting.length >= state.args.maxWaiting
      ) {
        state.refused += 1;
        return {
          ok: false,
          code: 'jobs_full',
          message: `${state.args.maxWaiting} jobs are waiting already`,
        };
      }
      const answer = self.defer<JobReply>();
      state.waiting.push({ request, answer });
      startWaiting(state, self);
      return answer.promise;
    },
    status: (state) => ({
      waiting: state.waiting.length,
      running: state.running.size,
      done: state.done,
      failed: state.failed,
      refused: state.refused,
    }),
    expired(state, { id }) {
      const job = state.running.get(id);
      if (job === undefined) return;
      job.isExpired = true;
      job.abort();
    },
    ended(state, { id, settled }, self) {
      const job = state.running.get(id);
      if (job === undefined) return;
      state.running.delete(id);
      self.cancel(`job:${id}`);
      const reply = toReply(settled, job.isExpired);
      if (reply.ok) state.done += 1;
      else state.failed += 1;
      job.answer.resolve(reply);
      startWaiting(state, self);
    },
  },
  stop(state) {
    for (const job of state.running.values()) job.abort();
  },
});

// A job is handed to the pool only when a thread is free: the pool forgets its queue when it ends a thread.
function startWaiting(state: JobsState, self: JobsSelf): void {
  while (state.running.size < state.pool.maxThreads) {
    const next = state.waiting.shift();
    if (next === undefined) return;
    startJob(state, next, self);
  }
}

function startJob(state: JobsState, { request, answer }: Waiting, self: JobsSelf): void {
  const id = state.nextId;
  state.nextId += 1;
  const { pool } = state;
  const task = { module: request.module, export: request.export, input: request.input };
  self.after(`job:${id}`, request.deadlineMs ?? state.args.deadlineMs, 'expired', { id });
  const abort = self.run(
    ({ signal }) => pool.run(task, signal),
    'ended',
    (settled) => ({ id, settled }),
  );
  state.running.set(id, { answer, abort, isExpired: false });
}

function toReply(settled: Settled<JobReply>, isExpired: boolean): JobReply {
  if (settled.ok) return settled.value;
  if (isExpired) {
    return {
      ok: false,
      code: 'job_timeout',
      message: 'the job passed its deadline; its thread was ended',
    };
  }
  return { ok: false, code: 'job_failed', message: messageOf(settled.error) };
}
