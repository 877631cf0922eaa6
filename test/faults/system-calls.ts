/** What strace saw: whole system calls of all threads of a process, in the order of their lines. Judges nothing. */
import { execFileSync } from 'node:child_process';

/** One system call of one thread, whole: strace cuts those in two that others come between. */
export interface SystemCall {
  /** The lines where it began and ended. */
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** '' where processes can be traced, else the reason why not. */
export function whyNoTrace(): string {
  try {
    const args = ['-f', '-o', '/dev/null', '-e', 'trace=pwrite64', process.execPath, '-e', ''];
    execFileSync('strace', args, { stdio: 'pipe', timeout: 30_000 });
    return '';
  } catch (error) {
    return `strace is missing or may not trace here (${String(error).split('\n')[0]}); it runs on Linux with strace installed`;
  }
}

export function callsOf(lines: readonly string[]): readonly SystemCall[] {
  const begun = new Map<string, Omit<SystemCall, 'to'>>();
  return lines.flatMap((text, at) => {
    const thread = text.split(' ')[0] ?? '';
    const first = /^(.*?) *<unfinished \.\.\.>$/.exec(text)?.[1];
    if (first !== undefined) {
      begun.set(thread, { from: at, text: first });
      return [];
    }
    const rest = /<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    if (rest === undefined) return [{ from: at, to: at, text }];
    const start = begun.get(thread);
    return start === undefined ? [] : [{ from: start.from, to: at, text: `${start.text}${rest}` }];
  });
}
