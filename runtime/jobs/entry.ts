/** What runs in a job thread: it imports one export and gives its outcome back as data. It keeps nothing. */
import { codeOf, messageOf } from '../errors.ts';
import type { JobReply } from './protocol.ts';

export interface JobTask {
  readonly module: string;
  readonly export: string;
  readonly input: unknown;
}

export async function runJob(task: JobTask): Promise<JobReply> {
  try {
    const loaded: Record<string, unknown> = await import(task.module);
    const work = Object.hasOwn(loaded, task.export) ? loaded[task.export] : undefined;
    if (typeof work !== 'function') {
      return { ok: false, code: 'unknown_module', message: `no function ${task.export} there` };
    }
    return { ok: true, output: await work(task.input) };
  } catch (error) {
    const code = codeOf(error);
    return { ok: false, code: code === 'uncoded' ? 'job_failed' : code, message: messageOf(error) };
  }
}
