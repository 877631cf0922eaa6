/** Runs a command in this process and keeps its words: quicker than a process, for all that does not need one. */
import { runCli } from '../../../cli/program.ts';

export interface InProcessEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runInProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  secret = '',
): Promise<InProcessEnd> {
  let stdout = '';
  let stderr = '';
  const terminal = {
    env,
    isInteractive: false,
    out: (text: string) => {
      stdout += text;
    },
    err: (text: string) => {
      stderr += text;
    },
    readSecret: async () => secret,
  };
  const code = await runCli({ args, terminal, version: '1.2.3', self: 'palyra' });
  return { code, stdout, stderr };
}
