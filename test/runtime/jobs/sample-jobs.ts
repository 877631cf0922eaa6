/** Jobs that behave and misbehave, for the job tests; they run in a job thread. */
import { createHash } from 'node:crypto';
import { threadId } from 'node:worker_threads';

export function hashInThread(input: { readonly text: string }): {
  readonly sha256: string;
  readonly threadId: number;
} {
  return { sha256: createHash('sha256').update(input.text).digest('hex'), threadId };
}

export function throwCoded(): never {
  throw Object.assign(new Error('this job always fails'), { code: 'sample_failure' });
}

export function throwPlain(): never {
  throw new Error('no code here');
}

export function exitThread(): void {
  process.exit(0);
}

export function loopForEver(input: { readonly started: Int32Array }): void {
  input.started[0] = 1;
  for (;;) Math.sqrt(2);
}

export function exhaustHeap(): number {
  const kept: unknown[] = [];
  for (;;) kept.push(new Array(100_000).fill({ kept: kept.length }));
}
