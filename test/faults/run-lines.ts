/** A process that says in lines what it does, run to its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { within } from '../support/within.ts';

const EXIT_TIMEOUT_MS = 60_000;

export interface LinesEnd {
  readonly lines: readonly string[];
  /** Exit code, or the signal's name. */
  readonly exit: number | string;
  readonly errors: string;
}

/** `onLine` is called with each line; it may kill. */
export async function runLines(
  program: URL,
  args: readonly string[],
  onLine: (line: string, child: ChildProcess) => void,
): Promise<LinesEnd> {
  const path = fileURLToPath(program);
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  let errors = '';
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = `${errors}${text}`.slice(-4_000);
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      onLine(line, child);
    }
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  try {
    const exit = await within(`the end of ${path}`, ended, EXIT_TIMEOUT_MS);
    return { lines, exit, errors };
  } finally {
    child.kill('SIGKILL');
  }
}
