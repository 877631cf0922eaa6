/** Awaits with a deadline that names the fact it waited for. */

export async function within<T>(fact: string, work: Promise<T>, deadlineMs = 5_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms: ${fact}`)), deadlineMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again after every turn of the event loop until `isTrue`. */
export async function until(fact: string, isTrue: () => boolean, deadlineMs = 5_000) {
  const endMs = performance.now() + deadlineMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${fact}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
