/** A gateway served by the built CLI in a process of its own: started, signalled, and always gone in the end. */
import type { ChildProcess } from 'node:child_process';
import { startCli } from './spawn-cli.ts';

export interface ServedGateway {
  readonly pid: number;
  /** The `ready` line's content. */
  readonly ready: Promise<{ readonly http: string; readonly pid: number }>;
  /** Exit code or signal, once its output is read to the end. */
  readonly end: Promise<number | string>;
  stdout(): string;
  stderr(): string;
  /** Settles when stderr holds the text; rejects after 30 s. */
  logged(text: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
}

const DEADLINE_MS = 30_000;

export function serve(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stderr: 'pipe' | number = 'pipe',
): ServedGateway {
  const child = startCli(['serve', '--http', '127.0.0.1:0', ...args], env, { stderr });
  // Whatever a test forgets ends with this process.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const output = { stdout: '', stderr: '' };
  const collect = (name: 'stdout' | 'stderr') => (part: unknown) => {
    output[name] += String(part);
  };
  child.stdout?.on('data', collect('stdout'));
  child.stderr?.on('data', collect('stderr'));
  return {
    pid: child.pid ?? 0,
    ready: appears(child, () => readyOf(output.stdout), 'the ready line', output),
    end: new Promise((resolve) => {
      child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
    }),
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    logged: async (text) => {
      const found = () => (output.stderr.includes(text) ? true : undefined);
      await appears(child, found, `"${text}" on stderr`, output);
    },
    signal: (name) => void child.kill(name),
  };
}

function readyOf(stdout: string): { readonly http: string; readonly pid: number } | undefined {
  const match = /^ready (\{.*\})\n/m.exec(stdout);
  return match === null ? undefined : JSON.parse(match[1] ?? '');
}

function appears<T>(
  child: ChildProcess,
  look: () => T | undefined,
  what: string,
  output: { readonly stdout: string; readonly stderr: string },
): Promise<T> {
  const promise = new Promise<T>((resolve, reject) => {
    const check = (): void => {
      const found = look();
      if (found !== undefined) resolve(found);
    };
    const fail = (why: string) => () =>
      reject(new Error(`${what} did not appear ${why}:\n${output.stdout}${output.stderr}`));
    child.stdout?.on('data', check);
    child.stderr?.on('data', check);
    child.once('close', fail('before the end'));
    setTimeout(fail(`within ${DEADLINE_MS} ms`), DEADLINE_MS).unref();
    check();
  });
  promise.catch(() => undefined);
  return promise;
}
