/** What a process holds when it rests: its memory after two forced collections, its handles. Node runs with `HEAP_FLAGS`. */

/** Without compilers: what they make lies in the heap too, and comes when they see fit. */
export const HEAP_FLAGS = ['--expose-gc', '--no-opt', '--no-sparkplug'] as const;

/** Of the calling thread. A turn lies before each collection: what ended in the last one is let go by then. */
export async function restingHeap(): Promise<number> {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error(`node runs without ${HEAP_FLAGS.join(' ')}`);
  for (let i = 0; i < 2; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await collect();
  }
  return process.memoryUsage().heapUsed;
}

/** What keeps the process alive, timers too; what it prints to does not. */
export function handlesNow(): readonly string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind !== 'PipeWrap' && kind !== 'TTYWrap')
    .sort();
}
