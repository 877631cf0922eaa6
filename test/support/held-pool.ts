/** Holds up this process's thread pool, which makes every durable write of a store in it. On systems with named pipes. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Node's own default. */
const POOL_THREADS = Number(process.env.UV_THREADPOOL_SIZE ?? 4);

/** From now on nothing that the pool is given is begun, until `letGo`, which settles when the pool is free. */
export function holdPool(pipePath: string): { letGo(): Promise<void> } {
  execFileSync('mkfifo', [pipePath]);
  // The opening of a pipe waits in the pool for its other end.
  const opening = Array.from({ length: POOL_THREADS }, () => open(pipePath, 'r'));
  return {
    async letGo() {
      // Both ends at once: this opening waits for nobody.
      const other = openSync(pipePath, constants.O_RDWR);
      const files: FileHandle[] = await Promise.all(opening);
      closeSync(other);
      await Promise.all(files.map((file) => file.close()));
    },
  };
}
