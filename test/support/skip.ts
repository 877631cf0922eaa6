/** Skips a test and says why: the runner counts a skip without its reason as a failure. */

/** `reason` says what is missing here and where the test does run. */
export function skipTest(suite: { skip(): void }, title: string, reason: string): void {
  suite.skip();
  console.log(`SKIP ${title}: ${reason}`);
}
