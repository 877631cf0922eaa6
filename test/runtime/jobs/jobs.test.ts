/** The job pool with real threads: isolation, deadlines, bounds. */
import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import { threadId } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type JobsArgs, jobsActor } from '../../../runtime/jobs/actor.ts';
import { createJobPool, type JobPool } from '../../../runtime/jobs/pool.ts';
import type { JobReply, JobsStatus } from '../../../runtime/jobs/protocol.ts';
import { createBehaviorKit } from '../../../runtime/testing/behavior-kit.ts';

const module = new URL(`./sample-jobs${extname(import.meta.url)}`, import.meta.url).href;
const WAIT_MS = 15_000;

async function withJobs(
  options: { readonly maxThreads: number } & Partial<JobsArgs>,
  body: (jobs: Awaited<ReturnType<typeof openJobs>>) => Promise<void>,
): Promise<void> {
  const jobPool = createJobPool({ maxThreads: options.maxThreads, maxHeapMb: 48 });
  try {
    await body(await openJobs(jobPool, options));
  } finally {
    await within(jobPool.close(), 'the pool to close');
  }
}

async function openJobs(jobPool: JobPool, options: Partial<JobsArgs>) {
  const args = { maxWaiting: options.maxWaiting ?? 8, deadlineMs: options.deadlineMs ?? 60_000 };
  const kit = await createBehaviorKit(jobsActor, args, { jobPool });
  return {
    kit,
    run: (name: string, input: unknown = null) =>
      Promise.resolve(kit.receive('run', { module, export: name, input }) as Promise<JobReply>),
    settle: () => within(kit.settle(), 'the jobs to end'),
    status: () => kit.receive('status', null) as JobsStatus,
  };
}

function within<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), WAIT_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function isSet(flag: Int32Array): Promise<void> {
  while (flag[0] === 0) await new Promise((resolve) => setImmediate(resolve));
}

const jobs = suite('jobs');

jobs('a job runs off the thread of the actor that asked for it', () =>
  withJobs({ maxThreads: 1 }, async ({ run, settle }) => {
    const reply = run('hashInThread', { text: 'hello' });
    await settle();
    const answered = await within(reply, 'the reply');
    assert.ok(answered.ok);
    const output = answered.output as { sha256: string; threadId: number };
    assert.is(output.sha256, createHash('sha256').update('hello').digest('hex'));
    assert.is.not(output.threadId, threadId);
  }),
);

jobs('a job that throws gives its code, and the pool goes on', () =>
  withJobs({ maxThreads: 1 }, async ({ run, settle }) => {
    const replies = [
      run('throwCoded'),
      run('throwPlain'),
      run('noSuchJob'),
      run('hashInThread', { text: '' }),
    ];
    await settle();
    const codes = (await within(Promise.all(replies), 'four replies')).map((r) =>
      r.ok ? 'ok' : r.code,
    );
    assert.equal(codes, ['sample_failure', 'job_failed', 'unknown_module', 'ok']);
  }),
);

jobs('a job that ends its thread, or fills its heap, fails alone', () =>
  withJobs({ maxThreads: 1 }, async ({ run, settle, status }) => {
    const replies = [
      run('exitThread'),
      run('hashInThread', { text: '' }),
      run('exhaustHeap'),
      run('hashInThread', { text: '' }),
    ];
    await settle();
    const codes = (await within(Promise.all(replies), 'four replies')).map((r) =>
      r.ok ? 'ok' : r.code,
    );
    assert.equal(codes, ['job_failed', 'ok', 'job_failed', 'ok']);
    assert.equal(status(), { waiting: 0, running: 0, done: 2, failed: 2, refused: 0 });
  }),
);

jobs('an endless job is ended at its deadline, and those that waited behind it run', () =>
  withJobs({ maxThreads: 1, deadlineMs: 1_000 }, async ({ kit, run, settle }) => {
    const started = new Int32Array(new SharedArrayBuffer(4));
    const endless = run('loopForEver', { started });
    const behind = run('hashInThread', { text: '' });
    await within(isSet(started), 'the job to start');
    await kit.advance(1_000);
    await settle();
    const [first, second] = await within(Promise.all([endless, behind]), 'two replies');
    assert.is(first.ok ? 'ok' : first.code, 'job_timeout');
    assert.ok(second.ok);
  }),
);

jobs('beyond its bound a flood is refused at once, and the taken jobs are all answered', () =>
  withJobs({ maxThreads: 2, maxWaiting: 10 }, async ({ run, settle, status }) => {
    const replies = Array.from({ length: 200 }, () => run('hashInThread', { text: 'x' }));
    assert.equal(status(), { waiting: 10, running: 2, done: 0, failed: 0, refused: 188 });
    await settle();
    const answered = await within(Promise.all(replies), '200 replies');
    assert.is(answered.filter((r) => r.ok).length, 12);
    assert.is(answered.filter((r) => !r.ok && r.code === 'jobs_full').length, 188);
  }),
);

jobs('a stopping actor ends the threads of its running jobs', () =>
  withJobs({ maxThreads: 1 }, async ({ kit, run, settle }) => {
    const started = new Int32Array(new SharedArrayBuffer(4));
    const reply = run('loopForEver', { started });
    await within(isSet(started), 'the job to start');
    await jobsActor.stop?.(kit.state, kit.self);
    await settle();
    const answered = await within(reply, 'the reply');
    assert.is(answered.ok ? 'ok' : answered.code, 'job_failed');
  }),
);

jobs('a closed pool refuses instead of hanging', async () => {
  const jobPool = createJobPool({ maxThreads: 1 });
  await within(jobPool.close(), 'the pool to close');
  const { run, settle } = await openJobs(jobPool, {});
  const reply = run('hashInThread', { text: '' });
  await settle();
  assert.is((await within(reply, 'the reply')).ok, false);
});

jobs.run();
