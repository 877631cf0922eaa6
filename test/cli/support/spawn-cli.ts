/** Runs the built `palyra` as a process of its own, with a deadline. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface CliEnd {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

const MAIN = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));

/** Nothing of the caller's own settings or state leaks in. */
const BARE_ENV = { PATH: process.env.PATH ?? '', HOME: '/nonexistent' };

export function startCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { stdin, stderr = 'pipe' }: { readonly stdin?: string; readonly stderr?: 'pipe' | number } = {},
): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...BARE_ENV, ...env },
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', stderr],
  });
  child.stdin?.end(stdin);
  return child;
}

export async function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  deadlineMs = 30_000,
  stdin?: string,
): Promise<CliEnd> {
  const child = startCli(args, env, stdin === undefined ? {} : { stdin });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (part) => {
    stdout += String(part);
  });
  child.stderr?.on('data', (part) => {
    stderr += String(part);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const code = await new Promise<number | string>((resolve) => {
    child.once('close', (exit, signal) => resolve(exit ?? signal ?? 'unknown'));
  });
  clearTimeout(timer);
  return { code, stdout, stderr };
}
