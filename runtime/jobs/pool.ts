/** Threads for jobs, on Piscina. It runs one job a thread and ends the thread of an aborted one; who waits is not its business. */
import { extname } from 'node:path';
import { Piscina } from 'piscina';
import { RuntimeError } from '../errors.ts';
import type { JobTask } from './entry.ts';
import type { JobReply } from './protocol.ts';

export interface JobPool {
  readonly maxThreads: number;
  /** At most `maxThreads` at once. Rejects when the thread died or `signal` aborted; then that thread is gone. */
  run(task: JobTask, signal: AbortSignal): Promise<JobReply>;
  /** Ends every thread; jobs in progress reject. */
  close(): Promise<void>;
}

export interface JobPoolOptions {
  readonly maxThreads: number;
  /** V8 heap limit of each thread. Default 256. */
  readonly maxHeapMb?: number;
  /** An idle thread ends after so long. Default 30,000. */
  readonly idleMs?: number;
}

type Threads = Piscina<JobTask, JobReply>;

/** A pool without threads yet: the first one is started by the first job. */
export function createJobPool(options: JobPoolOptions): JobPool {
  if (!Number.isInteger(options.maxThreads) || options.maxThreads < 1) {
    throw new RuntimeError('bad_option', `maxThreads is ${options.maxThreads}, expected 1 or more`);
  }
  let opened: Threads | undefined;
  let isClosed = false;
  return {
    maxThreads: options.maxThreads,
    async run(task, signal) {
      if (isClosed) throw new RuntimeError('job_failed', 'the job pool is closed');
      opened ??= openThreads(options);
      return opened.run(task, { signal });
    },
    async close() {
      isClosed = true;
      await opened?.destroy();
    },
  };
}

function openThreads(options: JobPoolOptions): Threads {
  const threads: Threads = new Piscina({
    filename: new URL(`./entry${extname(import.meta.url)}`, import.meta.url).href,
    name: 'runJob',
    minThreads: 0,
    maxThreads: options.maxThreads,
    concurrentTasksPerWorker: 1,
    idleTimeout: options.idleMs ?? 30_000,
    // Jobs may await; the default mode blocks their thread's loop between messages.
    atomics: 'disabled',
    resourceLimits: { maxOldGenerationSizeMb: options.maxHeapMb ?? 256 },
    recordTiming: false,
  });
  // Without a listener the end of an idle thread would end the process; a job that waited for it meets its deadline.
  threads.on('error', () => undefined);
  return threads;
}
