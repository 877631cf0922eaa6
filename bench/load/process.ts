/** Servers of a bench as processes of their own: started, waited for, ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface BenchProcess {
  /** What it printed as its first line. */
  readonly line: string;
  readonly pid: number;
  close(): Promise<void>;
}

const READY_MS = 20_000;

/** Settles with the first line on its stdout that matches; rejects when it ends before. Its stderr is dropped. */
export async function startProcess(
  command: string,
  args: readonly string[],
  options: { readonly ready: RegExp; readonly env?: Readonly<Record<string, string>> },
): Promise<BenchProcess> {
  const child = spawn(command, [...args], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // A bench that fails must not leave its servers behind.
  const killChild = () => child.kill('SIGKILL');
  process.once('exit', killChild);
  child.once('exit', () => process.off('exit', killChild));
  const line = await firstLine(child, options.ready).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  return {
    line,
    pid: child.pid ?? 0,
    async close() {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

function firstLine(child: ChildProcess, ready: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready in ${READY_MS} ms`)), READY_MS);
    const settle = (run: () => void) => {
      clearTimeout(timer);
      run();
    };
    child.once('error', (error) => settle(() => reject(error)));
    child.once('exit', (code) =>
      settle(() => reject(new Error(`ended with ${code} before it was ready`))),
    );
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (ready.test(line)) settle(() => resolve(line));
    });
  });
}
