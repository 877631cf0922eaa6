/** The end of what promises have set going. */

/** Settles once every promise that has settled, and all that follow from it, were heard of: nothing but a turn or a timer is left. */
export function microtasksDone(): Promise<void> {
  return new Promise((resolve) => {
    void Promise.resolve().then(() => process.nextTick(resolve));
  });
}
