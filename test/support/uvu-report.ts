/** Reads what one test file printed: uvu's closing counts and the reasons of its skips. It runs nothing. */

export interface FileOutcome {
  /** The child's exit code; a signal's name where one ended it. */
  readonly exit: number | string;
  readonly timedOut: boolean;
  readonly output: string;
}

export interface FileReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Why the file as a whole failed; '' when it did not. */
  readonly problem: string;
  readonly skipReasons: readonly string[];
}

const CLOSING = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm;

export function readReport({ exit, timedOut, output }: FileOutcome): FileReport {
  const text = stripColours(output);
  const skipReasons = [...text.matchAll(/^SKIP (.+)$/gm)].map((match) => match[1] ?? '');
  let total = 0;
  let passed = 0;
  let skipped = 0;
  let closings = 0;
  for (const [, all, good, left] of text.matchAll(CLOSING)) {
    closings += 1;
    total += Number(all);
    passed += Number(good);
    skipped += Number(left);
  }
  const problem = problemOf({ exit, timedOut, closings, total, passed, skipped, skipReasons });
  // A file that fails as a whole counts once, also where each of its tests passed.
  const failed = Math.max(total - passed, problem === '' ? 0 : 1);
  return { passed, failed, skipped, problem, skipReasons };
}

function problemOf(seen: {
  readonly exit: number | string;
  readonly timedOut: boolean;
  readonly closings: number;
  readonly total: number;
  readonly passed: number;
  readonly skipped: number;
  readonly skipReasons: readonly string[];
}): string {
  if (seen.timedOut) {
    return seen.closings > 0
      ? 'its tests ended, but something it opened keeps the process alive'
      : 'it ran past its deadline and was killed';
  }
  if (seen.closings === 0) return `it never reported its results (exit ${seen.exit})`;
  if (seen.total === 0 && seen.skipped === 0) return 'it ran no test';
  if (seen.exit !== 0 && seen.passed === seen.total) return `it ended with exit ${seen.exit}`;
  if (seen.skipped > seen.skipReasons.length) {
    return `${seen.skipped} skipped, ${seen.skipReasons.length} with a reason: use skipTest, remove .only`;
  }
  return '';
}

function stripColours(text: string): string {
  const introducer = String.fromCharCode(27);
  return text.split(introducer).reduce((all, part) => all + part.replace(/^\[[0-9;]*m/, ''));
}
